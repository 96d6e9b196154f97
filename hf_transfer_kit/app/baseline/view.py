"""What the Baseline tab shows of a job: how it goes, and what it found; files in, HTML out."""

from dataclasses import dataclass, replace
from pathlib import Path

from hf_transfer_kit.app.baseline.job import result_in
from hf_transfer_kit.app.baseline.result import UNFOLDED, answers_card, arms_in, verdict_card
from hf_transfer_kit.app.data.chosen import ChosenData, named_in
from hf_transfer_kit.app.data.look import loaded
from hf_transfer_kit.app.jobs.feed import Glance
from hf_transfer_kit.app.jobs.job_card import job_card
from hf_transfer_kit.app.wording import in_page_words
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import DataError
from hf_transfer_kit.launch.job import Job
from hf_transfer_kit.launch.state import ALIVE, CAN_RESUME
from hf_transfer_kit.plan import DataSpec

WITHOUT_CHECKPOINTS = {  # what a card says of a training -> of a baseline, which keeps its finished runs
    "It saves a checkpoint; what is left": "What is finished stays; what is left",
    "resume continues from the last checkpoint": "what is finished stays, Resume does the rest",
}
SEEN_AT_ONCE = (*UNFOLDED, "Prompts", "Cost of 1000 predictions")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A baseline as it is seen.

    Fields:
        state: HTML of how it goes.
        result: HTML of what it found; "" before.
        arms, arm: names of what was measured, and the one whose answers are shown.
        answers: HTML of its classes and wrong answers.
        can_stop, can_resume: what may be asked of it.
    """

    state: str
    result: str = ""
    arms: tuple[str, ...] = ()
    arm: str = ""
    answers: str = ""
    can_stop: bool = False
    can_resume: bool = False


def view_of(glance: Glance) -> View:
    """What is seen of a job now; raises FormatError where its files are broken."""
    status = glance.status
    data = data_of(status.job)
    failure = status.failure
    if failure is not None:
        failure = replace(failure, sentence=in_page_words(failure.sentence, _places(data, status.folder)))
    plain = replace(glance, status=replace(status, failure=failure))
    state = job_card(plain)
    for words, better in WITHOUT_CHECKPOINTS.items():
        state = state.replace(words, better)
    seen = View(state=state, can_stop=status.state in ALIVE, can_resume=status.state in CAN_RESUME)
    comparison = result_in(status.folder) if glance.over else None
    return seen if comparison is None else _with_result(seen, comparison, data, status.folder)


def answers_of(folder: Path, name: str) -> str:
    """Classes and wrong answers of one arm; "" where there is no such arm."""
    found = arms_in(folder)
    if name not in found:
        return ""
    record = found[name].records[0]
    try:
        inputs = loaded(named_in(replace(record.plan.data, train_size=None))).test["input"][:]
    except DataError:
        inputs = []
    return answers_card(record, inputs)


def data_of(job: Job) -> ChosenData:
    """The data of a job by the name that people know it by."""
    path = next((each.removeprefix("--data=") for each in job.command if each.startswith("--data=")), "")
    return named_in(DataSpec(path=path))


def _with_result(seen: View, comparison: Comparison, data: ChosenData, folder: Path) -> View:
    names = tuple(arms_in(folder))
    best = comparison.recommended if comparison.recommended in names else names[0]
    places = _places(data, folder)
    shown = verdict_card(comparison, lambda text: in_page_words(text, places), SEEN_AT_ONCE)
    return replace(seen, result=shown, arms=names, arm=best, answers=answers_of(folder, best))


def _places(data: ChosenData, folder: Path) -> dict[str, str]:
    return {data.spec.path: data.name, str(folder): "the folder of this run"} if data.spec.path else {}
