"""What the tables of a report hold, as text; the terminal, Markdown and HTML only lay it out. Imports no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.result import Comparison, Scores, typical_half_width
from hf_transfer_kit.reporting.quantities import accuracy, count, flops, mebibytes, points, probability, seconds, whole

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
    """A table with one row per arm; the first column holds the arms' names."""

    title: str
    columns: tuple[Column, ...]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


MEANINGS = {
    "arm": "Approach, and model where there are several.",
    "accuracy": "Share of the test items answered right, mean over seeds.",
    "95% interval": "Where the accuracy lies with 95% confidence: paired bootstrap over test items and seeds.",
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
    "labels": "Labelled examples it learned or chose from: training and validation.",
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
}


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """Quality, quality without leaked test rows and what is left of the old data where there are such, and cost."""
    found = [_quality(comparison)]
    if comparison.verdict_without_leaked is not None:
        found.append(_without_leaked(comparison))
    if any(arm.old for arm in comparison.arms):
        found.append(_old_task(comparison))
    if any(arm.old_text for arm in comparison.arms):
        found.append(_old_texts(comparison))
    return (*found, _cost(comparison))


def _quality(comparison: Comparison) -> Table:
    arms = comparison.arms
    return Table(
        title="Quality",
        columns=(
            _column("arm", arms, lambda arm: arm.name),
            *_score_columns([arm.scores for arm in arms], typical_half_width(comparison.arms)),
            _column("p", arms, lambda arm: _or_nothing(probability, arm.p_value)),
            _column("over control", arms, lambda arm: _or_nothing(_gain, arm.gain_over_control)),
            _column("behind best", arms, lambda arm: _or_nothing(_distance, arm.behind_best)),
        ),
    )


def _without_leaked(comparison: Comparison) -> Table:
    scores = [arm.scores_without_leaked or arm.scores for arm in comparison.arms]
    title = f"Quality without the {whole(comparison.leaked)} leaked test row{'s' if comparison.leaked > 1 else ''}"
    names = _column("arm", comparison.arms, lambda arm: arm.name)
    return Table(title=title, columns=(names, *_score_columns(scores, typical_half_width(comparison.arms))))


def _old_task(comparison: Comparison) -> Table:
    """The best mean first; arms that never knew the old task are left out."""
    known = [(arm, arm.old) for arm in comparison.arms if arm.old is not None]
    known.sort(key=lambda pair: -pair[1].average.value)
    arms, olds = [arm for arm, _ in known], [old for _, old in known]
    half_width = typical_half_width(comparison.arms)

    def share(value: float) -> str:
        return accuracy(value, half_width)

    return Table(
        title="Old task",
        columns=(
            _column("arm", arms, lambda arm: arm.name),
            _column("old before", olds, lambda old: share(old.before.value)),
            _column("old after", olds, lambda old: share(old.after.value)),
            _column("95% interval", olds, lambda old: f"{share(old.after.low)} to {share(old.after.high)}"),
            _column("among old", olds, lambda old: share(old.after_among_old)),
            _column("forgotten", olds, lambda old: _distance(old.forgetting)),
            _column("new", arms, lambda arm: share(arm.accuracy)),
            _column("mean", olds, lambda old: share(old.average.value)),
            _column("behind best mean", olds, lambda old: _or_nothing(_distance, old.behind_best_average)),
        ),
    )


def _old_texts(comparison: Comparison) -> Table:
    """Arms that were not measured on the old texts are left out."""
    known = [(arm, arm.old_text) for arm in comparison.arms if arm.old_text is not None]
    arms, texts = [arm for arm, _ in known], [text for _, text in known]
    perplexity = texts[0].measure == "perplexity"
    half_width = typical_half_width(comparison.arms)

    def show(value: float) -> str:
        return f"{value:.2f}" if perplexity else accuracy(value)

    def interval(estimate: Estimate) -> str:
        return f"{show(estimate.value)} ({show(estimate.low)} to {show(estimate.high)})"

    word = "perplexity" if perplexity else "read"
    return Table(
        title="Old texts",
        columns=(
            _column("arm", arms, lambda arm: arm.name),
            _column(f"{word} before", texts, lambda text: show(text.before)),
            _column(f"{word} after", texts, lambda text: show(text.after)),
            _column("worse by", texts, lambda text: interval(text.worse)),
            _column("new", arms, lambda arm: accuracy(arm.accuracy, half_width)),
        ),
    )


def _cost(comparison: Comparison) -> Table:
    arms = comparison.arms
    return Table(
        title="Cost",
        columns=(
            _column("arm", arms, lambda arm: arm.name),
            _column("training", arms, lambda arm: seconds(arm.cost.train_seconds)),
            _column("FLOPs", arms, lambda arm: flops(arm.cost.train_flops)),
            _column("peak memory", arms, lambda arm: mebibytes(arm.cost.peak_memory_mib)),
            _column("trainable", arms, lambda arm: count(arm.cost.trainable_parameters)),
            _column("parameters", arms, lambda arm: count(arm.cost.total_parameters)),
            _column("on disk", arms, lambda arm: mebibytes(arm.cost.disk_mib)),
            _column("prediction", arms, lambda arm: seconds(arm.cost.ms_per_prediction / 1000)),
            _column("labels", arms, lambda arm: whole(arm.labels_used)),
            _column("seeds", arms, lambda arm: str(len(arm.seeds))),
        ),
    )


def _score_columns(scores: Sequence[Scores], half_width: float) -> tuple[Column, ...]:
    def share(value: float) -> str:
        return accuracy(value, half_width)

    return (
        _column("accuracy", scores, lambda each: share(each.accuracy.value)),
        _column("95% interval", scores, lambda each: f"{share(each.accuracy.low)} to {share(each.accuracy.high)}"),
        _column("macro-F1", scores, lambda each: share(each.macro_f1)),
        _column("calibration", scores, lambda each: f"{each.calibration_error:.3f} → {each.calibrated_error:.3f}"),
    )


def _column(head: str, items: Sequence[T], cell: Callable[[T], str]) -> Column:
    return Column(head=head, meaning=MEANINGS[head], cells=tuple(cell(item) for item in items))


def _or_nothing(show: Callable[[T], str], value: T | None) -> str:
    return NOTHING if value is None else show(value)


def _distance(estimate: Estimate) -> str:
    return f"{points(estimate.value)} ({points(estimate.low)} to {points(estimate.high)})"


def _gain(estimate: Estimate) -> str:
    return f"{'+' if estimate.value > 0 else ''}{_distance(estimate)}"
