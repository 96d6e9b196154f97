"""A baseline as a job: what is asked for becomes `transfer-kit baseline` in a process of its own, its result files.

    folder/prompt.yaml          where somebody wrote a template
    folder/events.jsonl         how far it is
    folder/comparison.json      the result

All that is shown of it is read from these files, whoever started it and whatever became of the page and the server.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.launch.state import JobStatus
from hf_transfer_kit.options import words
from hf_transfer_kit.plan import FewShot, ModelSpec
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.prompt_options import PromptOptions
from hf_transfer_kit.values import write_text_atomically

PROMPT_FILE, COMPARISON_FILE = "prompt.yaml", "comparison.json"
USUAL_SHOTS = "0, 4"  # seconds on a laptop; the more examples, the longer a language model reads
MOST_SHOTS, MOST_NUMBERS = 256, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a baseline asks.

    Fields:
        shots: numbers of examples in the prompt: "0, 4".
        prompt: a prompt file's text; "": the built-in one.
        calibration: as in `plan.ZeroShot`.

    Raises:
        PlanError: `shots` are no numbers, too many, or too large.
    """

    data: ChosenData
    model: ModelSpec
    shots: str = USUAL_SHOTS
    prompt: str = ""
    calibration: str = "batch"

    def __post_init__(self) -> None:
        approaches = PromptOptions(calibration=self.calibration).with_shots(self.shots)
        if len(approaches) > MOST_NUMBERS:
            raise PlanError(f"'{self.shots}' are {len(approaches)} numbers; give {MOST_NUMBERS} at most.")
        if len(set(approaches)) < len(approaches):
            raise PlanError(f"'{self.shots}' names a number twice; name each once.")
        if most := [each.shots for each in approaches if isinstance(each, FewShot) and each.shots > MOST_SHOTS]:
            raise PlanError(f"{most[0]} examples are too many for a prompt here; give {MOST_SHOTS} at most.")

    @property
    def title(self) -> str:
        """For people: "Baseline: reviews.csv · SmolLM2-135M"."""
        return f"Baseline: {self.data.name} · {short_model_name(self.model.name)}"

    def command(self, folder: Path) -> list[str]:
        """The argument list that carries it out in `folder`; writes the prompt there where there is one."""
        prompt = folder / PROMPT_FILE
        if self.prompt:
            write_text_atomically(prompt, self.prompt)
        return [
            sys.executable, "-m", "hf_transfer_kit.cli", "baseline", f"--data={self.data.spec.path}",
            f"--model={self.model.name}", f"--shots={','.join(words(self.shots))}",
            f"--calibration={self.calibration}", *self.data.reading.options, *_elsewhere(self.model),
            *([f"--prompt={prompt}"] if self.prompt else []), f"--out={folder}",
        ]  # fmt: skip


def submit(request: Request, settings: Settings, mark: object) -> JobStatus:
    """Starts a baseline, or lets it wait for its turn.

    Raises:
        PlanError: it may not be started here.
        OutputError, ResourceError: nothing can be written, or the visitor is not known.
    """
    settings.check_may_start(request.data.spec, request.model)
    return settings.jobs.submit(request.command, owner=settings.owner_of(mark), title=request.title)


def result_in(folder: Path) -> Comparison | None:
    """What a baseline found; None: nothing yet. Raises FormatError where the file is broken."""
    file = folder / COMPARISON_FILE
    return Comparison.load(file) if file.exists() else None


def _elsewhere(model: ModelSpec) -> list[str]:
    """Where a model answers that is not loaded here, and what that may cost; its key comes from the environment."""
    if model.remote is None:
        return []
    remote = model.remote
    limit = [] if remote.max_dollars is None else [f"--max-dollars={remote.max_dollars}"]
    return [f"--url={remote.url}", f"--price={remote.price_in},{remote.price_out}", *limit]
