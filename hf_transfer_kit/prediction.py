"""Answer new inputs with the model of a finished run, whatever its approach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import FormatError, did_you_mean
from hf_transfer_kit.records import RunRecord

RECORD_FILE, COMPARISON_FILE = "record.json", "comparison.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer to one input.

    Fields:
        shown: the input in short.
        label: the likeliest class.
        probabilities: of every class by name, likeliest first, after the run's temperature scaling; their sum is 1.
    """

    shown: str
    label: str
    probabilities: dict[str, float]


def predict(folder: Path | str, arguments: Sequence[str]) -> list[Prediction]:
    """Answers of a finished run, one per input.

    Args:
        folder: of a finished run, or of a comparison, whose recommended run then answers.
        arguments: texts or text files (an input per line) of a text task, image files or folders of an image task.

    Raises:
        FormatError: `folder` is not that of a finished run or comparison.
        DataError: an input cannot be read.
        ModelError: the pre-trained model that the run stands on is gone.

    Example:
        >>> predict("my-comparison", ["where is my parcel?"])[0].label  # doctest: +SKIP
        'track_parcel'
    """
    run = answering_run(folder)
    record = RunRecord.load(run / RECORD_FILE)

    from hf_transfer_kit.tasks import get_task

    inputs = get_task(record.task).read_inputs(arguments)
    return LoadedRun(run).answer(inputs)


class LoadedRun:
    """A finished run, ready to answer again and again.

    Args:
        folder: of the run.

    Raises:
        FormatError: `folder` is not that of a finished run.
        ModelError: the pre-trained model that the run stands on is gone.
    """

    def __init__(self, folder: Path):
        self.record = RunRecord.load(folder / RECORD_FILE)

        from hf_transfer_kit.approaches import FITS  # takes seconds to import: wrong folders are said before

        saved = folder / "model"  # a run's; one that was pushed to the Hub has no folder in the folder
        self._predictor = FITS[type(self.record.plan.approach)].load(self.record, saved if saved.is_dir() else folder)

    def answer(self, inputs: Sequence[Any]) -> list[Prediction]:
        """One answer per input: texts as they are (never the name of a file), or images as the data sets hold them."""
        import numpy as np

        from hf_transfer_kit.metrics import apply_temperature
        from hf_transfer_kit.tasks import get_task

        task, names = get_task(self.record.task), self.record.label_names
        probabilities = np.exp(apply_temperature(self._predictor.logits(inputs), self.record.temperature))
        return [
            Prediction(
                shown=task.show(value),
                label=names[int(row.argmax())],
                probabilities={names[i]: float(row[i]) for i in np.argsort(-row, kind="stable")},
            )
            for value, row in zip(inputs, probabilities, strict=True)
        ]


def answering_run(folder: Path | str) -> Path:
    """`folder` itself where it is that of a finished run, else the recommended run of the comparison in it.

    Of a recommended approach's seeds, the one that did best on validation answers.

    Raises:
        FormatError: `folder` is neither.
    """
    folder = Path(folder)
    if (folder / RECORD_FILE).is_file():
        return folder
    if (folder / COMPARISON_FILE).is_file():
        return _recommended_run(folder)
    if not folder.is_dir():
        near = did_you_mean(folder.name, _siblings(folder))
        hint = near if near.startswith("did") else "give the folder that a comparison or a finished run left."
        raise FormatError(f"folder '{folder}' does not exist; {hint}")
    inside = sorted(path.parent for path in folder.rglob(RECORD_FILE))[:1]
    hint = f"did you mean '{inside[0]}'?" if inside else "give the folder that a comparison or a finished run left."
    raise FormatError(f"'{folder}' holds no finished run; {hint}")


def _recommended_run(folder: Path) -> Path:
    comparison = Comparison.load(folder / COMPARISON_FILE)
    arm = next(arm for arm in comparison.arms if arm.name == comparison.recommended)
    found = {}
    for path in sorted(folder.glob(f"runs/**/{RECORD_FILE}")):
        record = RunRecord.load(path)
        model = record.plan.model.name if record.plan.model else None
        asked = (arm.method, arm.model, arm.train_size)
        if (record.plan.method, model, record.data.rows["train"]) == asked and record.plan.seed in arm.seeds:
            found[path.parent] = record.validation_accuracy or 0.0  # prompts may not have looked at validation
    if not found:
        raise FormatError(f"'{folder}' recommends {arm.name}, but its runs are gone; start the comparison again.")
    return max(found, key=found.__getitem__)


def _siblings(folder: Path) -> list[str]:
    parent = folder.parent
    return [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
