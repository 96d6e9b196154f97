"""The tables about labels and prompts: learning curves, what was asked, the cost of 1000 predictions.

Imports no torch.
"""

from collections.abc import Callable, Sequence
from statistics import median

from hf_transfer_kit.comparison.payback import total_dollars
from hf_transfer_kit.comparison.prompt_result import PromptResult
from hf_transfer_kit.comparison.result import ArmResult, Comparison, CurvePoint, LearningCurve, typical_half_width
from hf_transfer_kit.records import PredictionCost
from hf_transfer_kit.reporting.columns import NOTHING, Column, Table, column, or_nothing
from hf_transfer_kit.reporting.quantities import accuracy, flops, seconds, whole


def curves_table(comparison: Comparison) -> Table:
    """Accuracy of every arm at every training size; arms without labels are the same at all of them."""
    place = {arm.name: number for number, arm in enumerate(comparison.arms)}
    curves = sorted(comparison.curves, key=lambda curve: place.get(curve.name, len(place)))
    points = [point for curve in curves for point in curve.points]
    half_width = median(point.accuracy.half_width for point in points)
    sizes = sorted({point.train_size for point in points if point.labels_used})

    def cell(curve: LearningCurve, size: int) -> str:
        found = next((point for point in curve.points if point.train_size == size or not point.labels_used), None)
        return NOTHING if found is None else _with_margin(found, half_width)

    return Table(
        title="Learning curves",
        columns=(
            column("arm", curves, lambda curve: curve.name),
            *(
                Column(head=whole(size), meaning="", cells=tuple(cell(curve, size) for curve in curves))
                for size in sizes
            ),
        ),
        note="Accuracy by the number of training examples, with half the length of its 95% interval. An arm that "
        "looks at no label is the same everywhere.",
    )


def _with_margin(point: CurvePoint, half_width: float) -> str:
    estimate = point.accuracy
    return f"{accuracy(estimate.value, half_width)} ±{accuracy(estimate.half_width, half_width)}"


def prompts_table(comparison: Comparison) -> Table:
    """What the prompted arms asked, and what calibration and the order of the examples are worth."""
    known = [(arm, arm.prompt) for arm in comparison.arms if arm.prompt is not None]
    arms, prompts = [arm for arm, _ in known], [prompt for _, prompt in known]
    half_width = typical_half_width(comparison.arms)

    def share(value: float | None) -> str:
        return NOTHING if value is None else accuracy(value, half_width)

    def orders(prompt: PromptResult) -> str:
        if prompt.worst_order is None:
            return NOTHING
        best = "" if prompt.best_order is None else f" to {share(prompt.best_order)}"
        return f"{share(prompt.worst_order)}{best}"

    return Table(
        title="Prompts",
        columns=(
            column("arm", arms, lambda arm: arm.name),
            column("prompt", prompts, lambda prompt: prompt.name),
            column(
                "demonstrations", prompts, lambda prompt: or_nothing(lambda n: whole(round(n)), prompt.demonstrations)
            ),
            column("calibration used", prompts, lambda prompt: prompt.calibration or NOTHING),
            column("uncalibrated", prompts, lambda prompt: share(prompt.uncalibrated)),
            column("contextual", prompts, lambda prompt: share(prompt.contextual)),
            column("batch", prompts, lambda prompt: share(prompt.batch)),
            column("orders", prompts, orders),
            column("labels", arms, lambda arm: whole(arm.labels_used)),
        ),
    )


def thousand_table(comparison: Comparison) -> Table:
    """What 1000 predictions cost, and what has to be paid once before them; columns that say nothing are left out."""
    arms = [arm for arm in comparison.arms if arm.cost.thousand]
    costs = [arm.cost.thousand for arm in arms if arm.cost.thousand]
    price = comparison.measurement.dollars_per_hour
    columns = [
        column("arm", arms, lambda arm: arm.name),
        column("once", arms, lambda arm: seconds(arm.cost.train_seconds)),
        *_where(arms, "billed once", lambda arm: arm.cost.train_dollars, dollars),
        column("time", costs, lambda cost: seconds(cost.seconds)),
        *_uncached(costs, "time, nothing kept", lambda cost: (cost.seconds, cost.seconds_uncached), seconds),
        column("compute", arms, _compute),
        *_uncached(costs, "compute, nothing kept", lambda cost: (cost.flops, cost.flops_uncached), _operations),
        *_where(costs, "tokens in", lambda cost: cost.tokens_in, _tokens),
        *_where(costs, "tokens kept", lambda cost: cost.tokens_cached, _tokens),
        *_where(costs, "tokens out", lambda cost: cost.tokens_out, _tokens),
        *_where(arms, "dollars", lambda arm: total_dollars(arm, price), dollars),
    ]
    several = any(each.head.endswith("nothing kept") for each in columns)
    return Table(title="Cost of 1000 predictions", columns=tuple(columns), note=_note(several, price))


def dollars(value: float) -> str:
    """An amount of money: cents where that says enough, two digits below.

    Example:
        >>> dollars(12.345), dollars(0.00123), dollars(0)
        ('$12.35', '$0.0012', '$0')
    """
    if value == 0:
        return "$0"
    return f"${value:,.2f}" if abs(value) >= 0.1 else f"${value:.2g}" if abs(value) >= 1e-4 else "< $0.0001"


def _note(uncached: bool, price: float | None) -> str:
    sentences = []
    if uncached:
        sentences.append(
            "Plain numbers: the beginning of the prompt is read once and kept for all inputs. Nothing kept: it is "
            "read again for every prediction, as claims that examples in the prompt are costly mostly assume."
        )
    if price is not None:
        sentences.append(f"Dollars count this machine at ${price:g} per hour.")
    return " ".join(sentences)


def _compute(arm: ArmResult) -> str:
    """Of a remote model nobody knows."""
    return NOTHING if arm.remote or arm.cost.thousand is None else flops(arm.cost.thousand.flops)


def _operations(value: float) -> str:
    return flops(value) if value else NOTHING


def _tokens(value: float) -> str:
    return whole(round(value)) if value else NOTHING


def _uncached(
    costs: Sequence[PredictionCost],
    head: str,
    pair: Callable[[PredictionCost], tuple[float, float]],
    show: Callable[[float], str],
) -> list[Column]:
    """Costs where nothing is kept, in a column only if any differs from the plain one, `pair`'s first."""
    differ = any(abs(kept - uncached) > 0.01 * uncached for kept, uncached in map(pair, costs))
    return [column(head, costs, lambda cost: show(pair(cost)[1]))] if differ else []


def _where(
    items: Sequence[ArmResult] | Sequence[PredictionCost],
    head: str,
    value: Callable[..., float | None],
    show: Callable[[float], str],
) -> list[Column]:
    """A column, only if any of its numbers is known and not 0."""
    if not any(value(item) for item in items):
        return []
    return [column(head, items, lambda item: or_nothing(show, value(item)))]
