import errno

import pytest

from hf_transfer_kit.errors import DataError, OutputError
from hf_transfer_kit.events import Event, read_events
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.study import study_events
from hf_transfer_kit.study.folder import StudyFolder
from hf_transfer_kit.study.study_events import StudyEvents
from hf_transfer_kit.study.watcher import Silent

NAMES = ["controls/shallow/all/seed-0", "m/zero_shot/all/seed-0", "m/few_shot-16/all/seed-0"]


@pytest.fixture
def out(tmp_path):
    """The folder of a job, without a study in it yet."""
    (tmp_path / "job.json").write_text("{}")
    return tmp_path


@pytest.fixture(autouse=True)
def no_limit(monkeypatch):
    monkeypatch.setattr(study_events, "EVERY_SECONDS", 0.0)


def progress(done, total, stage="scoring"):
    return Event(time=0.0, kind="progress", stage=stage, done=done, total=total, values={})


def told(watcher, failed=()):
    """A study of three runs, the first of which has two stages."""
    watcher.preparing("reading the data")
    watcher.data_loaded([], CheckReport(findings=(), rows={"train": 12}, classes=2))
    watcher.runs_planned(NAMES, kept=4)
    for number, name in enumerate(NAMES, start=1):
        watcher.run_started(name, number, len(NAMES))
        for event in (progress(1, 2), progress(2, 2), progress(1, 10, "timing")):
            watcher.run_event(event)
        watcher.run_ended(name, "no memory." if name in failed else "", seconds=1.0)


def events(out):
    return list(read_events(out / "events.jsonl"))


def test_one_scale_over_all_runs_rises_to_its_end(out):
    with StudyEvents(out, Silent()) as watcher:
        told(watcher)
    scale = [(each.done, each.total) for each in events(out) if each.kind == "progress"]

    assert scale == sorted(scale)
    assert (scale[0], scale[-1]) == ((0, 300), (300, 300))
    assert (149, 300) in scale  # half of the second run, all but the last of whose units its own stages fill
    assert events(out)[-1].kind == "finish"
    assert events(out)[-1].message == "7 runs are finished, 4 of them before"


def test_the_current_run_is_said_in_words(out):
    with StudyEvents(out, Silent()) as watcher:
        told(watcher)
    said = list(dict.fromkeys(each.message for each in events(out) if each.kind == "progress"))

    assert said == ["Run 1 of 3: shallow", "Run 2 of 3: zero_shot", "Run 3 of 3: few_shot, 16 shots"]


def test_runs_that_failed_are_the_last_word(out):
    with StudyEvents(out, Silent()) as watcher:
        told(watcher, failed=NAMES[1:])
    last = events(out)[-1]

    assert last.kind == "error"
    assert last.message.startswith("2 of 3 runs failed; zero_shot: no memory. ")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("the data is odd"), "the data is odd"), (KeyboardInterrupt(), "interrupted"),
        (ZeroDivisionError("by hand"), "ZeroDivisionError: by hand"), (OSError(errno.EIO, "broken"), "broken"),
    ],
)  # fmt: skip
def test_what_ends_a_study_is_the_last_word_and_goes_on(out, error, message):
    with pytest.raises(type(error)), StudyEvents(out, Silent()) as watcher:
        watcher.preparing("reading the data")
        raise error

    assert events(out)[-1].kind == "error"
    assert message in events(out)[-1].message


def test_another_watcher_hears_all_of_it(out):
    heard = []

    class Listener:
        def __getattr__(self, name):
            return lambda *arguments, **named: heard.append(name)

    with StudyEvents(out, Listener()) as watcher:
        told(watcher)

    assert heard == [
        "preparing", "data_loaded", "runs_planned", *["run_started", *["run_event"] * 3, "run_ended"] * 3,
    ]  # fmt: skip


def test_a_study_that_cannot_begin_leaves_nothing_but_in_the_folder_of_a_job(tmp_path, out):
    with pytest.raises(DataError), StudyEvents(tmp_path / "none", Silent()) as watcher:
        watcher.preparing("reading the data")
        raise DataError("odd")

    assert not (tmp_path / "none").exists()


def test_a_full_disk_does_not_end_the_work(out, monkeypatch):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hf_transfer_kit.events.EventWriter.write", full)
    with StudyEvents(out, Silent()) as watcher:
        told(watcher)


def test_a_new_attempt_goes_on_in_the_same_file(out):
    for _ in range(2):
        with StudyEvents(out, Silent()) as watcher:
            told(watcher)

    assert [each.kind for each in events(out)].count("start") == 2


def test_a_study_takes_the_folder_of_a_job_and_no_other_that_holds_something(tmp_path):
    for name in ("log.txt", "events.jsonl", "prompt.yaml"):
        (tmp_path / name).write_text("")
    with pytest.raises(OutputError, match="not empty"), StudyFolder(tmp_path):
        pass
    (tmp_path / "job.json").write_text("{}")
    with StudyFolder(tmp_path):
        pass
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(OutputError, match="not empty"), StudyFolder(tmp_path):
        pass
