"""Looks at real jobs: whose they are, what changes, what is read."""

import pytest
from launch.at_work import STAND_IN, stand_in, wait_for

from hf_transfer_kit.app.jobs.feed import Feeds
from hf_transfer_kit.app.jobs.job_card import job_card, log_tail
from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.launch.queue import Limits
from hf_transfer_kit.launch.store import JobStore

TRAINING = """
events.write("stage", stage="training", message="training full")
for n in range(1, 41):
    events.write("progress", stage="training", done=n, total=100)
    events.write("log", stage="training", done=n, total=100, loss=1 / n)
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN.parents[2]))
    store = JobStore(tmp_path / "jobs", Limits(per_owner=1, in_all=1))
    yield store
    for status in store.jobs():
        store.stop(status.job.id, grace=0)
        wait_for(lambda: store.get(status.job.id).state not in ("running", "stopping"))  # noqa: B023


def begun(store, script, **settings):
    job_id = store.submit(stand_in(script), **settings).job.id
    feeds = Feeds(store)
    wait_for(lambda: feeds.glance(job_id, None).started is not None)
    return job_id


def test_a_job_at_work_is_followed_and_shown(store):
    job_id = begun(store, TRAINING + "print('line <b>'); sys.stdout.flush(); time.sleep(60)", title="<i>mine</i>")
    feeds = Feeds(store)
    glance = wait_for(lambda: (g := feeds.glance(job_id, "")).done == 40 and g.log_bytes and g)

    assert glance.status.state == "running"
    assert not glance.over
    assert glance.curves["loss"] == tuple((n, 1 / n) for n in range(1, 41))
    assert "&lt;i&gt;mine" in job_card(glance) and "step 40 of 100" in job_card(glance)
    assert log_tail(glance.status).strip() == "line <b>"


def test_the_same_object_comes_back_while_nothing_changes(store):
    job_id = begun(store, "time.sleep(60)")
    feeds = Feeds(store)
    first = feeds.glance(job_id, "")

    assert all(feeds.glance(job_id, "") is first for _ in range(20))


def test_two_servers_see_the_same(store):
    job_id = begun(store, TRAINING)
    feeds = Feeds(store)
    glance = wait_for(lambda: (g := feeds.glance(job_id, "")).over and g)

    assert Feeds(JobStore(store.root)).glance(job_id, "") == glance
    assert glance.seconds_left is None


def test_nobody_sees_the_job_of_another(store):
    job_id = begun(store, "time.sleep(60)", owner="me")
    feeds = Feeds(store)
    assert feeds.glance(job_id, "me").status.job.owner == "me"

    with pytest.raises(OutputError, match="there is no job"):
        feeds.glance(job_id, "you")


@pytest.mark.parametrize("job_id", ["../../etc", "", "0" * 32])
def test_an_id_that_is_none_is_refused(store, job_id):
    with pytest.raises(OutputError, match="there is no job"):
        Feeds(store).glance(job_id, None)


def test_a_job_that_waits_says_how_many_are_before_it(store):
    begun(store, "time.sleep(60)")
    first, second = (store.submit(stand_in("time.sleep(60)")).job.id for _ in range(2))

    assert [Feeds(store).glance(job_id, "").ahead for job_id in (first, second)] == [0, 1]
    assert "it is the next" in job_card(Feeds(store).glance(first, ""))
    assert "1 job is before it" in job_card(Feeds(store).glance(second, ""))


def test_stopping_shows_the_grace_time_and_a_failure_its_remedy(store):
    job_id = begun(store, "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    feeds = Feeds(store)
    store.stop(job_id, grace=20)
    shown = job_card(wait_for(lambda: (g := feeds.glance(job_id, "")).status.state == "stopping" and g))
    assert "Stopping" in shown and "is ended by force" in shown and "A second click" in shown
    store.stop(job_id)
    assert "Stopped" in job_card(wait_for(lambda: (g := feeds.glance(job_id, "")).over and g))

    failed = begun(store, "events.write('error', message='the disk is full'); sys.exit(2)")
    shown = job_card(wait_for(lambda: (g := feeds.glance(failed, "")).over and g))
    assert "Failed" in shown and "make room" in shown


def test_few_feeds_are_kept(store, monkeypatch):
    monkeypatch.setattr("hf_transfer_kit.app.jobs.feed.MOST_FEEDS", 2)
    ids = [store.submit(stand_in("pass")).job.id for _ in range(4)]
    feeds = Feeds(store)
    for job_id in ids * 2:
        feeds.glance(job_id, "")

    assert len(feeds._looks) == 2
