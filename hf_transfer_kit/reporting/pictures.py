"""The report's pictures: quality against costs with the Pareto front, new skill against old skill, learning curves.

Imports no torch; matplotlib only when a picture is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.reporting.cost_picture import THOUSAND, cost_caption, cost_picture
from hf_transfer_kit.reporting.curves_picture import curves_caption, curves_picture
from hf_transfer_kit.reporting.forgetting_picture import forgetting_caption, forgetting_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a report before it is drawn: `name` is its file's without ending, `caption` says what it shows."""

    name: str
    title: str
    caption: str
    draw: "Callable[[Comparison], Figure]"


def pictures(comparison: Comparison) -> tuple[Picture, ...]:
    """The pictures that make sense for a comparison.

    Quality against costs with two arms and more, new against old skill with old data, curves over several sizes.
    """
    found = []
    if len(comparison.arms) > 1:
        caption = cost_caption(comparison)
        found.append(Picture(name="cost", title="Quality against cost", caption=caption, draw=cost_picture))
    if len(THOUSAND.known(comparison.arms)) > 1:
        caption, title = cost_caption(comparison, THOUSAND), "Quality against the cost of predictions"
        found.append(Picture(name="predictions", title=title, caption=caption, draw=predictions_picture))
    if any(arm.old or arm.old_text for arm in comparison.arms):
        caption = forgetting_caption(comparison)
        title = "New skill against old skill"
        found.append(Picture(name="forgetting", title=title, caption=caption, draw=forgetting_picture))
    if comparison.curves:
        caption = curves_caption(comparison)
        found.append(Picture(name="learning_curves", title="Learning curves", caption=caption, draw=curves_picture))
    return tuple(found)


def predictions_picture(comparison: Comparison) -> "Figure":
    """Accuracy with its interval against the time of 1000 predictions."""
    return cost_picture(comparison, THOUSAND)
