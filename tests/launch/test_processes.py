"""The argument list of a plan, and a real torchrun job whose workers live in sessions of their own."""

import sys
from pathlib import Path

import pytest
import yaml
from launch.at_work import processes_of, wait_for

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.launch import store as store_module
from hf_transfer_kit.launch.processes import Processes
from hf_transfer_kit.plan import DataSpec, Full, ModelSpec, TransferPlan

RUN = ["-m", "hf_transfer_kit.run", "job/plan.yaml", "--out", "job"]
PLAN = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full())
WORKER = """
import os, signal, sys, time
from pathlib import Path
folder, rank = Path(sys.argv[1]), os.environ["RANK"]
def save(*_):
    (folder / f"checkpoint-{rank}").write_text("saved")
    if rank == "0":
        sys.exit(143)  # and worker 1 does not listen
signal.signal(signal.SIGTERM, save)
(folder / f"session-{rank}").write_text(str(os.getsid(0)))
while True:
    time.sleep(1)
"""


def test_one_process_is_the_plain_command():
    for processes in (Processes(), Processes(gpu=True)):
        assert processes.command(Path("job")) == [sys.executable, *RUN]
    assert Processes().environment["CUDA_VISIBLE_DEVICES"] == "" and Processes(gpu=True).environment == {}


def test_several_on_the_cpu_are_started_by_torchrun():
    launcher = [sys.executable, "-m", "torch.distributed.run"]
    assert Processes(count=3).command(Path("job")) == [*launcher, "--standalone", "--nproc_per_node", "3", *RUN]
    nodes = Processes(count=2, machines=4, machine=1, main_address="10.0.0.1").command(Path("job"))
    meeting = ["--nnodes", "4", "--node_rank", "1", "--master_addr", "10.0.0.1", "--master_port", "29500"]
    assert nodes == [*launcher, *meeting, "--nproc_per_node", "2", *RUN]


@pytest.mark.parametrize("machines", [1, 2])
def test_several_gpus_are_started_by_accelerate_with_a_file_that_it_reads(machines, tmp_path):
    processes = Processes(count=4, gpu=True, machines=machines, main_address="10.0.0.1", main_port=29501)
    command = processes.command(tmp_path)
    assert command[1:4] == ["-m", "accelerate.commands.launch", "--config_file"]

    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(command[4])
    assert (config.num_processes, config.num_machines, config.machine_rank) == (4 * machines, machines, 0)
    assert config.distributed_type == "MULTI_GPU" and config.use_cpu is False
    assert config.main_process_port == (0 if machines == 1 else 29501)
    assert set(yaml.safe_load(Path(command[4]).read_text())) <= {*vars(config), "distributed_type"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"count": 0}, "must be >= 1"), ({"machines": 2}, "main_address"), ({"machines": 2, "machine": 2}, "none of 2")],
)
def test_impossible_numbers_are_refused(settings, words):
    with pytest.raises(PlanError, match=words):
        Processes(**settings)


def test_a_batch_that_cannot_be_shared_is_refused_before_there_is_a_job(store, monkeypatch):
    with pytest.raises(PlanError, match="cannot be shared by 3 processes"):
        store.submit_plan(PLAN, Processes(count=3))
    monkeypatch.setattr(store_module, "gpu_memory_used", dict)
    with pytest.raises(PlanError, match="2 GPUs are asked for"):
        store.submit_plan(PLAN, Processes(count=2, gpu=True))
    assert store.jobs() == []


def test_two_workers_of_torchrun_in_sessions_of_their_own_are_stopped_with_their_launcher(store, ended, tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    job = store.submit(lambda folder: [*torchrun, str(tmp_path / "worker.py"), str(folder)]).job.id
    folder = store.get(job).folder
    wait_for(lambda: all((folder / f"session-{rank}").exists() for rank in (0, 1)), seconds=60)
    sessions = {(folder / f"session-{rank}").read_text() for rank in (0, 1)}
    assert len(sessions) == 2 and len(processes_of(job)) >= 4

    store.stop(job, grace=2.0)

    assert ended(job).state == "stopped"
    wait_for(lambda: processes_of(job) == [], seconds=5)
    assert all((folder / f"checkpoint-{rank}").read_text() == "saved" for rank in (0, 1))
