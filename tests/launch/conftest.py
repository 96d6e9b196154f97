"""A folder of jobs for every test, and nothing of them left behind."""

import os
from pathlib import Path

import psutil
import pytest
from launch.at_work import SLEEP, processes_of, stand_in, wait_for

from hf_transfer_kit.launch.queue import Limits
from hf_transfer_kit.launch.store import JobStore

PACKAGE = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def package_for_children(monkeypatch):
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGE), *([before] if before else [])]))


@pytest.fixture
def store(tmp_path):
    """A folder of jobs that may run ten at once; whatever a failed test leaves is killed."""
    store = JobStore(tmp_path / "jobs", Limits(per_owner=10, in_all=10))
    yield store
    for folder in store.root.glob("*/"):
        for pid in processes_of(folder.name):
            try:
                psutil.Process(pid).kill()
            except psutil.Error:
                continue


@pytest.fixture
def started(store):
    """started(script): a job that runs, past its start."""

    def start(script=SLEEP, **settings):
        status = store.submit(stand_in(script), **settings)
        wait_for(lambda: store.get(status.job.id).latest is not None)
        return status.job.id

    return start


@pytest.fixture
def ended(store):
    """ended(job): its status once it has ended; ended(script=...) runs one first."""

    def wait(job_id=None, *, script=None, **settings):
        job_id = job_id or store.submit(stand_in(script), **settings).job.id
        return wait_for(lambda: (s := store.get(job_id)).state not in ("queued", "running", "stopping") and s)

    return wait
