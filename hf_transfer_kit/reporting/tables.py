"""What the tables of a report hold, as text; the terminal, Markdown and HTML only lay it out. Imports no torch."""

from collections.abc import Sequence

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.result import Comparison, Scores, typical_half_width
from hf_transfer_kit.reporting.columns import Column, Table, column, distance, gain, or_nothing
from hf_transfer_kit.reporting.prompt_tables import curves_table, prompts_table, thousand_table
from hf_transfer_kit.reporting.quantities import accuracy, count, flops, mebibytes, probability, seconds, whole


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """Quality and cost; between and behind them what there is of leaks, learning curves, old data and prompts."""
    found = [_quality(comparison)]
    if comparison.verdict_without_leaked is not None:
        found.append(_without_leaked(comparison))
    if comparison.curves:
        found.append(curves_table(comparison))
    if any(arm.old for arm in comparison.arms):
        found.append(_old_task(comparison))
    if any(arm.old_text for arm in comparison.arms):
        found.append(_old_texts(comparison))
    if any(arm.prompt for arm in comparison.arms):
        found.append(prompts_table(comparison))
    found.append(_cost(comparison))
    if any(arm.cost.thousand for arm in comparison.arms):
        found.append(thousand_table(comparison))
    return tuple(found)


def _quality(comparison: Comparison) -> Table:
    arms, items = comparison.arms, comparison.data.rows["test"]
    unreadable = column("unreadable", arms, lambda arm: f"{whole(arm.unreadable)} of {whole(len(arm.seeds) * items)}")
    return Table(
        title="Quality",
        columns=(
            column("arm", arms, lambda arm: arm.name),
            *_score_columns([arm.scores for arm in arms], typical_half_width(comparison.arms)),
            *([unreadable] if any(arm.unreadable for arm in arms) else []),
            column("p", arms, lambda arm: or_nothing(probability, arm.p_value)),
            column("over control", arms, lambda arm: or_nothing(gain, arm.gain_over_control)),
            column("behind best", arms, lambda arm: or_nothing(distance, arm.behind_best)),
        ),
    )


def _without_leaked(comparison: Comparison) -> Table:
    scores = [arm.scores_without_leaked or arm.scores for arm in comparison.arms]
    title = f"Quality without the {whole(comparison.leaked)} leaked test row{'s' if comparison.leaked > 1 else ''}"
    names = column("arm", comparison.arms, lambda arm: arm.name)
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
            column("arm", arms, lambda arm: arm.name),
            column("old before", olds, lambda old: share(old.before.value)),
            column("old after", olds, lambda old: share(old.after.value)),
            column("95% interval", olds, lambda old: f"{share(old.after.low)} to {share(old.after.high)}"),
            column("among old", olds, lambda old: share(old.after_among_old)),
            column("forgotten", olds, lambda old: distance(old.forgetting)),
            column("new", arms, lambda arm: share(arm.accuracy)),
            column("mean", olds, lambda old: share(old.average.value)),
            column("behind best mean", olds, lambda old: or_nothing(distance, old.behind_best_average)),
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
            column("arm", arms, lambda arm: arm.name),
            column(f"{word} before", texts, lambda text: show(text.before)),
            column(f"{word} after", texts, lambda text: show(text.after)),
            column("worse by", texts, lambda text: interval(text.worse)),
            column("new", arms, lambda arm: accuracy(arm.accuracy, half_width)),
        ),
    )


def _cost(comparison: Comparison) -> Table:
    arms = comparison.arms
    return Table(
        title="Cost",
        columns=(
            column("arm", arms, lambda arm: arm.name),
            column("training", arms, lambda arm: seconds(arm.cost.train_seconds)),
            column("FLOPs", arms, lambda arm: flops(arm.cost.train_flops)),
            column("peak memory", arms, lambda arm: mebibytes(arm.cost.peak_memory_mib)),
            column("trainable", arms, lambda arm: count(arm.cost.trainable_parameters)),
            column("parameters", arms, lambda arm: count(arm.cost.total_parameters)),
            column("on disk", arms, lambda arm: mebibytes(arm.cost.disk_mib)),
            column("prediction", arms, lambda arm: seconds(arm.cost.ms_per_prediction / 1000)),
            column("labels", arms, lambda arm: whole(arm.labels_used)),
            column("seeds", arms, lambda arm: str(len(arm.seeds))),
        ),
    )


def _score_columns(scores: Sequence[Scores], half_width: float) -> tuple[Column, ...]:
    def share(value: float) -> str:
        return accuracy(value, half_width)

    return (
        column("accuracy", scores, lambda each: share(each.accuracy.value)),
        column("95% interval", scores, lambda each: f"{share(each.accuracy.low)} to {share(each.accuracy.high)}"),
        column("macro-F1", scores, lambda each: share(each.macro_f1)),
        column("calibration", scores, lambda each: f"{each.calibration_error:.3f} → {each.calibrated_error:.3f}"),
    )
