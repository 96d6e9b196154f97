import io

from rich.console import Console

from hf_transfer_kit.events import Event
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.study.progress import StudyProgress, seconds_left

NAMES = ["controls/shallow/all/seed-0", "m/full/64/seed-0", "m/full/64/seed-1"]
PROGRESS = Event(time=0.0, kind="progress", stage="training", done=3, total=10, values={})


def tell(progress):
    """A study of three runs, of which the second fails."""
    with progress:
        progress.preparing("reading the data")
        progress.data_loaded(["a [note] with brackets"], CheckReport(findings=(), rows={"train": 12000}, classes=2))
        progress.runs_planned(NAMES, kept=4)
        for number, name in enumerate(NAMES, start=1):
            progress.run_started(name, number, len(NAMES))
            progress.run_event(PROGRESS)
            progress.run_ended(name, "no [memory]" if number == 2 else "", seconds=2.0)


def shown(*, terminal, width=80):
    file = io.StringIO()
    tell(StudyProgress(Console(file=file, force_terminal=terminal, width=width, color_system=None)))
    return file.getvalue()


def test_nobody_watching_gets_a_plain_line_per_event():
    text = shown(terminal=False)

    assert "\x1b" not in text
    assert "  12,000 train rows, 2 classes" in text
    assert "  a [note] with brackets" in text
    assert "Runs: 3 to do, 4 finished before are kept" in text
    assert "  finished  controls/shallow/all/seed-0 in 2.0 s" in text
    assert "  failed    m/full/64/seed-0: no [memory]" in text


def test_lines_for_a_file_are_cut_nowhere():
    file = io.StringIO()
    progress = StudyProgress(Console(file=file, width=30))
    progress.runs_planned(["x"], kept=0)
    progress.run_ended("a/long/name/of/a/run/seed-0", "a message that is longer than the console is wide", 1.0)

    assert "a/long/name/of/a/run/seed-0: a message that is longer than the console is wide\n" in file.getvalue()


def test_the_bars_of_a_narrow_terminal_stay_on_their_lines():
    for width in (40, 60, 80, 200):
        text = shown(terminal=True, width=width)
        lines = text.replace("\r", "\n").split("\n")
        bars = [line for line in lines if "training 3/10" in line or "run 2 of 3" in line]
        assert bars
        for line in bars:
            visible = line.split("\x1b[2K")[-1].replace("\x1b[?25l", "")
            assert len(visible) <= width


def test_the_time_left_counts_this_run_and_those_to_come():
    spent = {"m/full/all": [20.0, 40.0], "m/features/all": [4.0]}

    # full lasts 30 s on average, 12 have passed; another full 30, a features 4, and lora, unknown, the longest: 30
    later = ["m/full/all/seed-3", "m/features/all/seed-1", "m/lora/all/seed-0"]
    assert seconds_left("m/full/all/seed-2", later, spent, elapsed=12.0, rest=0.0) == 18 + 30 + 4 + 30


def test_a_run_without_a_finished_one_of_its_kind_is_judged_by_its_own_pace():
    spent = {"controls/shallow/all": [1.0]}

    # 10 s passed, its stage needs 40 more: 50 for it and for each one like it
    assert seconds_left("m/full/all/seed-0", ["m/full/all/seed-1"], spent, elapsed=10.0, rest=40.0) == 40 + 50


def test_a_run_that_takes_longer_than_expected_counts_no_negative_time():
    assert seconds_left("m/full/all/seed-1", [], {"m/full/all": [5.0]}, elapsed=60.0, rest=0.0) == 0.0


def test_before_anything_is_known_no_time_is_promised():
    assert seconds_left("m/full/all/seed-0", ["m/full/all/seed-1"], {}, elapsed=1.0, rest=0.0) is None
