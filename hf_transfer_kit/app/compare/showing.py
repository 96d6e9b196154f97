"""What the buttons of the Compare tab do: ids and a visitor's mark in, HTML and files out. No layout."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hf_transfer_kit.app.compare import asking, publishing_view
from hf_transfer_kit.app.compare.answer_process import AnswerProcess
from hf_transfer_kit.app.compare.downloads import file_name, offered
from hf_transfer_kit.app.compare.finished_runs import FinishedRun, chosen_runs, finished_runs, on_the_split_of
from hf_transfer_kit.app.compare.names import names_of
from hf_transfer_kit.app.compare.publishing_view import Shown
from hf_transfer_kit.app.compare.result import CHOOSE, NOTHING_YET, compare_runs, refusal, result_card
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import FormatError, OutputError, TransferKitError
from hf_transfer_kit.reporting.report import to_html

NOT_DONE = "This job has left no finished run yet; it can be compared when it has ended."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The runs to choose from, those that are chosen, and a sentence for who has nothing to choose."""

    choices: list[tuple[str, str]]
    chosen: list[str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A comparison as HTML, and the path of its report; None where there is none."""

    page: str
    report: str | None = None


class Comparing:
    """The tab's work for all visitors.

    Args:
        process: that answers typed inputs.
    """

    def __init__(self, settings: Settings, process: AnswerProcess | None = None):
        self.settings = settings
        self.process = process or AnswerProcess()

    def listed(self, mark: object, chosen: Sequence[str] | None = None) -> Listed:
        """All finished runs; of the chosen ones those that are still there."""
        runs = self._runs(mark)
        ids = {run.id for run in runs}
        said = "" if chosen else note(CHOOSE if runs else NOTHING_YET)
        return Listed(choices=choices(runs), chosen=[each for each in chosen or () if each in ids], note=said)

    def newest(self, mark: object) -> Listed:
        """All finished runs; chosen are the newest one and what can be compared with it."""
        runs = self._runs(mark)
        return self._with_first(runs, runs[0] if runs else None, NOTHING_YET)

    def of_job(self, mark: object, job_id: str) -> Listed:
        """All finished runs; chosen are those of a job and what can be compared with them."""
        runs = self._runs(mark)
        return self._with_first(runs, next((run for run in runs if run.is_of_job(job_id)), None), NOT_DONE)

    def compared(self, mark: object, ids: Sequence[str]) -> Compared:
        """What runs say about each other with their report, or why they cannot be compared."""
        try:
            runs = self._chosen(mark, ids)
        except TransferKitError as error:
            return Compared(page=note(str(error), "error"))
        try:
            comparison = compare_runs(runs)
        except FormatError as error:
            return Compared(page=refusal(runs, error))
        name = file_name("comparison", runs[0].facts.data, "html")
        return Compared(page=result_card(comparison, runs), report=offered(to_html(comparison), name))

    def asks_for_image(self, mark: object, ids: Sequence[str]) -> bool:
        """Whether the box takes an image instead of a text."""
        try:
            return asking.wants_image(self._chosen(mark, ids))
        except TransferKitError:
            return False

    def ask(self, mark: object, ids: Sequence[str], text: str, image: str | None) -> Iterator[str]:
        """What the chosen runs answer, as HTML, again with every answer."""
        try:
            runs = self._chosen(mark, ids)
        except TransferKitError as error:
            yield note(str(error), "error")
            return
        yield from asking.ask(self.settings, self.process, runs, text or "", image)

    def model_card(self, mark: object, run_id: str) -> tuple[str, str]:
        """(the model card of a run as Markdown, its file); raises TransferKitError."""
        return publishing_view.model_card_of(self._one(mark, run_id))

    def preview(self, mark: object, run_id: str, repo: str, private: bool) -> tuple[str, Shown | None]:
        """What would go to the Hub, as HTML, and what `send` needs; None where nothing can go."""
        try:
            return publishing_view.preview(self._one(mark, run_id), repo or "", private)
        except TransferKitError as error:
            return note(str(error), "error"), None

    def send(self, mark: object, shown: Shown | None) -> Iterator[str]:
        """Sends what was shown; how it goes, as HTML."""
        if shown is None:
            yield note("Look first at what would go.", "error")
            return
        try:
            run = self._one(mark, shown.run)
            yield from publishing_view.send(self.settings, self.settings.owner_of(mark), run, shown)
        except TransferKitError as error:
            yield note(str(error), "error")

    def _runs(self, mark: object) -> list[FinishedRun]:
        """None for a visitor who is not known yet, as while the page is still loading."""
        try:
            return finished_runs(self.settings, mark)
        except OutputError:
            return []

    def _chosen(self, mark: object, ids: Sequence[str]) -> list[FinishedRun]:
        return chosen_runs(finished_runs(self.settings, mark), ids)

    def _one(self, mark: object, run_id: str) -> FinishedRun:
        if not run_id:
            raise FormatError("choose a run.")
        return self._chosen(mark, [run_id])[0]

    def _with_first(self, runs: list[FinishedRun], first: FinishedRun | None, missing: str) -> Listed:
        chosen = [] if first is None else [run.id for run in on_the_split_of(runs, first)]
        return Listed(choices=choices(runs), chosen=chosen, note="" if chosen else note(missing))


def choices(runs: Sequence[FinishedRun]) -> list[tuple[str, str]]:
    """(name and accuracy, id) of every run, for a list."""
    names = names_of(runs)
    return [(f"{names[run.id]} · {run.facts.accuracy:.3f}", run.id) for run in runs]
