"""Whose turn it is: order, limits, GPUs."""

from dataclasses import replace

import pytest
from launch.at_work import SLEEP, stand_in, wait_for

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.launch import gpus, queue
from hf_transfer_kit.launch import store as store_module
from hf_transfer_kit.launch.job import Job, new_id
from hf_transfer_kit.launch.queue import Limits
from hf_transfer_kit.launch.store import JobStore

QUICK = "events.write('finish')"


def job(owner="ann", number=1, gpus_wanted=0, gpus=()):
    return Job(id=new_id(), number=number, command=("x",), directory="/", owner=owner, gpus_wanted=gpus_wanted,
               gpus=gpus)  # fmt: skip


def turns(jobs, states, **limits):
    """Numbers of the jobs that may begin."""
    by_id = {each.id: each for each in jobs}
    named = dict(zip(by_id, states, strict=True))
    return [each.number for each in queue._whose_turn(by_id, named, Limits(**limits))]


def test_first_come_first_served_within_the_limit_of_all():
    jobs = [job(f"owner {n}", n) for n in range(1, 6)]

    assert turns(jobs, ["running", "queued", "queued", "queued", "finished"], per_owner=9, in_all=3) == [2, 3]
    assert turns(jobs, ["stopping", "running", "queued", "lost", "queued"], per_owner=9, in_all=2) == []


def test_an_owner_at_the_limit_lets_others_pass():
    jobs = [job("ann", 1), job("ann", 2), job("ann", 3), job("bob", 4), job("bob", 5)]

    assert turns(jobs, ["running", *["queued"] * 4], per_owner=1, in_all=9) == [4]
    assert turns(jobs, ["running", *["queued"] * 4], per_owner=2, in_all=9) == [2, 4, 5]


def test_no_gpu_is_given_twice_and_a_job_that_waits_for_some_is_not_overtaken_by_another(monkeypatch):
    monkeypatch.setattr(gpus, "gpu_memory_used", lambda: {0: 40_000, 1: 10, 2: 10, 3: 10})
    jobs = [job(number=1, gpus_wanted=1, gpus=(1,)), job(number=2, gpus_wanted=3), job(number=3, gpus_wanted=1),
            job(number=4), job(number=5, gpus_wanted=2)]  # fmt: skip
    states = ["running", "queued", "queued", "queued", "queued"]
    assert turns(jobs, states, per_owner=9, in_all=9) == [4]

    states[1] = "finished"
    by_id = {each.id: each for each in jobs}
    chosen = queue._whose_turn(by_id, dict(zip(by_id, states, strict=True)), Limits(per_owner=9, in_all=9))
    assert [(each.number, each.gpus) for each in chosen] == [(3, (2,)), (4, ())]
    assert chosen[0].child_environment() == {"CUDA_VISIBLE_DEVICES": "2"}


def test_the_answer_of_nvidia_smi_is_read_and_visible_devices_are_respected(monkeypatch):
    used = gpus._parsed("0, 512\n1, [N/A]\nnonsense\n2, 30000\n")
    assert used == {0: 512, 1: 0, 2: 30000}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 2")
    assert gpus._allowed(used) == {0: 512, 2: 30000}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus._allowed(used) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937")
    assert gpus._allowed(used) == used


def test_more_gpus_than_there_are_is_said_at_once(store, monkeypatch):
    monkeypatch.setattr(store_module, "gpu_memory_used", dict)
    with pytest.raises(PlanError, match="1 GPUs are asked for, 0 are here"):
        store.submit(stand_in(QUICK), gpus=1)
    assert store.jobs() == []


def test_twenty_jobs_end_one_after_the_other_although_nobody_looks(tmp_path):
    store = JobStore(tmp_path / "jobs", Limits(per_owner=2, in_all=2))
    jobs = [store.submit(stand_in("pass"), owner="ann").job.id for _ in range(20)]

    def all_there():
        return all((store.root / each / "rc").exists() for each in jobs)  # looks without letting any begin

    wait_for(all_there, seconds=60)
    began = [(store.root / each / "events.jsonl").read_text().split('"time": ')[1].split(",")[0] for each in jobs]
    assert [status.state for status in store.jobs()] == ["finished"] * 20
    assert [status.job.number for status in store.jobs()] == list(range(1, 21))
    assert all(float(first) <= float(third) for first, third in zip(began, began[2:], strict=False))


def test_listing_lets_the_next_job_begin_and_a_stopped_one_never_does(tmp_path):
    store = JobStore(tmp_path / "jobs", Limits(per_owner=1, in_all=1))
    first, second, third = (store.submit(stand_in(SLEEP)).job.id for _ in range(3))
    assert [status.state for status in store.jobs()] == ["running", "queued", "queued"]
    assert store.get(second).sentence == "waits for its turn"

    assert store.stop(second).state == "stopped"
    store.stop(first, grace=5.0)
    wait_for(lambda: [status.state for status in store.jobs()] == ["stopped", "stopped", "running"])
    store.stop(third, grace=5.0)
    wait_for(lambda: store.get(third).state == "stopped")
    assert not (store.root / second / "log.txt").exists()


def test_a_job_whose_starter_died_half_way_is_found_by_its_mark(store):
    started = store.submit(stand_in(SLEEP))
    replace(started.job, pid=None).save(started.folder)  # as if the number had never been written down

    assert store.get(started.job.id).state == "running"
    assert store.jobs()[0].state == "running" and len(store.jobs()) == 1  # and nothing is started again
    store.stop(started.job.id, grace=0.0)
    wait_for(lambda: store.get(started.job.id).state == "stopped")


def test_limits_are_kept_in_the_folder_for_everybody(tmp_path):
    JobStore(tmp_path, Limits(per_owner=3, in_all=7))

    assert queue.read_limits(JobStore(tmp_path).root) == Limits(per_owner=3, in_all=7)
    with pytest.raises(PlanError, match="must be >= 1"):
        Limits(per_owner=0)
