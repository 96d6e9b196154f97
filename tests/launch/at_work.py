"""Jobs of stand-ins, and how to look at them without the code under test."""

import sys
import time
from pathlib import Path

from hf_transfer_kit.launch.job import MARK

STAND_IN = Path(__file__).with_name("stand_in.py")
SLEEP = "time.sleep(60)"


def stand_in(script):
    """The command of a job that runs `script`."""
    return lambda folder: [sys.executable, str(STAND_IN), str(folder), script]


def wait_for(condition, seconds=20.0):
    """Until `condition()` is true; fails after a while."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.02)
    return found


def processes_of(job_id):
    """Ids of all living processes with the job's mark; told apart from the code under test by reading /proc alone."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, state = (folder / "environ").read_bytes(), (folder / "stat").read_text().rpartition(")")[2]
        except OSError:
            continue
        if f"\0{MARK}={job_id}.".encode() in b"\0" + environment and state.split()[0] != "Z":
            found.append(int(folder.name))
    return found
