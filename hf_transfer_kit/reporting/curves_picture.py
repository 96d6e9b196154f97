"""Learning curves: accuracy over labels used, and where fine-tuning overtakes prompting.

Imports no torch; matplotlib only when the picture is drawn.
"""

from typing import TYPE_CHECKING

from hf_transfer_kit.comparison.prompt_result import Crossover
from hf_transfer_kit.comparison.prompting_verdict import about, in_words
from hf_transfer_kit.comparison.result import PROMPTED, Comparison, CurvePoint, LearningCurve
from hf_transfer_kit.reporting.canvas import COLOURS, canvas, colour_of, with_markers
from hf_transfer_kit.reporting.label_placement import Spot, label_along_edge
from hf_transfer_kit.reporting.quantities import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Range = tuple[float, float]

DASHED, DOTTED = (0, (4, 3)), (0, (1, 2))
FEWER = 0.8  # of the most labels: a prompt that uses no more goes on as a dotted line


def curves_caption(comparison: Comparison) -> str:
    """What the picture shows."""
    sentences = [
        "Accuracy against the labels an arm used, those of validation included; the bands are 95% intervals.",
    ]
    if any(_without_labels(curve) for curve in comparison.curves):
        sentences.append("An arm without labels is a horizontal line.")
    if any(_stays(curve, comparison.curves) for curve in comparison.curves):
        sentences.append("Dotted: with more labels than it looks at, a prompt stays as it is.")
    if comparison.crossover:
        sentences.append(f"{in_words(comparison.crossover)}.")
        if not comparison.crossover.is_open and _interval(comparison.crossover):
            sentences.append("Shaded: the 95% interval of that number.")
    return " ".join(sentences)


def curves_picture(comparison: Comparison) -> "Figure":
    """Accuracy against labels used (log scale), 95% intervals as bands; the crossover shaded."""
    figure, axes = canvas()
    used = [point.labels_used for curve in comparison.curves for point in curve.points if point.labels_used]
    room = (max(used) / min(used)) ** 0.04
    edges = (min(used) / room, max(used) * room)
    axes.set_xscale("log")
    axes.set_xlim(edges)
    ends = [_draw(axes, curve, marker, edges, max(used)) for curve, marker in with_markers(comparison.curves)]
    _set_ticks(axes, sorted(set(used)))
    axes.set_xlabel("labels used: training and validation (log scale)")
    axes.set_ylabel("accuracy on the test items")
    if comparison.crossover:
        left, bottom, width, height = axes.get_position().bounds
        axes.set_position((left, bottom, width, height - 0.04))  # its number stands above
        _draw_crossover(axes, comparison.crossover, edges)
    label_along_edge(axes, ends)
    return figure


def _draw(axes: "Axes", curve: LearningCurve, marker: str, edges: Range, most: int) -> Spot:
    """One arm; the spot where its name belongs."""
    colour, prompted = colour_of(curve.approach), curve.approach in PROMPTED
    style = DASHED if colour == COLOURS["control"] else "-"
    points = _points(curve)
    x = list(edges) if _without_labels(curve) else [point.labels_used for point in points]
    points = points * 2 if _without_labels(curve) else points
    y = [point.accuracy.value for point in points]
    low = [point.accuracy.low for point in points]
    high = [point.accuracy.high for point in points]
    axes.plot(
        x, y, color=colour, marker="" if _without_labels(curve) else marker, markersize=7 if prompted else 5,
        linewidth=1.6, linestyle=style, zorder=3,
    )  # fmt: skip
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0, zorder=2)
    if len(x) == 1:
        axes.vlines(x, low, high, color=colour, linewidth=1.4, zorder=3)
    if prompted and x[-1] < FEWER * most:
        axes.plot([x[-1], most], [y[-1], y[-1]], color=colour, linewidth=1.2, linestyle=DOTTED, zorder=2)
        x = [most]
    return Spot(x=x[-1], low=y[-1], y=y[-1], high=y[-1], text=curve.name, colour=colour)


def _points(curve: LearningCurve) -> list[CurvePoint]:
    """By labels used; of equal numbers the point drawn from the most examples."""
    found = {point.labels_used: point for point in sorted(curve.points, key=lambda point: point.train_size)}
    return [found[labels] for labels in sorted(found)]


def _without_labels(curve: LearningCurve) -> bool:
    return all(not point.labels_used for point in curve.points)


def _stays(curve: LearningCurve, curves: tuple[LearningCurve, ...]) -> bool:
    """True of a prompt that was never shown as many labels as other arms."""
    most = max(point.labels_used for each in curves for point in each.points)
    return curve.approach in PROMPTED and 0 < max(point.labels_used for point in curve.points) < FEWER * most


def _interval(crossover: Crossover) -> Range | None:
    """The part of the interval inside the measured range; None where it has no extent there."""
    low = crossover.last if crossover.low is None else max(crossover.low, crossover.first)
    high = crossover.last if crossover.high is None else max(crossover.high, crossover.first)
    return (low, high) if low < high else None


def _draw_crossover(axes: "Axes", crossover: Crossover, edges: Range) -> None:
    """The interval shaded, a dashed line at the estimate, its number above; open ends reach the edge."""
    inside = _interval(crossover)
    if inside:
        low = edges[0] if crossover.low == 0 and crossover.first <= edges[0] * 1.2 else inside[0]
        high = edges[1] if crossover.high is None else inside[1]
        axes.axvspan(low, high, color=COLOURS["muted"], alpha=0.12, linewidth=0, zorder=0)
    if crossover.labels:
        axes.axvline(crossover.labels, color=COLOURS["muted"], linewidth=1.2, linestyle=DASHED, zorder=1)
        axes.annotate(
            f"about {about(crossover.labels)} labels", (crossover.labels, 1.0), xycoords=("data", "axes fraction"),
            xytext=(0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=9, color=COLOURS["muted"],
            annotation_clip=False,
        )  # fmt: skip


def _set_ticks(axes: "Axes", used: list[int]) -> None:
    """1, 2, 5 times powers of ten; the measured numbers where those are too few."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    first, last = axes.get_xlim()
    steps = [factor * 10**power for power in range(8) for factor in (1, 2, 5)]
    ticks = [step for step in steps if first <= step <= last]
    axes.xaxis.set_major_locator(FixedLocator(ticks if len(ticks) > 2 else used))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda labels, _: whole(round(labels))))
