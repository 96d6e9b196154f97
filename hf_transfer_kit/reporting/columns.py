"""What every table of a report is made of: columns with one cell per arm, and what their heads mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.reporting.quantities import points

T = TypeVar("T")

NOTHING = "–"  # noqa: RUF001  # an en dash in an empty cell reads better than a hyphen


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its head, what it means in one sentence, and one cell per arm."""

    head: str
    meaning: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with one row per arm; the first column holds the arms' names.

    Fields:
        note: what has to be known to read it, to stand below; "" where the heads say enough.
    """

    title: str
    columns: tuple[Column, ...]
    note: str = ""

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


MEANINGS = {
    "arm": "Approach, and model where there are several.",
    "accuracy": "Share of the test items answered right, mean over seeds.",
    "95% interval": "Where the accuracy lies with 95% confidence: paired bootstrap over test items and seeds.",
    "unreadable": "Answers that were none of the labels, of all runs together; they count as wrong.",
    "macro-F1": "F1 averaged over classes, so that rare classes count as much as frequent ones.",
    "calibration": "Expected calibration error before → after temperature scaling on validation; 0 is best.",
    "p": "p-value against the most accurate arm: exact McNemar tests, combined over seeds, Holm-corrected over arms.",
    "over control": "Gain in accuracy over the best control (majority class, TF-IDF, raw pixels), in points, with its "
    "95% interval.",
    "behind best": "Distance in accuracy to the most accurate arm, in points, with its 95% interval; level where "
    "that includes 0.",
    "training": "Wall time from loaded data to a model ready to answer, mean over seeds.",
    "FLOPs": "Floating-point operations of the same, counted; a multiply-add is 2.",
    "peak memory": "Highest memory above that of the idle process; of the GPU where there is one.",
    "trainable": "Parameters that training changes.",
    "parameters": "All parameters that an answer needs.",
    "on disk": "What has to be kept to answer later, without the pre-trained model it may stand on.",
    "prediction": "Time to answer one input on its own, median.",
    "labels": "Labelled examples it learned or chose from: training and validation; of a prompt those it looked at.",
    "seeds": "Runs that finished.",
    "old before": "Accuracy on the old test items of the model that every arm starts from, among old and new labels.",
    "old after": "The same of the arm, mean over seeds.",
    "among old": "Old after where answers are limited to the old labels: what the arm knows where it is told "
    "which task an item is of.",
    "forgotten": "Old before minus old after, in points, with its 95% interval: bootstrap over old test items and "
    "seeds.",
    "new": "Share of the new test items answered right, mean over seeds.",
    "mean": "Of old after and new accuracy; what the recommendation goes by.",
    "behind best mean": "Distance to the best mean, in points, with its 95% interval; level where that includes 0.",
    "perplexity before": "Perplexity of the old texts under the model that every arm starts from; lower is better.",
    "perplexity after": "The same of the arm, mean over seeds.",
    "read before": "Share of the old texts that a fixed probe reads from the features of the starting model.",
    "read after": "Share of the old texts that the same probe still reads alike from the features of the arm.",
    "worse by": "How much worse, in the unit of the columns before, with its 95% interval: bootstrap over texts and "
    "seeds.",
    "prompt": "Name of the prompt: a built-in one, or a file.",
    "demonstrations": "Labelled examples in each prompt, mean over seeds.",
    "calibration used": "What takes back the model's liking for some labels: batch (Zhou et al. 2023) or contextual "
    "(Zhao et al. 2021), both without labels.",
    "uncalibrated": "Accuracy on the test items without calibration, mean over seeds.",
    "contextual": "The same with contextual calibration.",
    "batch": "The same with batch calibration.",
    "orders": "Accuracy on validation of the worst and the best order of the examples that was tried.",
    "once": "Before the first prediction: training, search and calibration; wall time, mean over seeds.",
    "billed once": "The same in dollars, where a remote model bills it.",
    "time": "Wall time of 1000 predictions, several at once.",
    "time, nothing kept": "The same where the beginning of the prompt is read again for every prediction.",
    "compute": "Floating-point operations of 1000 predictions that run here; a multiply-add is 2.",
    "compute, nothing kept": "The same where the beginning of the prompt is read again for every prediction.",
    "tokens in": "Prompt tokens that the model read.",
    "tokens kept": "Prompt tokens that it did not read again, because their states or the answer were kept.",
    "tokens out": "Tokens of labels, or written by a remote model.",
    "dollars": "Of 1000 predictions: billed, or the time on this machine at its price.",
}


def column(head: str, items: Sequence[T], cell: Callable[[T], str]) -> Column:
    """The column called `head`, with a cell for each of `items`."""
    return Column(head=head, meaning=MEANINGS[head], cells=tuple(cell(item) for item in items))


def or_nothing(show: Callable[[T], str], value: T | None) -> str:
    """A dash where there is no value."""
    return NOTHING if value is None else show(value)


def distance(estimate: Estimate) -> str:
    """A difference of accuracies in points, with its interval."""
    return f"{points(estimate.value)} ({points(estimate.low)} to {points(estimate.high)})"


def gain(estimate: Estimate) -> str:
    """The same with a plus sign where it is one."""
    return f"{'+' if estimate.value > 0 else ''}{distance(estimate)}"
