"""How soon does the app answer? Page ready, first words, event in a file to the page, re-attach, memory of the server.

    python benchmarks/app/run.py

A server in a process of its own, headless Chromium, everything on this machine. Jobs write events as a training does.
Writes results/<date>.json.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from hf_transfer_kit.launch.queue import Limits
from hf_transfer_kit.launch.state import ENDED
from hf_transfer_kit.launch.store import JobStore
from hf_transfer_kit.plan import DataSpec, Majority, TransferPlan

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MIB = 2**20
TICKS = """
import sys, time
from pathlib import Path
from hf_transfer_kit.events import EventWriter
count, pause = int(sys.argv[2]), float(sys.argv[3])
with EventWriter(Path(sys.argv[1]) / "events.jsonl") as events:
    events.write("start", message="ticking")
    for step in range(1, count + 1):
        events.write("log", stage="training", done=step, total=count, loss=1 / step)
        events.write("progress", stage="training", done=step, total=count)
        time.sleep(pause)
"""
WATCH = """place => {
  window.seen = [];
  const note = () => {
    const found = (document.querySelector(place)?.textContent || '').match(/step ([\\d,]+) of/);
    const last = window.seen.at(-1);
    if (found && (!last || last[0] !== +found[1])) window.seen.push([+found[1], Date.now() / 1000]);
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
FIRST_WORDS = """() => {
  const chat = document.querySelector('#advisor-chat');
  const newest = () => [...chat.querySelectorAll('[data-testid=bot]')].at(-1)?.textContent.trim() ?? '';
  const opening = newest();
  window.asked = null; window.answered = null;
  document.querySelector('#advisor-message').addEventListener('keydown', event => {
    if (event.key === 'Enter') window.asked = performance.now();
  }, true);
  new MutationObserver(() => {
    if (window.asked && !window.answered && newest() && newest() !== opening)
      window.answered = performance.now();
  }).observe(chat, {subtree: true, childList: true, characterData: true});
}"""


@contextmanager
def server(runs: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The app in a process of its own: its address and the process."""
    command = [sys.executable, "-m", "hf_transfer_kit.cli", "app", "--port", str(port), "--out", str(runs)]
    with open(runs.parent / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    address = f"http://127.0.0.1:{port}/"
    try:
        while True:
            if process.poll() is not None:
                raise RuntimeError((runs.parent / "server.log").read_text())
            try:
                urllib.request.urlopen(address, timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        yield address, process
    finally:
        process.terminate()
        process.wait(20)


def page_ready(browser: Browser, address: str) -> float:
    """Seconds from asking for the page until the chat stands there, for a visitor with an empty cache."""
    with visitor(browser) as page:
        started = time.perf_counter()
        page.goto(address)
        page.wait_for_function("document.querySelector('#advisor-chat')?.innerText.includes('Describe your task')")
        return time.perf_counter() - started


def first_words(browser: Browser, address: str, repeats: int) -> list[float]:
    """Seconds from Enter until the first words of the answer stand in the page."""
    found = []
    for number in range(repeats):
        with visitor(browser) as page:
            page.goto(address)
            page.wait_for_function("document.querySelector('#advisor-chat')?.innerText.includes('Describe your task')")
            page.evaluate(FIRST_WORDS)
            page.fill("#advisor-message textarea", f"{200 + number} support tickets in 12 topics, laptop only")
            page.press("#advisor-message textarea", "Enter")
            page.wait_for_function("window.answered")
            found.append(page.evaluate("window.answered - window.asked") / 1000)
    return found


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        yield page
    finally:
        context.close()


def ticking(store: JobStore, count: int, pause: float) -> str:
    """A job that writes two events every `pause` seconds; its id."""
    plan = TransferPlan(data=DataSpec(path="none"), approach=Majority())  # never read: the page shows jobs with a plan
    return store.submit(
        lambda folder: [sys.executable, "-c", TICKS, str(folder), str(count), str(pause)],
        plan=plan,
        title=f"{count} steps",
    ).job.id


def delays(browser: Browser, address: str, store: JobStore, people: int, seconds: float) -> dict[str, Any]:
    """Seconds from an event's time in its file to its step in the page, `people` pages each on a job of its own."""
    jobs = [ticking(store, int(seconds / 0.5) + 60, 0.5) for _ in range(people)]
    contexts = [browser.new_context(viewport={"width": 1280, "height": 900}) for _ in jobs]
    pages = [context.new_page() for context in contexts]
    for page, job in zip(pages, jobs, strict=True):
        open_job(page, address, job)
        page.evaluate(WATCH, "#train-card")
    busy = psutil.cpu_times_percent(None)
    time.sleep(seconds)
    busy = psutil.cpu_times_percent(None)
    found = []
    for page, job in zip(pages, jobs, strict=True):
        written = times_of_steps(store.root / job / "events.jsonl")
        found += [at - written[step] for step, at in page.evaluate("window.seen") if step in written]
    reloads = [reattach(page, job) for page, job in zip(pages[:3], jobs[:3], strict=True)]
    for context in contexts:
        context.close()
    for job in jobs:
        store.stop(job, grace=1.0)
    while any(store.get(job).state not in ENDED for job in jobs):
        time.sleep(0.1)
    found.sort()
    return {
        "pages": people, "jobs": people, "steps_seen": len(found), "median_seconds": round(median(found), 3),
        "p95_seconds": round(found[int(0.95 * len(found))], 3), "cpu_busy_percent": round(100 - busy.idle, 1),
        "reattach_seconds": [round(each, 3) for each in reloads],
    }  # fmt: skip


def open_job(page: Page, address: str, job: str) -> None:
    page.set_default_timeout(60_000)
    page.goto(f"{address}?tab=train&job={job}")
    page.wait_for_function("document.querySelector('#train-card')?.textContent.match(/step [\\d,]+ of/)")


def reattach(page: Page, job: str) -> float:
    """Seconds from a reload until the job's progress stands there again."""
    started = time.perf_counter()
    page.reload()
    page.wait_for_function("document.querySelector('#train-card')?.textContent.match(/step [\\d,]+ of/)")
    return time.perf_counter() - started


def times_of_steps(path: Path) -> dict[int, float]:
    events = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {event["done"]: event["time"] for event in events if event["kind"] == "progress"}


def memory(browser: Browser, address: str, store: JobStore, process: int, events: int) -> dict[str, int]:
    """MiB of the server while a page watches a job of `events` events: at a tenth of them, a half, and the end."""
    job = ticking(store, events, 0.0003)  # a "log" event a step
    found = {}
    with visitor(browser) as page:
        open_job(page, address, job)
        for share in (0.1, 0.5, 1.0):
            while written(store.root / job / "events.jsonl") < share * events and store.get(job).state == "running":
                time.sleep(0.2)
            time.sleep(2)
            found[f"{int(share * events)}_events"] = round(psutil.Process(process).memory_info().rss / MIB)
    return found


def written(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(MIB), b""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=30.0, help="of watching")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    store = JobStore(work / "runs" / "jobs", Limits(per_owner=asked.people, in_all=asked.people))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as driver, server(work / "runs", port) as (address, process):
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        record: dict[str, Any] = {
            "question": "seconds until the app shows what is asked for or what happened, and memory of its server",
            "date": date.today().isoformat(),
            "page_ready_seconds": [round(page_ready(browser, address), 3) for _ in range(3)],
            "first_words_seconds": [round(each, 3) for each in first_words(browser, address, asked.repeats)],
            "one_page": delays(browser, address, store, 1, asked.seconds / 2),
            "many_pages": delays(browser, address, store, asked.people, asked.seconds),
            "server_mib": memory(browser, address, store, process.pid, 100_000),
            "versions": {"python": platform.python_version(), "chromium": browser.version}
            | {name: version(name) for name in ("hf-transfer-kit", "gradio")},
            "machine": {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]},
        }
        browser.close()
    shutil.rmtree(work, ignore_errors=True)
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
