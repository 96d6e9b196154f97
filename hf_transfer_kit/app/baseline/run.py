"""A baseline in a folder: the same study as `transfer-kit baseline`, each run in a process of its own.

The work goes on where the page is closed; whoever asks again finds what was finished.
"""

import queue
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import PlanError, TransferKitError
from hf_transfer_kit.events import Event
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.plan import FewShot, ModelSpec
from hf_transfer_kit.prompt_options import PromptOptions
from hf_transfer_kit.study.study import Study
from hf_transfer_kit.study.watcher import Silent
from hf_transfer_kit.values import write_text_atomically

PROMPT_FILE, COMPARISON_FOLDER = "prompt.yaml", "comparison"
MOST_SHOTS, MOST_NUMBERS = 256, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a baseline asks.

    Fields:
        shots: numbers of examples in the prompt: "0, 4, 16".
        prompt: a prompt file's text; "": the built-in one.
        calibration: as in `plan.ZeroShot`.
    """

    data: ChosenData
    model: ModelSpec
    shots: str = "0, 4, 16"
    prompt: str = ""
    calibration: str = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is: a sentence, and a share in [0, 1]; None where nobody knows."""

    text: str
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class BaselineRun:
    """A baseline at work.

    Fields:
        folder: where its runs lie.
        stop: set it, and the work ends with the next sign of life of its process.
    """

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    _said: "queue.Queue[Progress | Comparison | Exception]" = field(default_factory=queue.Queue)

    def news(self) -> Iterator[Progress | Comparison]:
        """What happens, the comparison last.

        Raises:
            TransferKitError: as `study.carry_out`; PlanError where it was stopped.
        """
        while True:
            said = self._said.get()
            if isinstance(said, Exception):
                raise said
            yield said
            if isinstance(said, Comparison):
                return


def study_of(request: Request, prompt_file: Path | None = None) -> Study:
    """What is measured: zero-shot and few-shot prompts of one model, and the controls.

    Raises:
        PlanError: `shots` are no numbers, too many or too large.
    """
    approaches = PromptOptions(prompt=prompt_file, calibration=request.calibration).with_shots(request.shots)
    if len(approaches) > MOST_NUMBERS:
        raise PlanError(f"shots '{request.shots}' are {len(approaches)} numbers; give {MOST_NUMBERS} at most.")
    if most := [each.shots for each in approaches if isinstance(each, FewShot) and each.shots > MOST_SHOTS]:
        raise PlanError(f"{most[0]} examples are too many for a prompt here; give {MOST_SHOTS} at most.")
    here = request.model.remote is None
    return Study(
        data=request.data.spec, models=(request.model,) if here else (), approaches=approaches, seeds=1,
        prompt_models=() if here else (request.model,),
    )  # fmt: skip


def start(request: Request, runs: Path) -> BaselineRun:
    """Begins a baseline in a new folder below `runs`.

    Raises:
        PlanError: as `study_of`.
    """
    study_of(request)  # what is wrong is said before a folder is made
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = runs / f"baseline-{stamp}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    prompt = folder / PROMPT_FILE if request.prompt else None
    if prompt is not None:
        write_text_atomically(prompt, request.prompt)
    run = BaselineRun(folder=folder)
    threading.Thread(target=_work, args=(run, study_of(request, prompt), request.data), daemon=True).start()
    return run


class _Watcher(Silent):
    """Says what goes on as `Progress`."""

    def __init__(self, run: BaselineRun):
        self._run, self._title, self._number, self._total = run, "", 0, 0

    def preparing(self, what: str, done: int = 0, total: int = 0) -> None:
        self._say(what[:1].upper() + what[1:])

    def data_loaded(self, notes: Sequence[str], checks: CheckReport) -> None:
        self._say("Starting a process for the runs")

    def run_started(self, name: str, number: int, total: int) -> None:
        parts = name.split("/")
        self._title, self._number, self._total = parts[1] if len(parts) > 1 else name, number, total
        self._say(f"Run {number} of {total}: {self._title}", (number - 1) / total)

    def run_event(self, event: Event) -> None:
        within = event.done / event.total if event.total else 0.0
        what = event.message or event.stage
        self._say(
            f"Run {self._number} of {self._total}: {self._title}" + (f", {what}" if what else ""),
            (self._number - 1 + within) / self._total if self._total else None,
        )

    def _say(self, text: str, share: float | None = None) -> None:
        if self._run.stop.is_set():
            raise PlanError("stopped; what was finished is kept under Compare.")
        self._run._said.put(Progress(text=text, share=share))


def _work(run: BaselineRun, study: Study, data: ChosenData) -> None:
    """The thread of a baseline; its last word is the comparison or an error."""
    from hf_transfer_kit.study.study import carry_out

    try:
        run._said.put(carry_out(study, run.folder / COMPARISON_FOLDER, _Watcher(run)))
    except TransferKitError as error:
        run._said.put(type(error)(data.said(error)))
    except Exception as error:  # noqa: BLE001  # whoever waits must hear of it
        run._said.put(error)
