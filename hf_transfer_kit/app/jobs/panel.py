"""A small chart as inline SVG: lines over steps, in colours that go with light and dark pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hf_transfer_kit.app.markup import escape
from hf_transfer_kit.reporting.label_placement import spread

WIDTH, HEIGHT = 400, 196
LEFT, RIGHT, TOP, BOTTOM = 40, 72, 18, 34  # margins
LEAST_SPAN = 0.1  # of the vertical axis
FEW_POINTS = 40  # up to which each is marked
LINE_HEIGHT = 13
COLOURS = ("#3b82f6", "#e07b00", "#12a150", "#a855f7", "#e11d6f", "#0d9488")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with its name, (step, number) by step."""

    name: str
    points: tuple[tuple[int, float], ...]
    colour: str
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of steps with a label, and a longer one for whoever points at it."""

    start: int
    end: int
    label: str
    title: str


def panel(
    title: str, lines: Sequence[Line], *, steps: int, bands: Sequence[Band] = (), most: float = math.inf
) -> str:  # fmt: skip
    """The chart as HTML; "" without lines.

    Args:
        steps: the horizontal axis ends there, or with the last point.
        most: no number can be larger.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    end = max(steps, max(line.points[-1][0] for line in lines), 1)
    low, high = _range([value for line in lines for _, value in line.points], most)
    frame = _Frame(end=end, low=low, high=high)
    said = escape(_in_words(title, lines, end))
    parts = [*(_band(frame, band, number) for number, band in enumerate(bands)), _axes(frame)]
    parts += [_drawn(frame, line) for line in lines]
    parts.append(_labels(frame, lines))
    return (
        f'<figure class="tk-panel"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}"><title>{said}</title>'
        f"{''.join(parts)}</svg></figure>"
    )


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` steps apart.

    Example:
        >>> ticks(0.0, 1.0), ticks(0, 170, most=4)
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 50.0, 100.0, 150.0])
    """
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) + 0.0 for number in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """From steps and numbers to places in the picture."""

    end: int
    low: float
    high: float

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.end

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _range(values: Sequence[float], most: float) -> tuple[float, float]:
    """A little more than the numbers take; never so little that noise fills the picture."""
    low, high = min(values), max(values)
    space = max(0.08 * (high - low), (LEAST_SPAN * max(abs(high), 1.0) - (high - low)) / 2)
    return (max(low - space, 0.0) if low >= 0 else low - space), min(high + space, max(most, high + 1e-6))


def _axes(frame: _Frame) -> str:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    levels = ticks(frame.low, frame.high, most=4)
    digits = max((len(f"{tick:g}".partition(".")[2]) for tick in levels), default=0)
    for tick in levels:
        y = frame.y(tick)
        parts.append(f'<line class="tk-grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.{digits}f}</text>')
    for tick in ticks(0, frame.end, most=4):
        if tick == round(tick):
            x = frame.x(tick)
            parts.append(f'<line class="tk-axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}"/>')
            parts.append(f'<text x="{x:.1f}" y="{floor + 16}" text-anchor="middle">{tick:,.0f}</text>')
    parts.append(f'<line class="tk-axis" x1="{LEFT}" x2="{right}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text x="{right}" y="{floor + 30}" text-anchor="end">step</text>')
    return "".join(parts)


def _band(frame: _Frame, band: Band, number: int) -> str:
    left, right = frame.x(band.start), frame.x(min(band.end, frame.end))
    room = right - left
    label = band.label if room >= 7 * len(band.label) else ""
    shown = (
        f'<text class="tk-phase" x="{left + room / 2:.1f}" y="{TOP - 6}" text-anchor="middle">{escape(label)}</text>'
    )
    edge = f'<line class="tk-edge" x1="{left:.1f}" x2="{left:.1f}" y1="{TOP - 14}" y2="{HEIGHT - BOTTOM}"/>'
    return (
        f'<g class="tk-band tk-band-{number % 2}"><title>{escape(band.title)}</title>'
        f'<rect x="{left:.1f}" y="{TOP}" width="{max(room, 0):.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
        f"{edge if number else ''}{shown if label else ''}</g>"
    )


def _drawn(frame: _Frame, line: Line) -> str:
    places = [(frame.x(step), frame.y(value)) for step, value in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
    drawn = f'<polyline class="tk-line" stroke="{line.colour}" points="{path}"{dashes}/>' if len(places) > 1 else ""
    marked = places if len(places) <= FEW_POINTS else places[-1:]
    return drawn + "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{line.colour}"/>' for x, y in marked)


def _labels(frame: _Frame, lines: Sequence[Line]) -> str:
    """Name and last number of every line, beside its end."""
    by_height = sorted(lines, key=lambda line: -line.points[-1][1])
    ends = [frame.y(line.points[-1][1]) for line in by_height]
    heights = spread(ends, gap=2 * LINE_HEIGHT, low=TOP + 2, high=HEIGHT - BOTTOM - LINE_HEIGHT)
    left = WIDTH - RIGHT + 8
    return "".join(
        f'<text class="tk-name" x="{left}" y="{y + 3:.1f}" style="fill: {line.colour}">{escape(line.name)}'
        f'<tspan x="{left}" dy="{LINE_HEIGHT}">{number(line.points[-1][1])}</tspan></text>'
        for y, line in zip(heights, by_height, strict=True)
    )


def number(value: float) -> str:
    """A number of a chart: three digits after the point, fewer for large ones.

    Example:
        >>> number(0.81234), number(12.345), number(1234.5)
        ('0.812', '12.3', '1234')
    """
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def _in_words(title: str, lines: Sequence[Line], end: int) -> str:
    lasts = ", ".join(f"{line.name} {number(line.points[-1][1])} at step {line.points[-1][0]:,}" for line in lines)
    return f"{title} over {end:,} steps: {lasts}."
