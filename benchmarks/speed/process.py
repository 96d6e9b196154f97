"""One benchmark as a process of its own, and what the rest of the machine did meanwhile."""

import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.speed.row import Child

REPOSITORY = Path(__file__).parents[2]
QUIET = {
    "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}  # fmt: skip
MOST_SECONDS = 900.0
IDLE = ("idle", "iowait", "guest", "guest_nice")  # guests are in user and nice already


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process went.

    Fields:
        seconds, cpu_seconds: of it and the processes that it waited for.
        load_before: the machine's load average of one minute when it started.
        cores_of_others: processor time of everything else on the machine, per second; None where it cannot be told.
        error: why there is no record, in one line; None where there is one.
    """

    seconds: float
    cpu_seconds: float
    load_before: float
    cores_of_others: float | None
    error: str | None


def arguments(child: Child, given: Mapping[str, str | None]) -> list[str]:
    """Module and options, with what was given in its places; an option whose value was not given is left out.

    Example:
        >>> arguments(Child(name="a", command="b --data {data} --mobilenet {mobilenet}", about_seconds=1),
        ...           {"data": "clinc150", "mobilenet": None})
        ['b', '--data', 'clinc150']
    """
    words: list[str] = []
    for word in shlex.split(child.command):
        if any(value is None and f"{{{place}}}" in word for place, value in given.items()):
            words.pop()  # the option's name
        else:
            words.append(word.format_map(given))
    return words


def run(child: Child, python: str, given: Mapping[str, str | None], record: Path) -> Ended:
    """Runs `child` to its end; its record is then at `record`, unless the answer says why not."""
    record.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | QUIET | {"HF_TRANSFER_KIT_CACHE": cache, "PYTHONPATH": str(REPOSITORY)}
        if child.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        command = [python, "-m", *arguments(child, given), "--record", str(record.absolute())]
        load, busy, own, started = os.getloadavg()[0], machine_seconds(), own_seconds(), time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=MOST_SECONDS
            )
            error = None if record.exists() else f"exit code {done.returncode}: {last_line(done.stderr)}"
        except subprocess.TimeoutExpired:
            error = f"no end within {MOST_SECONDS:.0f} s"
        seconds, own, busy = time.monotonic() - started, own_seconds() - own, machine_seconds() - busy
    return Ended(
        seconds=round(seconds, 1), cpu_seconds=round(own, 1), load_before=round(load, 2), error=error,
        cores_of_others=None if child.detaches else round(max(busy - own, 0.0) / seconds, 3),
    )  # fmt: skip


def machine_seconds() -> float:
    """Processor time of the whole machine since it started, idle time left out."""
    times = psutil.cpu_times()._asdict()
    return sum(value for name, value in times.items() if name not in IDLE)


def own_seconds() -> float:
    """Processor time of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def last_line(text: str) -> str:
    """The last line that is not empty, without the paths of this machine."""
    lines = [line for line in text.splitlines() if line.strip()] or ["no message"]
    return " ".join("..." if word.lstrip("'\"(").startswith("/") else word for word in lines[-1].split())[:240]


def interpreter(option: str, path: str | None) -> str:
    """The interpreter that was named, or this one."""
    if path is None:
        return sys.executable
    found = Path(path).expanduser()
    if not found.is_file():
        raise SystemExit(
            f"{option} {path}: there is no such interpreter; give the path of an environment's bin/python."
        )
    return str(found.absolute())  # not resolved: a link of a virtual environment leads out of it
