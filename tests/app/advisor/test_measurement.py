"""Measuring is a job of its own; its result is read from its folder, and only by whom it belongs to."""

import sys
import time
from dataclasses import replace

import pytest
from advisor.made_rankings import candidate, ranking
from typer.testing import CliRunner

from hf_transfer_kit.advisor.at_hand.measuring import evidence_of
from hf_transfer_kit.advisor.evidence import FILE, Evidence
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor import measuring
from hf_transfer_kit.app.advisor.at_hand import with_data
from hf_transfer_kit.app.advisor.measuring_card import measuring_card
from hf_transfer_kit.app.advisor.visit import Visit, restored
from hf_transfer_kit.app.data.chosen import ChosenData, demo
from hf_transfer_kit.app.jobs.feed import Feeds
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.cli import app
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.launch.state import ALIVE
from hf_transfer_kit.plan import DataSpec

MARK, OTHER = "a" * 32, "b" * 32
FACTS = TaskFacts(modality="text", task="classification", n_labelled=120, n_classes=2, language="en")


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path / "runs", shared=True)


@pytest.fixture
def evidence():
    return evidence_of(ranking(candidate("me/best", 0.995, half=0.01)))


def at_hand(chosen):
    return with_data(Visit(), chosen, FACTS, measurable=True)


def ended(settings, job_id):
    for _ in range(900):
        if (status := settings.jobs.get(job_id)).state not in ALIVE:
            return status
        time.sleep(0.1)
    raise TimeoutError(job_id)


def job_with(settings, evidence=None, code=0, mark=MARK):
    """A job that ended with `code` and left `evidence`."""
    status = settings.jobs.submit(
        lambda folder: [sys.executable, "-c", f"raise SystemExit({code})"], owner=settings.owner_of(mark)
    )
    if evidence is not None:
        evidence.save(status.folder / FILE)
    ended(settings, status.job.id)
    return status.job.id


def test_what_the_command_leaves_in_the_folder_of_the_job_reaches_the_advice(settings, tiny_bert, text_csv):
    data = ChosenData(name="mine.csv", spec=DataSpec(path=str(text_csv)))
    job = job_with(settings)
    folder = settings.jobs.get(job).folder
    command = measuring.rank_command(data, (str(tiny_bert),), 1000, folder)
    assert CliRunner().invoke(app, command[3:]).exit_code == 0

    visit = replace(at_hand(data), job=job)
    after = measuring.taken_in(restored(visit.to_mapping()), settings, MARK)
    found = after.consultation.evidence
    assert found == replace(Evidence.load(folder / FILE), data="mine.csv")
    assert found.candidates[0].name == str(tiny_bert)
    assert "Measured on" in after.consultation.turns[-1].answer
    glance = Feeds(settings.jobs).glance(job, settings.owner_of(MARK))
    assert glance.over and glance.message == "measured" and measuring_card(glance, data) == ""


def test_starting_submits_that_command_for_the_visitor(settings, monkeypatch):
    asked = []

    def quick(*given):
        asked.append(given)
        return [sys.executable, "-c", ""]

    monkeypatch.setattr(measuring, "rank_command", quick)
    started = measuring.start(at_hand(demo()), demo(), settings, MARK)
    job = settings.jobs.get(started.job, settings.owner_of(MARK))

    assert started.is_measuring
    data, names, rows, folder = asked[0]
    assert (data, rows, folder) == (demo(), 1000, job.folder)
    assert MODEL in names


def test_the_command_reads_the_data_as_they_were_chosen_to_be_read(tmp_path):
    data = ChosenData(name="m", spec=DataSpec(path="/d/m.csv", label_column="--odd", drop_rare=True, split_seed=3))
    command = measuring.rank_command(data, ["a/b", "c/d"], 1540, tmp_path)

    assert {"--data=/d/m.csv", "--models=a/b,c/d", "--max-rows=1540", "--label-column=--odd", "--drop-rare",
            "--split-seed=3", f"--out={tmp_path}"} <= set(command)  # fmt: skip
    assert command[3] == "rank"


def test_a_measurement_changes_the_advice_once_and_says_so(settings, evidence):
    visit = replace(at_hand(demo()), job=job_with(settings, evidence))
    after = measuring.taken_in(visit, settings, MARK)

    assert (visit.consultation.advice().method, after.consultation.advice().method) == ("top_layers", "features")
    assert "The advice changes:" in after.consultation.turns[-1].answer
    assert measuring.taken_in(after, settings, MARK) == after


def test_after_a_reload_the_evidence_comes_from_the_job_again(settings, evidence):
    visit = measuring.taken_in(replace(at_hand(demo()), job=job_with(settings, evidence)), settings, MARK)

    again = measuring.with_evidence(restored(visit.to_mapping()), settings, MARK)
    assert again == visit
    assert again.consultation.evidence.data == demo().name


def test_the_measurement_of_another_visitor_is_not_there(settings, evidence):
    job = job_with(settings, evidence)
    visit = replace(at_hand(demo()), job=job, measured=job)

    assert measuring.with_evidence(visit, settings, OTHER).consultation.evidence is None
    assert measuring.taken_in(replace(visit, measured=""), settings, OTHER) == at_hand(demo())
    assert measuring.evidence_in(visit, job, settings, "no mark") is None


def test_one_that_came_to_nothing_is_forgotten_so_that_another_may_begin(settings):
    visit = replace(at_hand(demo()), job=job_with(settings, code=1))

    assert measuring.taken_in(visit, settings, MARK) == at_hand(demo())


def test_why_nothing_was_measured_is_said_without_the_place_of_the_data(settings, tmp_path):
    place = tmp_path / "secret.csv"
    status = settings.jobs.submit(
        lambda folder: [sys.executable, "-c", f"raise SystemExit('transfer-kit: {place} cannot be read.')"],
        owner=settings.owner_of(MARK),
    )
    ended(settings, status.job.id)
    glance = Feeds(settings.jobs).glance(status.job.id, settings.owner_of(MARK))
    card = measuring_card(glance, ChosenData(name="mine.csv", spec=DataSpec(path=str(place))))

    assert "Nothing was measured" in card
    assert str(place) not in card


def test_where_launching_is_off_only_the_demo_model_is_measured_and_only_on_the_demo_data(tmp_path):
    public = Settings(runs=tmp_path, shared=True, launching=False)
    mine = ChosenData(name="mine.csv", spec=DataSpec(path="/d/mine.csv"))

    assert measuring.candidates(at_hand(demo()), demo(), public) == (MODEL,)
    with pytest.raises(PlanError, match="only small runs on the demo data"):
        measuring.start(at_hand(mine), mine, public, MARK)
    assert not measuring.may_measure(at_hand(mine), mine, public)
    assert not (tmp_path / "jobs").exists()


def test_without_data_nothing_is_started(settings):
    with pytest.raises(DataError, match="choose the data first"):
        measuring.start(Visit(), None, settings, MARK)
