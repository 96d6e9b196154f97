import pytest

from hf_transfer_kit.app.baseline import run as baseline_run
from hf_transfer_kit.app.baseline.run import BaselineRun, Progress, Request, start, study_of
from hf_transfer_kit.app.data.chosen import demo
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.events import Event
from hf_transfer_kit.plan import ModelSpec


def request(**changes):
    return Request(**({"data": demo(), "model": ModelSpec(name="org/model-1")} | changes))


def test_it_asks_what_the_command_line_would():
    methods = [plan.method for plan in study_of(request(shots="0, 4")).plans().values()]

    assert methods == ["majority", "shallow", "zero_shot", "few_shot"]


@pytest.mark.parametrize("shots", ["", "x", "-1", "1,2,3,4,5,6", "100000"])
def test_numbers_that_make_no_sense_are_refused_before_a_folder_is_made(tmp_path, shots):
    with pytest.raises(PlanError):
        start(request(shots=shots), tmp_path)
    assert not list(tmp_path.iterdir())


def test_progress_counts_runs_and_what_goes_on_in_them(tmp_path, monkeypatch):
    def carry_out(study, out, watcher):
        watcher.run_started("model/zero_shot/all/seed-0", 2, 4)
        watcher.run_event(Event(time=0.0, kind="progress", stage="scoring", done=1, total=2, values={}))
        raise DataError(f"'{study.data.path}' is odd")

    monkeypatch.setattr("hf_transfer_kit.study.study.carry_out", carry_out)
    news = start(request(prompt="template: x"), tmp_path).news()

    assert next(news) == Progress(text="Run 2 of 4: zero_shot", share=0.25)
    assert next(news) == Progress(text="Run 2 of 4: zero_shot, scoring", share=0.375)
    with pytest.raises(DataError, match="'demo sentences' is odd"):
        next(news)
    assert (next(tmp_path.iterdir()) / baseline_run.PROMPT_FILE).read_text() == "template: x"


def test_a_stopped_one_ends_with_the_next_sign_of_life(tmp_path):
    run = BaselineRun(folder=tmp_path)
    run.stop.set()

    with pytest.raises(PlanError, match="stopped"):
        baseline_run._Watcher(run).run_started("a/b", 1, 2)


def test_an_error_nobody_thought_of_reaches_who_waits(tmp_path, monkeypatch):
    def carry_out(*_):
        raise ZeroDivisionError("odd")

    monkeypatch.setattr("hf_transfer_kit.study.study.carry_out", carry_out)

    with pytest.raises(ZeroDivisionError):
        next(start(request(), tmp_path).news())
