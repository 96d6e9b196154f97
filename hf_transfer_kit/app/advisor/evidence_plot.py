"""Dots with intervals on one axis, as SVG inside the page; colours are those of the theme."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from hf_transfer_kit.app.markup import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 460, 172, 20, 26, 8
LONGEST_NAME = 26
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
MOST_TICKS = 6
TINY = 1e-9  # 0.6 / 0.2 is 2.9999999999999996


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A value between 0 and 1 with its interval; `kind` becomes a class of the style sheet."""

    name: str
    value: float
    low: float
    high: float
    kind: str


def dot_plot(dots: Sequence[Dot], title: str) -> str:
    """One line for each dot, in their order, as an image with a text for those who do not see it; "" without dots.

    Example:
        >>> svg = dot_plot([Dot(name="m", value=0.8, low=0.75, high=0.85, kind="candidate")], "Accuracy")
        >>> svg.count("<circle"), 'role="img"' in svg
        (1, True)
    """
    if not dots:
        return ""
    axis = Axis(low=min(each.low for each in dots), high=max(each.high for each in dots))
    height = TOP + ROW * len(dots) + 24
    spoken = "; ".join(f"{each.name} {each.value:.2f} ({each.low:.2f} to {each.high:.2f})" for each in dots)
    lines = [_tick(axis, value, height) for value in axis.ticks]
    lines += [_dot(axis, each, TOP + ROW * number + ROW / 2) for number, each in enumerate(dots)]
    return (
        f'<svg class="tk-dots" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}: {escape(spoken)}">{"".join(lines)}</svg>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From the round number below `low` to the one above `high`, within 0 and 1.

    Example:
        >>> Axis(low=0.62, high=0.91).ticks
        (0.6, 0.7, 0.8, 0.9, 1.0)
    """

    low: float
    high: float

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round numbers, at most `MOST_TICKS` of them, around all values."""
        for step in STEPS:
            first, last = floor(self.low / step + TINY), ceil(self.high / step - TINY)
            last = min(max(last, first + 1), round(1 / step))
            first = min(first, last - 1)
            if last - first < MOST_TICKS:
                break
        return tuple(round(number * step, 2) for number in range(first, last + 1))

    def x(self, value: float) -> float:
        """Where `value` is, from the left."""
        first, last = self.ticks[0], self.ticks[-1]
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - first) / (last - first)


def _tick(axis: Axis, value: float, height: int) -> str:
    x = axis.x(value)
    return (
        f'<line class="tk-grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 22}"/>'
        f'<text class="tk-axis" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{value:g}</text>'
    )


def _dot(axis: Axis, each: Dot, y: float) -> str:
    low, value, high = axis.x(each.low), axis.x(each.value), axis.x(each.high)
    name = each.name if len(each.name) <= LONGEST_NAME else each.name[: LONGEST_NAME - 1] + "…"
    return (
        f'<g class="tk-{escape(each.kind)}"><title>{escape(each.name)}: {each.value:.3f} ({each.low:.3f} to '
        f'{each.high:.3f})</title><text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<circle cx="{value:.1f}" cy="{y:.1f}" r="4.5"/></g>'
    )
