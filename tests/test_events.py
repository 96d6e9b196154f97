"""Events: whole lines, readable after a power cut, and seconds that add up over attempts."""

import json
from pathlib import Path

import pytest

from hf_transfer_kit import events as events_module
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.events import FORMAT, VERSION, EventFollower, EventWriter, parse_event, read_events, seconds_spent


def write_lines(path: Path, *lines: dict | str) -> None:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))


def test_what_is_written_is_read(tmp_path: Path):
    path = tmp_path / "run" / "events.jsonl"
    with EventWriter(path) as events:
        events.write("start", message="line one\nline two ☃ caf\udce9")
        events.write("log", stage="training", done=3, total=9, loss=0.5, broken=float("nan"), endless=float("inf"))
        events.write("error")
    first, second, third = read_events(path)
    assert (first.kind, first.message, first.values) == ("start", "line one\nline two ☃ caf\udce9", {})
    assert (second.stage, second.done, second.total, second.values) == ("training", 3, 9, {"loss": 0.5})
    assert (third.kind, third.done, third.total, third.message) == ("error", 0, 0, "")
    assert first.time <= second.time <= third.time
    assert len(path.read_bytes().splitlines()) == 3


def test_a_line_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path):
    with EventWriter(tmp_path / "e") as events:
        events.write("start", message="x" * 10_000)
        assert [event.kind for event in read_events(tmp_path / "e")] == ["start"]


def test_the_first_line_alone_names_the_format(tmp_path: Path):
    for _ in range(2):
        with EventWriter(tmp_path / "e") as events:
            events.write("start")
            events.write("finish")
    lines = [json.loads(line) for line in (tmp_path / "e").read_text().splitlines()]
    assert [line.get("format") for line in lines] == [FORMAT, None, None, None]
    assert lines[0]["version"] == VERSION


@pytest.mark.parametrize("torn", ['{"time": 2, "kind": "log", "mess', '{"time": 2, "message": "caf\xc3', "{"])
def test_a_torn_last_line_is_skipped_and_the_next_writer_starts_a_new_one(tmp_path: Path, torn: str):
    path = tmp_path / "e"
    path.write_bytes(b'{"time": 1, "kind": "start"}\n' + torn.encode("latin-1"))
    assert [event.kind for event in read_events(path)] == ["start"]
    with EventWriter(path) as events:
        events.write("finish")
    assert [event.kind for event in read_events(path)] == ["start", "finish"]


@pytest.mark.parametrize(
    "line",
    [
        "", "null", "3", "[]", '"text"', "[" * 100_000, '{"kind": "log"}', '{"time": "x", "kind": "log"}',
        '{"time": 1, "kind": "log", "done": "x"}', '{"time": 1, "kind": "log", "values": [1]}',
        '{"time": 1, "kind": "log", "done": Infinity}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_event_is_none(line: str):
    assert parse_event(line) is None


@pytest.mark.parametrize(
    "line",
    [{"format": FORMAT, "version": VERSION + 1, "time": 1, "kind": "start"}, {"format": FORMAT, "version": 2, "t": 1},
     {"format": "other", "version": 1, "time": 1, "kind": "start"}],
)  # fmt: skip
def test_another_version_is_refused_whatever_else_its_lines_hold(tmp_path: Path, line: dict):
    write_lines(tmp_path / "e", line)
    with pytest.raises(FormatError, match=f"this release reads {FORMAT} version {VERSION}"):
        list(read_events(tmp_path / "e"))


def test_seconds_add_up_over_attempts_by_hand(tmp_path: Path):
    write_lines(
        tmp_path / "e",
        {"time": 100.0, "kind": "start"}, {"time": 107.0, "kind": "progress"},  # 7 seconds, then a power cut
        '{"time": 108.0, "kind": "progr\n',
        {"time": 500.0, "kind": "start"}, {"time": 502.0, "kind": "stage"}, {"time": 503.5, "kind": "finish"},  # 3.5
    )  # fmt: skip
    assert seconds_spent(tmp_path / "e") == 10.5


def test_the_seconds_of_a_stage_can_be_left_out_by_hand(tmp_path: Path):
    write_lines(
        tmp_path / "e",
        {"time": 100.0, "kind": "start"}, {"time": 101.0, "kind": "stage", "stage": "old data"},
        {"time": 106.0, "kind": "progress", "stage": "old data"},  # 5 seconds, then a power cut
        {"time": 500.0, "kind": "start"}, {"time": 502.0, "kind": "stage", "stage": "old data"},  # 2 of loading
        {"time": 505.0, "kind": "log"}, {"time": 509.0, "kind": "stage", "stage": "training"},
        {"time": 512.5, "kind": "progress", "stage": "training"},  # 3.5
    )  # fmt: skip
    assert seconds_spent(tmp_path / "e", without="old data") == 1 + 2 + 3.5
    assert seconds_spent(tmp_path / "e") == 6 + 12.5


def test_a_start_alone_and_a_missing_file_cost_nothing(tmp_path: Path):
    assert seconds_spent(tmp_path / "e") == 0.0
    write_lines(tmp_path / "e", {"time": 100.0, "kind": "start"})
    assert seconds_spent(tmp_path / "e") == 0.0


@pytest.mark.parametrize(("total", "written"), [(1000, [1, 335, 669, 1000]), (0, [1, 335, 669])])
def test_progress_comes_ten_times_a_second_and_at_the_end(tmp_path: Path, monkeypatch, total, written):
    """A thousand calls, 0.3 ms apart: the first, one every 0.1 s, and the last where it is known to be the last."""
    clock = iter(i * 0.0003 for i in range(1000))
    monkeypatch.setattr(events_module.time, "monotonic", lambda: next(clock))
    with EventWriter(tmp_path / "e") as events:
        for done in range(1, 1001):
            events.progress("training", done, total)
    assert [event.done for event in read_events(tmp_path / "e")] == written


def test_a_follower_gives_each_whole_line_once_and_breaks_lines_where_the_writer_does(tmp_path):
    path = tmp_path / "events.jsonl"
    follower = EventFollower(path)
    assert follower.new() == []
    with EventWriter(path) as events:
        events.write("stage", message="one line\u2028for JSON")
    assert [event.message for event in follower.new()] == ["one line\u2028for JSON"]
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"time": 1.0, "kind"')
    assert follower.new() == []
    with open(path, "a", encoding="utf-8") as file:
        file.write(': "finish"}\n')
    assert [event.kind for event in follower.new()] == ["finish"]
    assert follower.new() == []
