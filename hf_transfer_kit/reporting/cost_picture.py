"""Quality against cost: accuracy over the time of training, or of 1000 predictions, with the Pareto front.

Imports no torch; matplotlib only when the picture is drawn.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_transfer_kit.comparison.result import ArmResult, Comparison
from hf_transfer_kit.reporting.canvas import COLOURS, canvas, colour_of, with_markers
from hf_transfer_kit.reporting.label_placement import Spot, label_points
from hf_transfer_kit.reporting.quantities import accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIME_TICKS = (
    (0.01, "10 ms"), (0.03, "30 ms"), (0.1, "0.1 s"), (0.3, "0.3 s"), (1, "1 s"), (3, "3 s"), (10, "10 s"),
    (30, "30 s"), (60, "1 min"), (180, "3 min"), (600, "10 min"), (1800, "30 min"), (3600, "1 h"), (10800, "3 h"),
    (36000, "10 h"), (108000, "30 h"),
)  # fmt: skip
FLOOR_SECONDS = 0.01  # the least time the axis shows; nobody waits for less
FAR_BEHIND = 0.25  # arms this far below the best stand at the lower edge, where they do not squeeze the others


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """A cost in time: `label` says it below the axis, `what` in a sentence; `seconds` of an arm, None: unknown."""

    label: str
    what: str
    seconds: Callable[[ArmResult], float | None]

    def known(self, arms: Iterable[ArmResult]) -> list[ArmResult]:
        """The arms whose cost was measured."""
        return [arm for arm in arms if self.seconds(arm) is not None]

    def place(self, arm: ArmResult) -> float:
        """Where an arm stands, in seconds."""
        return max(self.seconds(arm) or 0.0, FLOOR_SECONDS)


TRAINING = TimeAxis(
    label="training time (log scale)", what="training time", seconds=lambda arm: arm.cost.train_seconds
)
THOUSAND = TimeAxis(
    label="time of 1000 predictions (log scale)", what="the time of 1000 predictions",
    seconds=lambda arm: None if arm.cost.thousand is None else arm.cost.thousand.seconds,
)  # fmt: skip


def cost_caption(comparison: Comparison, axis: TimeAxis = TRAINING) -> str:
    """What the picture shows."""
    arms = axis.known(comparison.arms)
    front = ", ".join(arm.name for arm in pareto_front(arms, axis))
    caption = (
        f"Accuracy with its 95% interval against {axis.what}. Filled and joined by the dashed line: the "
        f"Pareto front, the arms that no other one matches in less time ({front})."
    )
    if _far_behind(arms):
        caption += " Triangles at the lower edge: arms too far below to be drawn to scale."
    return caption


def pareto_front(arms: Iterable[ArmResult], axis: TimeAxis = TRAINING) -> list[ArmResult]:
    """The arms that none other matches in accuracy at less cost, by ascending cost."""
    front: list[ArmResult] = []
    for arm in sorted(arms, key=lambda arm: (axis.seconds(arm) or 0.0, -arm.accuracy)):
        if not front or arm.accuracy > front[-1].accuracy:
            front.append(arm)
    return front


def cost_picture(comparison: Comparison, axis: TimeAxis = TRAINING) -> "Figure":
    """Accuracy with its interval against a cost (log scale); arms on the Pareto front are filled and joined."""
    figure, axes = canvas()
    arms = axis.known(comparison.arms)
    far = _far_behind(arms)
    shown = [arm for arm in arms if arm not in far]
    _set_limits(axes, shown, [axis.place(arm) for arm in arms], room_below=bool(far))
    front = pareto_front(arms, axis)
    line = [arm for arm in front if arm in shown]
    axes.plot(
        [axis.place(arm) for arm in line], [arm.accuracy for arm in line],
        drawstyle="steps-post", color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=1,
    )  # fmt: skip
    spots = [_draw_arm(axes, arm, axis.place(arm), marker, arm in front) for arm, marker in with_markers(shown)]
    edge = axes.get_ylim()[0]
    for arm in far:
        x, colour = axis.place(arm), colour_of(arm.approach)
        axes.plot(x, edge, marker=7, color=colour, markersize=7, clip_on=False, zorder=3)
        text = f"{arm.name} {accuracy(arm.accuracy, arm.scores.accuracy.half_width)}"
        spots.append(Spot(x=x, low=edge, y=edge, high=edge, text=text, colour=colour))
    axes.set_xlabel(axis.label)
    axes.set_ylabel("accuracy on the test items")
    label_points(axes, spots, [(axis.place(arm), arm.accuracy) for arm in line])
    return figure


def _far_behind(arms: Sequence[ArmResult]) -> list[ArmResult]:
    """Arms too far below the best to share a scale with the others; fine-tuned arms and those above are not."""
    lowest = min((arm.accuracy for arm in arms if arm.is_fine_tuned), default=arms[-1].accuracy)
    return [arm for arm in arms if arm.accuracy < min(lowest, arms[0].accuracy - FAR_BEHIND)]


def _set_limits(axes: "Axes", shown: Sequence[ArmResult], times: Sequence[float], room_below: bool) -> None:
    """Accuracy of the shown arms with their intervals; time, in units people use."""
    from matplotlib.ticker import NullLocator

    low = min(arm.scores.accuracy.low for arm in shown)
    high = max(arm.scores.accuracy.high for arm in shown)
    space = max(0.12 * (high - low), 0.005)
    axes.set_ylim(low - space * (3 if room_below else 1), min(high + space, 1 + space / 2))
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2, max(times) * 2)
    ticks = TIME_TICKS if max(times) < 300 * min(times) else TIME_TICKS[::2]
    first, last = axes.get_xlim()
    axes.set_xticks(*zip(*((value, text) for value, text in ticks if first <= value <= last), strict=True))
    axes.xaxis.set_minor_locator(NullLocator())


def _draw_arm(axes: "Axes", arm: ArmResult, at: float, marker: str, filled: bool) -> Spot:
    estimate, colour = arm.scores.accuracy, colour_of(arm.approach)
    axes.errorbar(
        at, estimate.value, yerr=[[estimate.value - estimate.low], [estimate.high - estimate.value]],
        color=colour, marker=marker, markersize=8, markerfacecolor=colour if filled else COLOURS["paper"],
        markeredgewidth=1.6, elinewidth=1.4, capsize=3, zorder=3,
    )  # fmt: skip
    return Spot(x=at, low=estimate.low, y=estimate.value, high=estimate.high, text=arm.name, colour=colour)
