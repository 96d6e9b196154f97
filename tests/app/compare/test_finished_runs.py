"""Which runs a visitor sees, what they are called, and which of them can be compared."""

import os
from dataclasses import replace

import pytest
from synthetic_records import make_old, make_record

from hf_transfer_kit.app.compare import finished_runs as module
from hf_transfer_kit.app.compare.finished_runs import chosen_runs, finished_runs, on_the_split_of
from hf_transfer_kit.app.compare.names import names_of
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import FormatError, OutputError
from hf_transfer_kit.launch.job import Job, new_id
from hf_transfer_kit.plan import EwcSettings, FewShot, Full, Majority, Protection
from hf_transfer_kit.records import RunRecord

RIGHT = [1] * 12 + [0] * 8
ANN, BOB = "a" * 32, "b" * 32


def save(folder, name, record, age=0):
    """A run that finished `age` seconds ago."""
    record.save(folder / name / "record.json")
    changed = 1_700_000_000 - age
    os.utime(folder / name / "record.json", (changed, changed))


def job(folder, owner):
    """The id of a job that belongs to `owner`."""
    number = new_id()
    (folder / "jobs" / number).mkdir(parents=True)
    Job(id=number, number=1, command=("true",), directory="/", owner=owner).save(folder / "jobs" / number)
    return number


@pytest.fixture
def settings(tmp_path):
    save(tmp_path, "study/runs/one", make_record(RIGHT), age=1)
    save(tmp_path, "study/runs/two", make_record([1] * 20, model="hub/other"), age=2)
    save(tmp_path, "single", make_record(RIGHT, test_hash="d" * 64), age=3)
    return Settings(runs=tmp_path)


def ids(runs):
    return [run.id for run in runs]


def test_runs_are_found_wherever_they_lie_the_newest_first_and_broken_records_left_out(settings):
    (settings.runs / "broken").mkdir()
    (settings.runs / "broken" / "record.json").write_text("{}")

    assert ids(finished_runs(settings, "")) == ["study/runs/one", "study/runs/two", "single"]


def test_what_lies_in_models_checkpoints_and_uploads_is_no_run(settings):
    for place in ("uploads/mine", "single/model", "other/checkpoints/7", ".hidden"):
        save(settings.runs, place, make_record(RIGHT))

    assert len(finished_runs(settings, "")) == 3


def test_jobs_are_runs_too_alone_or_with_several(settings):
    single, several = job(settings.runs, ""), job(settings.runs, "")
    save(settings.runs, f"jobs/{single}", make_record(RIGHT))
    save(settings.runs, f"jobs/{several}/runs/a/b", make_record([1] * 20))
    runs = finished_runs(settings, "")

    assert [run.id for run in runs if run.is_of_job(several)] == [f"jobs/{several}/runs/a/b"]
    assert [run.id for run in runs if run.is_of_job(single)] == [f"jobs/{single}"]
    assert not any(run.is_of_job(single[:8]) for run in runs)


def test_in_a_shared_app_each_visitor_sees_their_own_jobs_alone(settings):
    mine, other = job(settings.runs, ANN), job(settings.runs, BOB)
    save(settings.runs, f"jobs/{mine}", make_record(RIGHT))
    save(settings.runs, f"jobs/{other}", make_record(RIGHT))
    shared = replace(settings, shared=True)

    assert ids(finished_runs(shared, ANN)) == [f"jobs/{mine}"]
    assert ids(finished_runs(shared, BOB)) == [f"jobs/{other}"]
    with pytest.raises(OutputError):
        finished_runs(shared, "")


@pytest.mark.parametrize("wanted", ["../single", "/etc", "study", "", "single/", "./single"])
def test_only_ids_of_the_list_are_taken(settings, wanted):
    with pytest.raises(FormatError, match="no finished run"):
        chosen_runs(finished_runs(settings, ""), [wanted])


def test_a_record_is_read_again_only_where_it_has_changed(settings, monkeypatch):
    module._facts.cache_clear()
    read, load = [], RunRecord.load
    monkeypatch.setattr(module.RunRecord, "load", lambda file: read.append(file) or load(file))

    for _ in range(3):
        finished_runs(settings, "")
    assert len(read) == 3

    save(settings.runs, "single", make_record([1] * 20), age=0)
    assert {run.id: run.facts.accuracy for run in finished_runs(settings, "")}["single"] == 1.0
    assert len(read) == 4


def test_what_is_on_the_split_of_a_run_has_the_same_rows_and_each_setting_once(settings):
    save(settings.runs, "again", make_record(RIGHT), age=9)
    runs = finished_runs(settings, "")

    assert ids(on_the_split_of(runs, runs[0])) == ["study/runs/one", "study/runs/two"]  # "again" repeats "one"
    (again,) = chosen_runs(runs, ["again"])
    assert ids(on_the_split_of(runs, again)) == ["again", "study/runs/two"]


def test_runs_that_start_from_other_old_skill_are_left_out_and_controls_are_not(tmp_path):
    old, protected = make_old([1, 1, 1, 0], [1, 0, 0, 0]), Protection(ewc=EwcSettings())
    save(tmp_path, "new", make_record(RIGHT, Full()), age=1)
    save(tmp_path, "kept", make_record(RIGHT, Full(), old=old, protection=protected), age=2)
    save(tmp_path, "lost", make_record(RIGHT, Full(), old=old), age=3)
    save(tmp_path, "control", make_record(RIGHT, Majority()), age=4)
    runs = {run.id: run for run in finished_runs(Settings(runs=tmp_path), "")}

    for first, others in {"new": ["control"], "kept": ["lost", "control"], "control": ["new"]}.items():
        assert ids(on_the_split_of(list(runs.values()), runs[first])) == [first, *others]


def test_names_hold_what_tells_runs_apart_and_no_more(settings):
    one, two, _ = finished_runs(settings, "")
    assert names_of([one, two]) == {one.id: "features · mini", two.id: "features · other"}
    assert names_of([one]) == {one.id: "features"}

    save(settings.runs, "small", make_record(RIGHT, FewShot(shots=4), train_size=50))
    small = next(run for run in finished_runs(settings, "") if run.id == "small")
    assert names_of([one, small]) == {one.id: "features · 100 rows", small.id: "few_shot (4 shots) · 50 rows"}


def test_names_differ_even_where_runs_do_not(settings):
    save(settings.runs, "again", make_record(RIGHT))
    names = names_of(finished_runs(settings, ""))

    assert len(set(names.values())) == len(names) == 4


def test_the_hash_of_what_answers_belongs_to_the_run(settings):
    one, _, _ = finished_runs(settings, "")
    assert one.weights == ""
    (one.folder / "model").mkdir()
    (one.folder / "model" / "head.safetensors").write_bytes(b"1")

    assert len(one.weights) == 12
