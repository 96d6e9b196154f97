"""New skill against old skill: what each arm gained on the new data, and what it still knows of the old.

Imports no torch; matplotlib only when the picture is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.result import ArmResult, Comparison
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.reporting.canvas import COLOURS, canvas, colour_of, with_markers
from hf_transfer_kit.reporting.label_placement import Spot, label_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class _Skill:
    """What an arm still knows of the old data, with its interval, and what its starting model knew."""

    before: float
    after: Estimate


def forgetting_picture(comparison: Comparison) -> "Figure":
    """One point per arm that knows the old data, with intervals; dashed: the starting model's old skill."""
    figure, axes = canvas()
    arms = [arm for arm in comparison.arms if arm.old or arm.old_text]
    skills = [_skill(arm) for arm in arms]
    starts = _starts(arms, skills)
    spots = [_draw(axes, arm, _skill(arm), marker) for arm, marker in with_markers(arms)]
    _set_limits(axes, spots, [height for height, _ in starts])
    if _falls(arms[0]):
        axes.invert_yaxis()
    edges = axes.get_xlim()
    lines = [[(edges[0], height), (edges[1], height)] for height, _ in starts]
    for height, text in starts:
        axes.axhline(height, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        spots.append(Spot(x=edges[0], y=height, low=height, high=height, text=text, colour=COLOURS["muted"]))
    axes.set_xlabel("accuracy on the new test items")
    axes.set_ylabel(_old_axis(arms[0]))
    label_points(axes, spots, *lines)
    return figure


def forgetting_caption(comparison: Comparison) -> str:
    """What the picture shows."""
    arm = next(arm for arm in comparison.arms if arm.old or arm.old_text)
    what = "Accuracy on the old test items, among old and new labels" if arm.old else f"The {_old_axis(arm)}"
    return (
        f"{what}, against accuracy on the new test items, both with their 95% intervals. Dashed: the model that every "
        "arm starts from. Up and right is better."
    )


def _skill(arm: ArmResult) -> _Skill:
    if arm.old:
        return _Skill(before=arm.old.before.value, after=arm.old.after)
    if arm.old_text is None:
        raise LookupError(f"{arm.name} knows no old data")
    text = arm.old_text
    ends = sorted(text.before + _sign(arm) * end for end in (text.worse.low, text.worse.high))
    return _Skill(before=text.before, after=Estimate(value=text.after, low=ends[0], high=ends[1]))


def _falls(arm: ArmResult) -> bool:
    """Whether a better model has a lower number."""
    return arm.old_text is not None and arm.old is None and arm.old_text.measure == "perplexity"


def _sign(arm: ArmResult) -> int:
    return 1 if _falls(arm) else -1


def _old_axis(arm: ArmResult) -> str:
    if arm.old:
        return "accuracy on the old test items"
    return "perplexity of the old texts" if _falls(arm) else "share of the old texts that a probe still reads"


def _starts(arms: Sequence[ArmResult], skills: Sequence[_Skill]) -> list[tuple[float, str]]:
    """Heights of the starting models' lines with their names; seeds of one model may start a little apart."""
    several = len({arm.model for arm in arms}) > 1
    of_model: dict[str, list[float]] = {}
    for arm, skill in zip(arms, skills, strict=True):
        of_model.setdefault(arm.model or "", []).append(skill.before)
    return [
        (sum(heights) / len(heights), "start" + (f" · {short_model_name(model)}" if several else ""))
        for model, heights in of_model.items()
    ]


def _draw(axes: "Axes", arm: ArmResult, skill: _Skill, marker: str) -> Spot:
    new, old, colour = arm.scores.accuracy, skill.after, colour_of(arm.approach)
    axes.errorbar(
        new.value, old.value,
        xerr=[[max(new.value - new.low, 0)], [max(new.high - new.value, 0)]],
        yerr=[[max(old.value - old.low, 0)], [max(old.high - old.value, 0)]],
        color=colour, marker=marker, markersize=8, markerfacecolor=colour, markeredgewidth=1.6, elinewidth=1,
        capsize=2.5, zorder=3,
    )  # fmt: skip
    return Spot(
        x=new.value, y=old.value, low=old.low, high=old.high, left=new.low, right=new.high, text=arm.name,
        colour=colour,
    )  # fmt: skip


def _set_limits(axes: "Axes", spots: Sequence[Spot], starts: Sequence[float]) -> None:
    """All intervals and lines, with some room; a share stays near [0, 1]."""
    left, right = min(spot.ends[0] for spot in spots), max(spot.ends[1] for spot in spots)
    low, high = min(*(spot.low for spot in spots), *starts), max(*(spot.high for spot in spots), *starts)
    across, up = max(0.12 * (right - left), 0.01), max(0.1 * (high - low), 0.01)
    axes.set_xlim(left - across, right + across)
    axes.set_ylim(low - up, high + up)
