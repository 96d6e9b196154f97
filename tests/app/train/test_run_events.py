"""What the buttons of a run do, without a browser, on jobs of stand-ins."""

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")

from launch.at_work import STAND_IN, processes_of, stand_in, wait_for

from hf_transfer_kit.app.jobs.feed import Feeds
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train import run_events
from hf_transfer_kit.app.train.needs import Needs, needs_card
from hf_transfer_kit.app.train.plan_text import demo_text
from hf_transfer_kit.app.train.run_events import RunEvents
from hf_transfer_kit.launch.queue import Limits
from hf_transfer_kit.launch.store import JobStore
from hf_transfer_kit.plan import DataSpec, Majority, TransferPlan

PLAN = TransferPlan(data=DataSpec(path="a.csv"), approach=Majority())
ME, YOU = "a" * 32, "b" * 32
HERE = ["This machine, CPU", 1, "", "", ""]
STEPS = """
events.write("stage", stage="training", message="training full")
for n in range(1, 6):
    events.write("progress", stage="training", done=n, total=5)
    events.write("log", stage="training", done=n, total=5, loss=1 / n)
"""
CARD, STOP, RESUME, COMPARE, PICTURES, RESULT, COMMAND, LOG, RUNS, HISTORY, CLOCK = range(11)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN.parents[2]))
    settings = Settings(runs=tmp_path, shared=True)
    JobStore(tmp_path / "jobs", Limits(per_owner=5, in_all=5))
    yield settings
    for status in settings.jobs.jobs():
        settings.jobs.stop(status.job.id, grace=0)
        wait_for(lambda: not processes_of(status.job.id))  # noqa: B023


@pytest.fixture
def act(settings):
    return RunEvents(settings, Feeds(settings.jobs))


def run(settings, script, owner=ME):
    return settings.jobs.submit(stand_in(script), plan=PLAN, owner=owner, title="mine").job.id


def asked(page="page", **query):
    return SimpleNamespace(session_hash=page, query_params=query)


def everything(stream):
    async def all_of():
        return [values async for values in stream]

    return asyncio.run(all_of())


def test_a_run_is_watched_to_its_end(settings, act):
    job = run(settings, STEPS + "time.sleep(0.3)")
    sent = everything(act.watch(job, ME, asked()))
    whole = act.whole(job, ME)

    assert "Finished" in whole[CARD] and "0.200" in whole[PICTURES]
    assert sent[-1][CLOCK] == whole[CLOCK] == {"active": False, "__type__": "update"}
    assert sent[-1][RUNS]["choices"] == [("1. mine · finished", job)]
    assert [whole[button]["interactive"] for button in (STOP, RESUME, COMPARE)] == [False, False, True]


def test_the_stream_of_a_run_ends_when_another_one_is_chosen(settings, act):
    first, second = (run(settings, "time.sleep(60)") for _ in range(2))
    act.choose(first, ME, asked())

    async def leave():
        seen = []
        async for values in act.watch(first, ME, asked()):
            seen.append(values)
            act.choose(second, ME, asked())
        return seen

    assert len(asyncio.run(asyncio.wait_for(leave(), 10))) == 1


def test_the_page_opens_with_the_run_of_its_address_then_its_last_one_then_the_newest(settings, act):
    first, second = (run(settings, "pass") for _ in range(2))

    assert act.open("", ME, asked(job=first))[0] == first
    assert act.open(first, ME, asked())[0] == first
    for wrong in ("", "0" * 32, "../../etc"):
        assert act.open(wrong, ME, asked(job=wrong))[0] == second
    assert act.open("", YOU, asked())[0] == ""


def test_nobody_sees_stops_or_resumes_the_run_of_another(settings, act, monkeypatch):
    monkeypatch.setattr(run_events.gr, "Warning", lambda text: None)
    job = run(settings, "time.sleep(60)")
    for shown in (act.choose(job, YOU, asked())[1:], act.stop(job, YOU), act.resume(job, YOU), act.whole(job, "")):
        assert "not here" in shown[CARD]
        assert shown[LOG] == ""
        assert "mine" not in shown[HISTORY]
    assert settings.jobs.get(job).state == "running"


def test_stop_resume_and_what_the_buttons_can_do(settings, act):
    job = run(settings, "signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STEPS + "time.sleep(60)")
    wait_for(lambda: "step 5 of 5" in act.whole(job, ME)[CARD])

    assert "A second click" in act.stop(job, ME)[CARD]
    act.stop(job, ME)
    stopped = wait_for(lambda: (w := act.whole(job, ME))[RESUME]["interactive"] and w)
    assert "at step 5 of 5" in stopped[CARD] and not stopped[STOP]["interactive"]
    wait_for(lambda: not processes_of(job))

    resumed = act.resume(job, ME)
    assert resumed[CLOCK] == {"active": True, "__type__": "update"}
    assert "Starting" in resumed[CARD] or "step" in resumed[CARD]
    assert resumed[STOP]["interactive"]


def test_what_a_run_prints_is_shown_as_text_and_without_the_places_of_this_machine(settings, act):
    job = run(settings, f"print('<script>', {str(settings.runs)!r} + '/x.csv'); sys.stdout.flush()")
    whole = wait_for(lambda: (w := act.whole(job, ME))[COMPARE]["interactive"] and w)

    assert "&lt;script&gt; x.csv" in whole[LOG]
    assert str(settings.runs) not in whole[LOG] + whole[CARD] + whole[HISTORY] + str(whole[RUNS])


def test_start_makes_a_job_of_the_plan(settings, act, monkeypatch):
    monkeypatch.setattr("hf_transfer_kit.launch.store.advance", lambda root: [])
    _, job, *whole = act.start(asked(), demo_text(), None, ME, "", *HERE)

    assert settings.jobs.get(job, ME).job.title == "full · all-MiniLM-L6-v2 · demo sentences"
    assert "Waits for its turn" in whole[CARD]
    assert whole[RUNS]["value"] == job


def test_a_plan_that_is_wrong_is_not_started(settings, act):
    for text in ("", demo_text().replace("demo sentences", "/etc/passwd")):
        said = act.start(asked(), text, None, ME, "", *HERE)[0]
        assert 'role="alert"' in said
    assert settings.jobs.jobs() == []
    assert "reload it" in act.start(asked(), demo_text(), None, "no mark", "", *HERE)[0]


def test_an_estimate_is_a_job_of_its_own_and_no_run(settings, act, monkeypatch):
    needs = Needs(memory=2**30, parts="weights 1.0 GiB = 1.0 GiB", free=2**29, epoch_seconds=9.0, forecast="estimate")
    script = f"from hf_transfer_kit.app.train.needs import Needs; Needs(**{as_mapping(needs)!r}).save(folder)"
    script = script.replace("save(folder)", "save(__import__('pathlib').Path(folder))")
    monkeypatch.setattr(run_events.estimating, "command", lambda plan, n, gpu, folder: stand_in(script)(folder))
    sent = everything(act.estimate(demo_text(), None, ME, *HERE))

    assert sent[-1][0] == needs_card(needs)
    assert "1.0 GiB" in sent[-1][0] and "more than is free" in sent[-1][0] and "9.0 s an epoch" in sent[-1][0]
    assert act.whole("", ME)[RUNS]["choices"] == []


def as_mapping(needs):
    return {name: getattr(needs, name) for name in Needs.__slots__}


def test_what_cannot_be_estimated_is_said(act):
    assert 'role="alert"' in everything(act.estimate("", None, ME, *HERE))[-1][0]


def test_processes_on_one_cpu_share_its_memory():
    assert Needs(memory=6, free=10).fits
    assert not Needs(memory=6, free=10, processes=2).fits
    assert Needs(memory=6, free=10, processes=2, gpu=True).fits
