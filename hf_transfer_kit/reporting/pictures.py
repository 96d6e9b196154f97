"""The report's pictures: accuracy against training time with the Pareto front, and learning curves.

A picture is drawn once. In its SVG the colours become CSS variables of the page around it, so that one picture serves
light and dark. Imports no torch; matplotlib only when a picture is drawn, and never its global state (pyplot).
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hf_transfer_kit.comparison.result import ArmResult, Comparison, LearningCurve
from hf_transfer_kit.reporting.label_placement import Spot, label_along_edge, label_points
from hf_transfer_kit.reporting.quantities import accuracy, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Approaches after Okabe & Ito's palette, which colour-blind readers can tell apart, darkened to be legible as text.
COLOURS = {
    "features": "#0072b2",
    "top_layers": "#00805c",
    "full": "#c44e00",
    "lora": "#a8457f",
    "scratch": "#8a6d00",
    "control": "#5f6771",
    "ink": "#1f2429",
    "muted": "#636c76",
    "grid": "#e4e7eb",
    "paper": "#fffffe",
}
Named = TypeVar("Named", ArmResult, LearningCurve)

MARKERS = ("o", "s", "D", "^", "v", "P")  # one per model
TIME_TICKS = (
    (0.01, "10 ms"), (0.03, "30 ms"), (0.1, "0.1 s"), (0.3, "0.3 s"), (1, "1 s"), (3, "3 s"), (10, "10 s"),
    (30, "30 s"), (60, "1 min"), (180, "3 min"), (600, "10 min"), (1800, "30 min"), (3600, "1 h"), (10800, "3 h"),
    (36000, "10 h"), (108000, "30 h"),
)  # fmt: skip
FLOOR_SECONDS = 0.01  # the least time the axis shows; nobody waits for less
FAR_BEHIND = 0.25  # arms this far below the best stand at the lower edge, where they do not squeeze the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a report before it is drawn: `name` is its file's without ending, `caption` says what it shows."""

    name: str
    title: str
    caption: str
    draw: "Callable[[Comparison], Figure]"


def pictures(comparison: Comparison) -> tuple[Picture, ...]:
    """The pictures that make sense for a comparison: none of a single arm, learning curves only over several sizes."""
    found = []
    if len(comparison.arms) > 1:
        front = ", ".join(arm.name for arm in pareto_front(comparison.arms))
        caption = (
            "Accuracy with its 95% interval against training time. Filled and joined by the dashed line: the "
            f"Pareto front, the arms that no other one matches in less time ({front})."
        )
        if _far_behind(comparison.arms):
            caption += " Triangles at the lower edge: arms too far below to be drawn to scale."
        found.append(Picture(name="cost", title="Quality against cost", caption=caption, draw=cost_picture))
    if comparison.curves:
        caption = "Accuracy against the number of training examples; the bands are 95% intervals."
        found.append(Picture(name="learning_curves", title="Learning curves", caption=caption, draw=curves_picture))
    return tuple(found)


def pareto_front(arms: Iterable[ArmResult]) -> list[ArmResult]:
    """The arms that none other matches in accuracy with less training, by ascending training time."""
    front: list[ArmResult] = []
    for arm in sorted(arms, key=lambda arm: (arm.cost.train_seconds, -arm.accuracy)):
        if not front or arm.accuracy > front[-1].accuracy:
            front.append(arm)
    return front


def cost_picture(comparison: Comparison) -> "Figure":
    """Accuracy with its interval against training time (log scale); arms on the Pareto front are filled and joined."""
    figure, axes = _canvas()
    arms = comparison.arms
    far = _far_behind(arms)
    shown = [arm for arm in arms if arm not in far]
    _set_limits(axes, shown, arms, room_below=bool(far))
    front = pareto_front(arms)
    line = [arm for arm in front if arm in shown]
    axes.plot(
        [_time(arm) for arm in line], [arm.accuracy for arm in line],
        drawstyle="steps-post", color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=1,
    )  # fmt: skip
    spots = [_draw_arm(axes, arm, marker, arm in front) for arm, marker in _with_markers(shown)]
    edge = axes.get_ylim()[0]
    for arm in far:
        axes.plot(_time(arm), edge, marker=7, color=_colour(arm.approach), markersize=7, clip_on=False, zorder=3)
        text = f"{arm.name} {accuracy(arm.accuracy, arm.scores.accuracy.half_width)}"
        spots.append(Spot(x=_time(arm), low=edge, y=edge, high=edge, text=text, colour=_colour(arm.approach)))
    axes.set_xlabel("training time (log scale)")
    axes.set_ylabel("accuracy on the test items")
    label_points(axes, spots, [(_time(arm), arm.accuracy) for arm in line])
    return figure


def curves_picture(comparison: Comparison) -> "Figure":
    """Accuracy against the number of training examples (log scale), 95% intervals as bands."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, axes = _canvas()
    ends = []
    for curve, marker in _with_markers(comparison.curves):
        colour = _colour(curve.approach)
        x = [point.train_size for point in curve.points]
        y = [point.accuracy.value for point in curve.points]
        low = [point.accuracy.low for point in curve.points]
        high = [point.accuracy.high for point in curve.points]
        dashed = (0, (4, 3)) if colour == COLOURS["control"] else "-"
        axes.plot(x, y, color=colour, marker=marker, markersize=5, linewidth=1.6, linestyle=dashed, zorder=3)
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0, zorder=2)
        ends.append(Spot(x=x[-1], low=y[-1], y=y[-1], high=y[-1], text=curve.name, colour=colour))
    sizes = sorted({point.train_size for curve in comparison.curves for point in curve.points})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: whole(round(size))))
    axes.set_xlabel("training examples (log scale)")
    axes.set_ylabel("accuracy on the test items")
    label_along_edge(axes, ends)
    return figure


def to_png(figure: "Figure") -> bytes:
    """The picture as a PNG file on white, 2 pixels per point."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=144, metadata={"Software": None})
    return file.getvalue()


def to_svg(figure: "Figure", title: str) -> str:
    """The picture as an `<svg>` element to put into a page; `title` is what a screen reader says.

    Colours are the page's CSS variables --features, --ink, --paper and so on, text is text in the page's font, and
    there is no reference to anything outside.
    """
    from html import escape

    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):  # the salt: the same ids every time
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()[file.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows both
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # "axes_1" would be there twice in a page of two pictures
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]+", r"\1 var(--font)", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def _canvas() -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.5), facecolor=COLOURS["paper"])
    axes = figure.add_axes((0.1, 0.12, 0.79, 0.85), facecolor=COLOURS["paper"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(COLOURS["muted"])
    axes.grid(color=COLOURS["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=COLOURS["muted"], which="both", labelsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(COLOURS["ink"])
    return figure, axes


def _far_behind(arms: Sequence[ArmResult]) -> list[ArmResult]:
    """Arms too far below the best to share a scale with the others; pre-trained arms and those above are not."""
    lowest = min((arm.accuracy for arm in arms if arm.is_pretrained), default=arms[-1].accuracy)
    return [arm for arm in arms if arm.accuracy < min(lowest, arms[0].accuracy - FAR_BEHIND)]


def _set_limits(axes: "Axes", shown: Sequence[ArmResult], arms: Sequence[ArmResult], room_below: bool) -> None:
    """Accuracy of the shown arms with their intervals; time of all arms, in units people use."""
    from matplotlib.ticker import NullLocator

    low = min(arm.scores.accuracy.low for arm in shown)
    high = max(arm.scores.accuracy.high for arm in shown)
    space = max(0.12 * (high - low), 0.005)
    axes.set_ylim(low - space * (3 if room_below else 1), min(high + space, 1 + space / 2))
    times = [_time(arm) for arm in arms]
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2, max(times) * 2)
    ticks = TIME_TICKS if max(times) < 300 * min(times) else TIME_TICKS[::2]
    first, last = axes.get_xlim()
    axes.set_xticks(*zip(*((value, text) for value, text in ticks if first <= value <= last), strict=True))
    axes.xaxis.set_minor_locator(NullLocator())


def _draw_arm(axes: "Axes", arm: ArmResult, marker: str, filled: bool) -> Spot:
    estimate, colour = arm.scores.accuracy, _colour(arm.approach)
    axes.errorbar(
        _time(arm), estimate.value, yerr=[[estimate.value - estimate.low], [estimate.high - estimate.value]],
        color=colour, marker=marker, markersize=8, markerfacecolor=colour if filled else COLOURS["paper"],
        markeredgewidth=1.6, elinewidth=1.4, capsize=3, zorder=3,
    )  # fmt: skip
    return Spot(x=_time(arm), low=estimate.low, y=estimate.value, high=estimate.high, text=arm.name, colour=colour)


def _with_markers(items: Sequence[Named]) -> list[tuple[Named, str]]:
    """Each arm or curve with a marker: one per approach for the first model, the next for the second."""
    seen: Counter[str] = Counter()
    pairs = []
    for item in sorted(items, key=lambda item: item.name):
        pairs.append((item, MARKERS[seen[item.approach] % len(MARKERS)]))
        seen[item.approach] += 1
    return pairs


def _colour(approach: str) -> str:
    return COLOURS.get(approach, COLOURS["control"])


def _time(arm: ArmResult) -> float:
    return max(arm.cost.train_seconds, FLOOR_SECONDS)
