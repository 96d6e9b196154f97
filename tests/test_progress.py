"""Following the events of a run: every event once, torn lines waited for, earlier attempts left out; what is drawn."""

import io
import json
import threading
import time

import pytest
from rich.console import Console

from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.events import Event, EventWriter, read_events
from hf_transfer_kit.progress import Pace, RunProgress, follow


def wait_for(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_event_comes_once_and_in_order_while_they_are_written(tmp_path):
    path, stop, seen = tmp_path / "events.jsonl", threading.Event(), []
    thread = threading.Thread(target=follow, args=(path, stop, seen.append))
    thread.start()
    with EventWriter(path) as events:
        for i in range(5):
            events.write("stage", message=str(i))
        wait_for(lambda: len(seen) == 5)
        events.write("stage", message="last")
        stop.set()
    thread.join()
    assert [event.message for event in seen] == ["0", "1", "2", "3", "4", "last"]
    assert seen == list(read_events(path))


def test_a_line_written_in_two_pieces_is_one_event(tmp_path):
    path, stop, seen = tmp_path / "events.jsonl", threading.Event(), []
    path.write_bytes(b"")
    thread = threading.Thread(target=follow, args=(path, stop, seen.append))
    thread.start()
    line = json.dumps({"time": 1.0, "kind": "stage", "message": "é"}, ensure_ascii=False).encode() + b"\n"
    with open(path, "ab", buffering=0) as file:
        file.write(line[:-4])  # in the middle of the letter
        time.sleep(0.25)
        assert not seen
        file.write(line[-4:])
    wait_for(lambda: seen)
    stop.set()
    thread.join()
    assert [event.message for event in seen] == ["é"]


def test_earlier_attempts_are_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as events:
        events.write("start", message="earlier")
    start, stop, seen = path.stat().st_size, threading.Event(), []
    with EventWriter(path) as events:
        events.write("start", message="now")
    stop.set()
    follow(path, stop, seen.append, start=start)
    assert [event.message for event in seen] == ["now"]


def test_a_file_of_another_version_is_refused(tmp_path):
    (tmp_path / "e").write_text('{"format": "hf_transfer_kit.events", "version": 99, "time": 1, "kind": "start"}\n')
    stop = threading.Event()
    stop.set()
    with pytest.raises(FormatError, match="version 99"):
        follow(tmp_path / "e", stop, print)


def test_time_left_is_the_pace_since_the_first_progress_seen():
    pace = Pace()
    assert pace.left(100, 200, now=50.0) is None  # a resumed stage begins in the middle
    assert pace.left(120, 200, now=60.0) == 40.0  # 20 in 10 s, 80 to go
    assert pace.left(200, 200, now=99.0) == 0.0


def shown(events: list[Event], *, terminal: bool, tmp_path) -> str:
    out = io.StringIO()
    progress = RunProgress(tmp_path / "none", Console(file=out, force_terminal=terminal, width=100))
    with progress:
        for event in events:
            progress.show(event)
    return out.getvalue()


def test_where_nobody_watches_there_are_few_plain_lines(tmp_path):
    events = [Event(time=0.0, kind="stage", message="training [bold]full", values={})]
    events += [Event(time=i, kind="progress", stage="training", done=i, total=1000, values={}) for i in range(1, 1001)]
    events += [Event(time=1001.0, kind="log", done=1000, values={"eval_accuracy": 0.5})]
    lines = shown(events, terminal=False, tmp_path=tmp_path).splitlines()
    assert lines[0] == "training [bold]full"  # no markup in what comes from outside
    assert len(lines) == 12 and "\x1b" not in "".join(lines)
    assert lines[5].startswith("training 500/1000, ") and lines[5].endswith(" left")
    assert lines[-1] == "step 1000: validation accuracy 0.500"


def test_in_a_terminal_there_is_a_bar_with_stage_count_and_time_left(tmp_path):
    events = [Event(time=0.0, kind="stage", message="training [/]full", values={})]
    events += [Event(time=i, kind="progress", stage="training", done=i, total=20, values={}) for i in range(1, 11)]
    text = shown(events, terminal=True, tmp_path=tmp_path)
    assert "training [/]full" in text and "10/20" in text and "left" in text
