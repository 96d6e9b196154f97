"""From the page to a job: the command that is shown is the one that runs; strangers learn nothing of this machine."""

import shlex
import sys

import pytest

from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.starting import (
    GPU,
    HUB,
    Place,
    check,
    command_for,
    is_run,
    place_of,
    shown_command,
    start,
    stop,
)
from hf_transfer_kit.demo import demo_data
from hf_transfer_kit.errors import OutputError, PlanError
from hf_transfer_kit.launch.queue import Limits
from hf_transfer_kit.launch.store import JobStore
from hf_transfer_kit.plan import DataSpec, Full, Majority, ModelSpec, TransferPlan

PLAN = TransferPlan(data=DataSpec(path=str(demo_data())), approach=Majority())
FULL = TransferPlan(data=DataSpec(path="org/d"), model=ModelSpec(name="org/m"), approach=Full())


@pytest.fixture
def settings(tmp_path):
    """Nothing begins: another job has the only place."""
    JobStore(tmp_path / "jobs", Limits(per_owner=1, in_all=1))
    return Settings(runs=tmp_path)


@pytest.fixture
def submitted(monkeypatch):
    """Jobs are only written down."""
    monkeypatch.setattr("hf_transfer_kit.launch.store.advance", lambda root: [])


def test_the_shown_command_is_the_one_that_runs(settings, submitted):
    for place in (Place(), Place(processes=2)):
        status = start(PLAN if place.processes == 1 else FULL, place, "d", settings, "")
        words = shlex.split(command_for(place))
        run = [str(status.folder) + word[3:] if word.startswith("run") else word for word in words]
        run = [sys.executable if word == "python" else word for word in run]

        assert [word for word in run if "=" not in word] == list(status.job.command)
        assert {word for word in run if "=" in word} == {f"{k}={v}" for k, v in status.job.environment.items()}


def test_strangers_see_no_place_of_this_machine(settings, submitted, tmp_path):
    status = start(PLAN, Place(), "demo sentences", settings, "")

    assert str(tmp_path) in shown_command(status, settings)
    public = shown_command(status, Settings(runs=tmp_path, shared=True))
    assert str(tmp_path) not in public and sys.executable not in public
    assert public.endswith("python -m hf_transfer_kit.run run/plan.yaml --out run")


def test_a_job_is_called_by_what_it_does(settings, submitted):
    status = start(FULL, Place(), "my.csv", settings, "owner")

    assert (status.job.title, status.job.owner) == ("full · m · my.csv", "owner")
    assert is_run(status)


def test_one_does_not_stop_the_run_of_another(settings, submitted):
    status = start(PLAN, Place(), "d", settings, "me")

    with pytest.raises(OutputError, match="there is no job"):
        stop(status.job.id, settings, "you")
    assert stop(status.job.id, settings, "me").state == "stopped"


def test_a_run_on_the_hub_needs_a_place_for_its_result():
    with pytest.raises(PlanError, match="ORG/NAME"):
        check(FULL, Place(where=HUB), Settings())
    check(FULL, Place(where=HUB, repo="org/result"), Settings())
    assert "--on hf-jobs --flavor t4-small --timeout 2h --repo org/result" in command_for(
        Place(where=HUB, repo="org/result")
    )


@pytest.mark.parametrize("processes", [0, -1, 65])
def test_a_number_of_processes_that_makes_no_sense_is_refused(processes):
    with pytest.raises(PlanError, match="processes"):
        check(FULL, Place(processes=processes), Settings())


def test_empty_fields_are_as_they_were_at_first():
    assert place_of(["This machine, CPU", None, "", None, " "]) == Place(processes=0)
    assert place_of([GPU, 2.0, "a10g", "1h", "o/r"]) == Place(
        where=GPU, processes=2, flavor="a10g", timeout="1h", repo="o/r"
    )
