"""What the events of a job tell, however they arrive."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transfer_kit.app.jobs.pace import SteadyPace
from hf_transfer_kit.app.jobs.told import Feed, Phase
from hf_transfer_kit.events import EventWriter


def line(kind, time=0.0, **fields):
    return json.dumps({"time": time, "kind": kind} | fields) + "\n"


def start(time=0.0):
    return line("start", time) + line("stage", time, stage="training", message="training full")


def step(done, total=100, time=None):
    return line("progress", float(done) if time is None else time, stage="training", done=done, total=total)


def log(done, stage="training", total=100, **values):
    return line("log", float(done), stage=stage, done=done, total=total, values=values)


def told(tmp_path, *lines):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(lines))
    return Feed(path).read()


def steps(first, last, logged=1):
    return [step(n) + (log(n, loss=1 / n, eval_accuracy=n / 100) if n % logged == 0 else "")
            for n in range(first, last + 1)]  # fmt: skip


def test_no_file_yet_tells_nothing(tmp_path):
    found = Feed(tmp_path / "none").read()

    assert (found.started, found.curves, found.phases, found.seconds_left) == (None, {}, (), None)


def test_stage_steps_and_time_left(tmp_path):
    found = told(tmp_path, start(), *(step(n, time=10.0 + 2 * n) for n in range(1, 41)))

    assert (found.stage, found.message, found.done, found.total) == ("training", "training full", 40, 100)
    assert found.seconds_left == pytest.approx(60 * 2)
    assert (found.started, found.seconds) == (0.0, 90.0)


@given(cuts=st.lists(st.integers(0, 6000), max_size=8))
def test_a_file_read_in_pieces_tells_what_one_read_at_once_does(cuts, tmp_path_factory):
    raw = "".join([start(), *steps(1, 60, logged=3), line("finish", 80.0, values={"accuracy": 0.5})]).encode()
    path = tmp_path_factory.mktemp("pieces") / "events.jsonl"
    feed = Feed(path)
    for end in [*sorted(cuts), len(raw)]:
        path.write_bytes(raw[:end])  # a cut in the middle of a line: the writer is at it
        found = feed.read()

    assert found == Feed(path).read()
    assert found.accuracy == 0.5


@given(killed=st.integers(5, 99), saved=st.integers(0, 99), logged=st.integers(1, 20))
def test_a_resumed_run_has_the_curves_and_phases_of_an_unbroken_one(killed, saved, logged, tmp_path_factory):
    saved = min(saved, killed)

    def part(first, last, good=100):
        """What was lost had other numbers than what is done again."""
        lines = []
        for n in range(first, last + 1):
            units = 1 + n // 30 if n <= good else 99
            lines.append(step(n))
            if n % logged == 0:
                lines.append(log(n, loss=1 / n if n <= good else 9.0))
                lines.append(log(n, open_blocks=units, trainable_parameters=units))
        return lines

    folder = tmp_path_factory.mktemp("resumed")
    unbroken = told(folder, start(), *part(1, 100))
    lost = [*part(1, killed, good=saved), line("error", message="interrupted")]
    broken = told(folder, start(), *lost, start(), *part(saved + 1, 100))

    assert broken.curves == unbroken.curves
    assert broken.phases == unbroken.phases


def test_a_resumed_run_that_dies_before_its_first_step_keeps_its_curves(tmp_path):
    found = told(tmp_path, start(), *steps(1, 40), start(), line("error", message="disk full"))

    assert [at for at, _ in found.curves["loss"]][-1] == 40
    assert found.message == "disk full"


def test_where_it_stopped_is_still_told_after_an_error(tmp_path):
    found = told(tmp_path, start(), step(40), line("error", message="interrupted"))

    assert (found.done, found.total, found.message) == (40, 100, "interrupted")


def test_torn_lines_are_left_out(tmp_path):
    found = told(tmp_path, start(), log(1, loss=1.0), '{"time": 3, "kind": "lo\n', "\x00\n", log(2, loss=0.5))

    assert found.curves["loss"] == ((1, 1.0), (2, 0.5))


def test_learning_the_old_data_is_no_part_of_the_curves(tmp_path):
    found = told(tmp_path, line("start"), log(90, stage="old data", loss=9.0), start(), log(1, loss=1.0))

    assert found.curves == {"loss": ((1, 1.0),)}


def test_scores_of_old_tasks_are_curves_and_speeds_are_not(tmp_path):
    found = told(tmp_path, start(), log(1, old_a_accuracy=0.9, forgetting=0.1, eval_runtime=3.0, grad_norm=2.0))

    assert found.curves == {"old_a_accuracy": ((1, 0.9),), "forgetting": ((1, 0.1),)}


def test_a_phase_begins_after_the_last_step_that_was_seen_before_it(tmp_path):
    lines = [log(at, open_blocks=units, trainable_parameters=10 * units) for at, units in ((8, 1), (16, 1), (24, 3))]

    assert told(tmp_path, start(), *lines).phases == (
        Phase(step=0, open_blocks=1, trainable_parameters=10),
        Phase(step=16, open_blocks=3, trainable_parameters=30),
    )


def test_a_long_job_leaves_little_in_memory(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as events:
        for n in range(1, 20_001):
            events.write("log", stage="training", done=n, total=20_000, loss=1 / n, eval_accuracy=0.5)
    tracemalloc.start()
    feed = Feed(path)
    found = feed.read()
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert all(len(points) <= 300 for points in found.curves.values())
    assert kept < 300_000  # bytes; the file has 3 million
    assert most < 3_000_000


clock = st.lists(st.tuples(st.integers(1, 20), st.floats(-1e6, 1e6)), min_size=1, max_size=50)


@given(clock)
def test_time_left_is_never_negative_whatever_the_clock_does(gaps):
    pace, done, time = SteadyPace(), 0, 0.0
    for units, seconds in gaps:
        done, time = done + units, time + seconds
        pace.add(done, time)
        assert (pace.left(done, 2000) or 0.0) >= 0.0


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_changes_the_time_left_by_little(jump):
    pace = SteadyPace()
    for done in range(1, 101):
        pace.add(done, 2.0 * done + (jump if done > 50 else 0.0))

    assert pace.left(100, 200) == pytest.approx(200.0, rel=0.02)


def test_the_time_worked_counts_no_time_between_attempts_and_none_backwards(tmp_path):
    lines = [
        line("start", 10.0),
        line("stage", 20.0),
        line("start", 500.0),
        line("stage", 505.0),
        line("stage", 400.0),
    ]

    assert told(tmp_path, *lines).seconds == 15.0
