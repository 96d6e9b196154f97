"""A job from submission to its end: what its folder says, whoever died meanwhile, and that nothing is left running."""

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from launch.at_work import SLEEP, processes_of, stand_in, wait_for

from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.launch import marked, stopping
from hf_transfer_kit.launch.job import EXIT_CODE_FILE, MARK, is_id
from hf_transfer_kit.launch.store import JobStore

IGNORES_TERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN); events.write('stage', message='deaf');"
DEAF_FAMILY = f"""
import subprocess
{IGNORES_TERM}
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
events.write("progress", stage="training", done=1, total=9)
time.sleep(60)
"""
CHECKPOINT = """
def save(*_):
    (folder / "checkpoint").write_text("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
events.write("progress", stage="training", done=1, total=9)
time.sleep(60)
"""


def test_a_job_that_ends_well_is_finished_and_its_folder_tells_how(ended):
    status = ended(script="print('some words'); events.write('finish', message='test accuracy 0.9')", title="mine")

    assert (status.state, status.exit_code, status.job.title) == ("finished", 0, "mine")
    assert status.sentence == "test accuracy 0.9"
    assert (status.folder / "log.txt").read_text() == "some words\n"
    assert (status.folder / "rc").read_text().strip() == "0"


def test_the_command_shown_is_the_command_run(ended, tmp_path):
    script = "print(sys.argv[0], os.environ['COLOUR'], os.getcwd())"
    status = ended(script=script, environment={"COLOUR": "red; echo blue"}, directory=tmp_path)
    by_hand = subprocess.run(
        ["/bin/sh", "-c", status.job.shown_command], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert (status.folder / "log.txt").read_text() == by_hand.stdout
    assert "red; echo blue" in by_hand.stdout
    assert shlex.split(status.job.shown_command)[1:] == list(status.job.command)


def test_a_running_job_says_how_far_it_is(started, store):
    job = started("events.write('progress', stage='training', done=3, total=9);" + SLEEP)

    status = wait_for(lambda: (s := store.get(job)).latest.done == 3 and s)
    assert (status.state, status.sentence) == ("running", "training 3/9")


def test_a_command_that_does_not_exist_fails_with_its_name(store, ended):
    status = ended(store.submit(lambda folder: ["/nowhere/python"]).job.id)

    assert status.state == "failed" and "/nowhere/python" in status.sentence


# --- stop -----------------------------------------------------------------------------------------------------------


def test_stop_lets_the_job_save_its_work(started, store, ended):
    job = started(CHECKPOINT)
    wait_for(lambda: store.get(job).latest.done == 1)

    assert store.stop(job).state in ("stopping", "stopped")
    status = ended(job)

    assert (status.state, status.exit_code) == ("stopped", 143)
    assert (status.folder / "checkpoint").read_text() == "saved"
    wait_for(lambda: processes_of(job) == [], seconds=5)


def test_stop_leaves_no_process_even_where_all_ignore_it_in_sessions_of_their_own(started, store, ended):
    job = started(DEAF_FAMILY)
    wait_for(lambda: store.get(job).latest.done == 1 and len(processes_of(job)) == 4)  # with the supervisor

    begun = time.monotonic()
    status = store.stop(job, grace=1.0)
    assert status.state == "stopping" and 0 < status.grace_left <= 1.0
    assert "A second stop: now." in status.sentence
    assert ended(job).state == "stopped"

    assert time.monotonic() - begun > 1.0
    wait_for(lambda: processes_of(job) == [], seconds=5)


def test_a_second_stop_means_now(started, store, ended):
    job = started(DEAF_FAMILY)
    wait_for(lambda: store.get(job).latest.done == 1)
    store.stop(job, grace=600.0)
    assert 595 < store.get(job).grace_left <= 600

    store.stop(job)

    assert ended(job).state == "stopped"
    wait_for(lambda: processes_of(job) == [])


def test_workers_that_outlive_a_killed_launcher_are_ended_with_it(started, store, ended):
    job = started(DEAF_FAMILY)
    wait_for(lambda: store.get(job).latest.done == 1)
    launcher = next(pid for pid in processes_of(job) if b"stand_in.py" in open(f"/proc/{pid}/cmdline", "rb").read())

    os.kill(launcher, signal.SIGKILL)

    assert ended(job).state == "failed"
    wait_for(lambda: processes_of(job) == [], seconds=5)


def test_a_job_whose_supervisor_was_killed_can_still_be_stopped(started, store, ended):
    job = started(DEAF_FAMILY)
    wait_for(lambda: store.get(job).latest.done == 1)
    os.kill(store.get(job).job.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert store.get(job).state == "running"

    store.stop(job, grace=0.0)

    assert ended(job).state == "stopped"
    wait_for(lambda: processes_of(job) == [])


def test_a_supervisor_that_is_asked_to_end_waits_for_its_command(started, store, ended):
    job = started("time.sleep(0.5); sys.exit(7)")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(store.get(job).job.pid, number)

    assert ended(job).exit_code == 7


def test_a_program_that_overwrites_its_environment_is_found_by_its_parent(started, store, ended):
    child = "import time; time.sleep(60)"
    job = started(f"import subprocess; c = subprocess.Popen([sys.executable, '-c', '{child}'], env={{}});"
                  "events.write('progress', stage='training', done=c.pid, total=9**9);" + SLEEP)  # fmt: skip
    pid = wait_for(lambda: store.get(job).latest.done)
    assert pid not in processes_of(job) and pid in [process.pid for process in marked.marked_processes(f"{job}.1")]

    store.stop(job, grace=5.0)
    ended(job)

    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def test_a_job_started_inside_another_is_not_stopped_with_it(started, store, ended):
    inner = started()
    outer = started("import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
                    f"env=os.environ | {{'HTK_JOB': '{inner}.1'}});"
                    "events.write('progress', stage='training', done=1, total=9);" + SLEEP)  # fmt: skip
    wait_for(lambda: store.get(outer).latest.done == 1)
    store.stop(outer, grace=5.0)
    ended(outer)

    assert len(processes_of(inner)) == 3 and store.get(inner).state == "running"


def test_what_begins_once_the_end_is_noted_is_spared(started, store):
    """The supervisor starts the next job; its first process carries the old mark until it is a program of its own."""
    job = started()
    folder = store.get(job).folder
    process = subprocess.Popen(["sleep", "60"], env=os.environ | {MARK: store.get(job).job.mark})
    try:
        (folder / EXIT_CODE_FILE).write_text("-9", encoding="ascii")
        stopping.carry_out_stop(folder, store.get(job).job.mark)
        assert process.poll() is None
        (folder / EXIT_CODE_FILE).unlink()
        stopping.carry_out_stop(folder, store.get(job).job.mark)
        process.wait(timeout=10)  # as long as nothing is noted, it is ended
    finally:
        process.kill()


def test_stopping_what_has_ended_changes_nothing(ended, store):
    status = ended(script="events.write('finish')")

    assert store.stop(status.job.id).state == "finished"
    assert not (status.folder / "stop.json").exists()


def test_a_full_disk_does_not_keep_a_job_from_being_stopped(started, store, monkeypatch):
    def full(*_):
        raise OutputError("full")

    job = started()
    monkeypatch.setattr(stopping, "write_json", full)
    store.stop(job)

    wait_for(lambda: processes_of(job) == [])


# --- who else dies --------------------------------------------------------------------------------------------------

SERVER = """
import sys, time
from pathlib import Path
from launch.at_work import stand_in
from hf_transfer_kit.launch.store import JobStore
print(JobStore(Path(sys.argv[1])).submit(stand_in(sys.argv[2])).job.id, flush=True)
time.sleep(60)
"""


def test_a_killed_server_leaves_the_job_at_work_and_the_next_one_can_stop_it(store, ended):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], "tests"])}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(store.root), SLEEP], stdout=subprocess.PIPE, text=True, env=environment,
        cwd=os.environ["PYTHONPATH"].partition(os.pathsep)[0],
    )  # fmt: skip
    job = server.stdout.readline().strip()
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()

    wait_for(lambda: store.get(job).latest is not None)
    assert JobStore(store.root).get(job).state == "running"
    JobStore(store.root).stop(job)
    assert ended(job).state == "stopped"
    wait_for(lambda: processes_of(job) == [], seconds=5)


def test_a_job_all_of_whose_processes_were_killed_is_lost(started, store):
    job = started()
    for pid in sorted(processes_of(job)):  # the supervisor, which is the oldest, first
        os.kill(pid, signal.SIGKILL)

    status = wait_for(lambda: (s := store.get(job)).state == "lost" and s)
    assert "left no exit code" in status.sentence and "resume" in status.sentence


def test_a_lost_job_that_had_said_that_it_finished_is_finished(started, store):
    job = started("events.write('finish', message='done');" + SLEEP)
    wait_for(lambda: store.get(job).latest.kind == "finish")
    for pid in sorted(processes_of(job)):
        os.kill(pid, signal.SIGKILL)

    wait_for(lambda: store.get(job).state == "finished")


def test_the_number_of_a_process_given_to_another_does_not_bring_a_job_back(started, store):
    job = started()
    for pid in sorted(processes_of(job)):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: processes_of(job) == [])
    status = store.get(job)
    replace(status.job, pid=os.getpid()).save(status.folder)

    assert store.get(job).state == "lost"


def test_a_clock_that_jumps_changes_no_state_and_no_grace(started, store, monkeypatch):
    job = started(DEAF_FAMILY)
    wait_for(lambda: store.get(job).latest.done == 1)
    now = time.time
    for jump in (-(10**8), 10**8):
        monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
        assert store.get(job).state == "running"
    store.stop(job, grace=100.0)
    assert store.get(job).state == "stopping" and 95 < store.get(job).grace_left <= 100
    store.stop(job)


# --- resume ---------------------------------------------------------------------------------------------------------

GOES_ON = """
if (folder / "checkpoint").exists():
    print("second attempt")
    events.write("finish", message="done")
else:
    (folder / "checkpoint").write_text("saved")
    print("No space left on device")
    events.write("error", message="broken")
    sys.exit(1)
"""


def test_a_failed_job_goes_on_in_its_folder_and_its_first_failure_is_forgotten(store, ended):
    first = ended(script=GOES_ON)
    assert (first.state, first.failure.kind) == ("failed", "disk")

    resumed = store.resume(first.job.id)
    assert resumed.job.attempt == 2 and resumed.folder == first.folder
    status = ended(first.job.id)

    assert (status.state, status.sentence) == ("finished", "done")
    assert (status.folder / "log.txt").read_text().splitlines()[-1] == "second attempt"


def test_the_second_attempt_fails_for_its_own_reason(store, ended):
    job = ended(script="print('CUDA out of memory' if not (folder / 'x').exists() else 'oops');"
                       "(folder / 'x').touch(); sys.exit(3)").job.id  # fmt: skip
    assert store.get(job).failure.kind == "memory"
    store.resume(job)

    assert ended(job).sentence == "stopped with exit code 3: oops"


def test_a_stopped_job_resumes_and_can_be_stopped_again(started, store, ended):
    job = started(CHECKPOINT)
    wait_for(lambda: store.get(job).latest.done == 1)
    store.stop(job)
    ended(job)
    store.resume(job)
    wait_for(lambda: store.get(job).latest is not None)
    assert store.get(job).state == "running"
    store.stop(job, grace=5.0)

    assert ended(job).state == "stopped"


def test_what_runs_or_is_finished_is_not_resumed(started, store, ended):
    with pytest.raises(OutputError, match="is running; only stopped, failed, lost"):
        store.resume(started())
    with pytest.raises(OutputError, match="is finished"):
        store.resume(ended(script="pass").job.id)


# --- whose jobs, and which ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../etc", "..", "", "/etc/passwd", "a" * 31, "A" * 32, "0" * 32 + "\n", "0" * 32])
def test_what_is_no_id_of_a_job_never_becomes_a_path(store, name, tmp_path):
    (tmp_path / "job.json").write_text("{}")
    assert not is_id(name) or name == "0" * 32
    for action in (store.get, store.stop, store.resume):
        with pytest.raises(OutputError, match="there is no job"):
            action(name)


def test_one_owner_cannot_see_stop_or_resume_anothers_job(started, store):
    job = started(owner="ann")

    assert store.jobs(owner="bob") == [] and len(store.jobs(owner="ann")) == len(store.jobs()) == 1
    for action in (store.get, store.stop, store.resume):
        with pytest.raises(OutputError, match="there is no job"):
            action(job, "bob")
    assert store.clean(0, owner="bob") == []
    assert store.get(job, "ann").state == "running"


def test_clean_removes_what_ended_long_ago_and_nothing_that_lives(started, store, ended):
    alive, old, young = started(), ended(script="pass"), ended(script="sys.exit(1)")
    for file in old.folder.iterdir():
        os.utime(file, (time.time() - 3 * 86400,) * 2)
    for file in store.get(alive).folder.iterdir():
        os.utime(file, (0, 0))

    assert store.clean(2) == [old.job.id]
    assert not old.folder.exists() and young.folder.exists() and store.get(alive).state == "running"
    assert store.clean(0) == [young.job.id]


def test_a_broken_job_file_hides_no_other_job(store, ended):
    first, second = ended(script="pass"), ended(script="pass")
    (first.folder / "job.json").write_text("{")

    assert [status.job.id for status in store.jobs()] == [second.job.id]
    assert store.submit(stand_in("pass")).job.number == 3
