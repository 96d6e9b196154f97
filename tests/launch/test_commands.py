"""`transfer-kit jobs`, typed as a person would."""

import os

import pytest
from launch.at_work import SLEEP, processes_of, stand_in, wait_for
from typer.testing import CliRunner

from hf_transfer_kit.cli import app
from hf_transfer_kit.commands import jobs as jobs_command
from hf_transfer_kit.errors import OutputError, PlanError
from hf_transfer_kit.plan import DataSpec, Majority, TransferPlan


@pytest.fixture
def typed(store, monkeypatch):
    """typed("jobs", "list"): what it prints, and its exit code."""
    monkeypatch.setenv("TRANSFER_KIT_JOBS", str(store.root))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(jobs_command, "POLL_SECONDS", 0.05)

    def run(*words):
        done = CliRunner().invoke(app, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output, done.exit_code

    return run


def test_list_and_show_tell_state_command_and_the_end_of_the_log_without_secrets(typed, ended):
    status = ended(script=f"print('using hf_{'x' * 34}'); sys.exit(3)", title="my run")

    listed, _ = typed("jobs", "list")
    assert status.job.id[:8] in listed and "failed" in listed and "my run" in listed
    shown, _ = typed("jobs", "show", status.job.id[:6])
    assert status.job.id in shown and "stand_in.py" in shown and "exit code 3" in shown
    assert f"using hf_{'*' * 34}" in shown and "xxxx" not in shown


def test_follow_shows_the_progress_from_the_beginning_and_ends_with_the_job(typed, store):
    script = """
for done in range(1, 11):
    events.write("progress", stage="training", done=done, total=10)
    time.sleep(0.05)
print("the end")
events.write("finish", message="test accuracy 0.9")
"""
    job = store.submit(stand_in(script)).job.id
    followed, code = typed("jobs", "follow", job[:8])
    assert code == 0 and "training 1/10" in followed and "training 10/10" in followed
    assert followed.splitlines()[-1] == "finished: test accuracy 0.9"
    assert typed("jobs", "follow", job, "--log")[0].splitlines()[0] == "the end"


def test_follow_ends_with_1_where_the_job_fails(typed, store):
    job = store.submit(stand_in("print('CUDA out of memory'); sys.exit(1)")).job.id
    followed, code = typed("jobs", "follow", job)

    assert code == 1 and "lower training.batch_size" in followed


def test_stop_waits_until_nothing_is_left_and_resume_begins_again(typed, started):
    job = started()
    stopped, code = typed("jobs", "stop", job[:8], "--grace", "5")
    assert code == 0 and stopped.splitlines()[-1].startswith("stopped: ")
    wait_for(lambda: processes_of(job) == [], seconds=5)

    assert "attempt 2" in typed("jobs", "resume", job[:8])[0]
    wait_for(lambda: processes_of(job))
    assert typed("jobs", "stop", job[:8], "--grace", "0", "--no-wait")[1] == 0


def test_clean_says_what_it_removed(typed, ended):
    job = ended(script="pass").job.id

    assert typed("jobs", "clean", "--days", "1")[0] == "removed 0 jobs\n"
    assert job in typed("jobs", "clean", "--days", "0")[0]
    assert "no jobs in" in typed("jobs", "list")[0]


def test_letters_that_fit_no_job_or_several_are_refused(typed, started):
    started(), started()
    for word in ("zz", "../x", "", "*"):
        with pytest.raises(OutputError, match="there is no job"):
            typed("jobs", "show", word)
    letters = {name[0] for name in os.listdir(os.environ["TRANSFER_KIT_JOBS"]) if len(name) == 32}
    if len(letters) == 1:
        with pytest.raises(OutputError, match="2 jobs begin with"):
            typed("jobs", "show", *letters)


def test_run_on_job_submits_the_plan_in_as_many_processes_as_asked_for(typed, store, text_csv, tmp_path):
    from hf_transfer_kit.launch.queue import Limits, save_limits

    save_limits(store.root, Limits(per_owner=1, in_all=1))
    blocker = store.submit(stand_in(SLEEP)).job.id
    TransferPlan(data=DataSpec(path=str(text_csv)), approach=Majority()).save(tmp_path / "plan.yaml")
    said, _ = typed("run", str(tmp_path / "plan.yaml"), "--on", "job", "--processes", "2")
    status = store.jobs()[-1]

    assert f"job {status.job.id[:8]} is queued" in said
    assert status.job.command[2:6] == ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert TransferPlan.load(status.folder / "plan.yaml") == TransferPlan.load(tmp_path / "plan.yaml")
    store.stop(status.job.id)
    store.stop(blocker, grace=0.0)
    with pytest.raises(PlanError, match="--on 'jobs' is no place"):
        typed("run", str(tmp_path / "plan.yaml"), "--on", "jobs")
