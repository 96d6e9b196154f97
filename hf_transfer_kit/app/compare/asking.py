"""One input for several runs: what each of them answers, side by side."""

from collections.abc import Iterator, Sequence

from hf_transfer_kit.app.compare.answer_messages import Answer
from hf_transfer_kit.app.compare.answer_process import AnswerProcess
from hf_transfer_kit.app.compare.finished_runs import FinishedRun
from hf_transfer_kit.app.compare.names import names_of
from hf_transfer_kit.app.markup import escape, note
from hf_transfer_kit.app.settings import Settings

TOP, MOST_RUNS = 3, 8  # as many models stay in memory as answer
IMAGE = "image-classification"
NO_RUN = "Choose runs above; each of them answers."
MIXED = "The chosen runs answer different kinds of input; choose runs of one task."
NOT_ASKED = "it asks a model on another machine, which costs somebody money; not here, where everybody may ask."


def wants_image(runs: Sequence[FinishedRun]) -> bool:
    """Whether the runs answer images."""
    return any(run.facts.task == IMAGE for run in runs)


def ask(
    settings: Settings, process: AnswerProcess, runs: Sequence[FinishedRun], text: str, image: str | None
) -> Iterator[str]:
    """The answers as HTML, again with every answer that comes."""
    problem = _problem(settings, runs, text, image)
    if problem:
        yield note(problem, "error")
        return
    asked = runs[:MOST_RUNS]
    found: dict[str, Answer] = {}
    if settings.shared:
        found = {str(run.folder): _refused(run) for run in asked if run.facts.remote}
    yield answers(runs, found)
    left = [run.folder for run in asked if str(run.folder) not in found]
    given = {"image": image or ""} if wants_image(runs) else {"text": text}
    for answer in process.ask(left, **given) if left else ():
        found[answer.run] = answer
        yield answers(runs, found)


def answers(runs: Sequence[FinishedRun], found: dict[str, Answer]) -> str:
    """A box for each run: its likeliest classes with bars, and the hash of what answers."""
    names = names_of(runs)
    boxes = "".join(_box(names[run.id], run, found.get(str(run.folder))) for run in runs[:MOST_RUNS])
    more = f"The first {MOST_RUNS} of the {len(runs)} chosen runs answer." if len(runs) > MOST_RUNS else ""
    return note(more) + f'<div class="tk-answers">{boxes}</div>'


def _problem(settings: Settings, runs: Sequence[FinishedRun], text: str, image: str | None) -> str:
    if not runs:
        return NO_RUN
    if len({run.facts.task for run in runs}) > 1:
        return MIXED
    if wants_image(runs):
        return "" if image else "Give an image."
    if not text.strip():
        return "Type a text."
    if len(text) > settings.max_chars:
        return f"The text has {len(text):,} letters; {settings.max_chars:,} are read."
    return ""


def _refused(run: FinishedRun) -> Answer:
    return Answer(id=0, run=str(run.folder), error=NOT_ASKED)


def _box(name: str, run: FinishedRun, answer: Answer | None) -> str:
    weights = f"weights {run.weights}" if run.weights else ""
    if answer is None:
        inside = '<p class="tk-quiet">thinking …</p>'
    elif answer.error:
        inside = note(answer.error.replace(str(run.folder), "its folder"), "warning")
    else:
        inside = "".join(_bar(name, share) for name, share in list(answer.probabilities.items())[:TOP])
    return (
        f'<div class="tk-answer"><h4>{escape(name)}</h4>{inside}'
        f'<p class="tk-quiet tk-hash">{escape(weights)}</p></div>'
    )  # fmt: skip


def _bar(name: str, share: float) -> str:
    """A class, its probability as a number, and as the length of a bar."""
    return (
        f'<div class="tk-share"><span>{escape(name)}</span><span>{share:.2f}</span>'
        f'<i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></div>'
    )
