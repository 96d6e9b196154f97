import re

import pytest
from typer.testing import CliRunner

from hf_transfer_kit.cli import app
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.memory.pilot import forecast, forecast_from_events, short_plan, whole_steps
from hf_transfer_kit.plan import DataSpec, Features, Full, ModelSpec, Training, TransferPlan


def plan(**training):
    return TransferPlan(
        data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Full(), training=Training(**training)
    )


def test_equal_steps_give_a_forecast_without_a_range():
    found = forecast([50.0, *[2.0] * 10], steps=1000, other_seconds=30, dollars_per_hour=1.8)

    assert found.seconds == found.low == found.high == 2030
    assert found.dollars == pytest.approx((1.015, 1.015, 1.015))
    assert str(found).startswith("estimate from 10 of 1000 steps: 33 min 50 s")


def test_unequal_steps_widen_the_range_around_the_mean():
    found = forecast([9.0, *[1.0, 3.0] * 10], steps=100)

    assert found.seconds == 200 and found.low == 100 and found.high == 300 and found.dollars is None


def test_events_of_a_run_tell_the_same(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("hf_transfer_kit.events.time.time", lambda: clock[0])
    with EventWriter(tmp_path / "events.jsonl") as events:
        for attempt in range(2):  # the first was killed
            events.write("start")
            clock[0] += 20
            for done in (1, 2, 3, 5, 6) if attempt else (1, 2):  # two steps were told of at once
                events.write("progress", stage="training", done=done, total=6)
                clock[0] += 8.0 if done == 3 else 4.0
            events.write("progress", stage="scoring", done=1, total=1)
    found = forecast_from_events(tmp_path / "events.jsonl", steps=100)

    assert found.seconds == 20 + 100 * 4 and found.measured == 5
    assert forecast_from_events(tmp_path / "events.jsonl").steps == 6


def test_the_pilot_has_the_batches_of_the_whole():
    short = short_plan(plan(batch_size=8, epochs=4), steps=20)

    assert short.data.train_size == 160 and short.training.batch_size == 8
    assert whole_steps(short, rows=160) == 20


def test_a_pilot_of_few_rows_passes_them_until_there_is_something_to_measure():
    short = short_plan(plan(batch_size=8, epochs=4), steps=20, rows=12)

    assert short.data.train_size == 12 and whole_steps(short, rows=12) == 4


def test_the_seconds_after_training_count_once(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("hf_transfer_kit.events.time.time", lambda: clock[0])
    with EventWriter(tmp_path / "events.jsonl") as events:
        events.write("start")
        for done in (1, 2, 3, 4):
            clock[0] += 2
            events.write("progress", stage="training", done=done, total=4)
        clock[0] += 50
        events.write("finish")

    assert forecast_from_events(tmp_path / "events.jsonl", steps=100).seconds == 2 + 50 + 100 * 2


def test_run_with_pilot_prints_a_forecast_of_the_whole_and_leaves_nothing(text_csv, tiny_bert, tmp_path, monkeypatch):
    whole = TransferPlan(
        data=DataSpec(path=str(text_csv)), model=ModelSpec(name=str(tiny_bert)), approach=Full(),
        training=Training(batch_size=8, epochs=500, min_steps=0),
    )  # fmt: skip
    whole.save(tmp_path / "plan.yaml")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "plan.yaml", "--pilot", "--dollars-per-hour", "3600"])

    assert done.exit_code == 0, done.output
    found = re.fullmatch(
        r"estimate from (\d+) of (\d+) steps: .+, \$([\d.]+) \(.+\) at \$3600 an hour, .+ of memory, .+\n", done.stdout
    )
    assert found and int(found[1]) <= 20 and int(found[2]) % 500 == 0 and float(found[3]) > 0
    assert [file.name for file in tmp_path.iterdir()] == ["plan.yaml"]


def test_the_steps_of_a_small_set_are_at_least_the_fewest():
    assert whole_steps(plan(batch_size=16, epochs=2, min_steps=100), rows=40) == 102  # 34 passes of 3 batches
    assert whole_steps(plan(batch_size=16, epochs=2, min_steps=0), rows=40) == 6


def test_too_little_is_no_pilot(tmp_path):
    with pytest.raises(DataError, match="2 steps are too few"):
        forecast([1.0, 1.0], steps=10)
    with pytest.raises(DataError, match="too few training steps"):
        forecast_from_events(tmp_path / "events.jsonl")
    with pytest.raises(PlanError, match="takes no training steps"):
        short_plan(TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="m"), approach=Features()))
    with pytest.raises(PlanError, match="none may be negative"):
        forecast([1.0] * 5, steps=0)
