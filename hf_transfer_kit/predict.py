"""Answer new inputs with the model of a finished run, whatever its approach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.approaches import FITS
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.metrics import apply_temperature
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import get_task


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


def predict(run_folder: Path | str, arguments: Sequence[str]) -> list[Prediction]:
    """Answers of a finished run, one per input.

    Args:
        run_folder: a folder that a run left, with record.json and model/.
        arguments: texts or text files (an input per line) of a text task; image files or folders of an image task.

    Raises:
        FormatError: `run_folder` is not that of a finished run.
        DataError: an input cannot be read.
        ModelError: the pre-trained model that the run stands on is gone.
    """
    import numpy as np

    folder = Path(run_folder)
    if not (folder / "record.json").is_file():
        inside = sorted(path.parent for path in folder.glob("**/record.json"))[:1] if folder.is_dir() else []
        hint = f"did you mean '{inside[0]}'?" if inside else "give a folder that a finished run left."
        raise FormatError(f"'{folder}' has no record.json; {hint}")
    record = RunRecord.load(folder / "record.json")
    task = get_task(record.task)
    inputs = task.read_inputs(arguments)
    predictor = FITS[type(record.plan.approach)].load(record, folder / "model")
    probabilities = np.exp(apply_temperature(predictor.logits(inputs), record.temperature))
    names = record.label_names
    return [
        Prediction(
            shown=task.show(value),
            label=names[int(row.argmax())],
            probabilities={names[i]: float(row[i]) for i in np.argsort(-row, kind="stable")},
        )
        for value, row in zip(inputs, probabilities, strict=True)
    ]
