"""Labels beside the points of a picture, placed so that they do not cover each other. matplotlib, without pyplot."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

SIZE = 9.0  # of the text, points
# Where a label may stand: (right, up) of its point in points, horizontal and vertical alignment; the first that fits.
_DIRECTIONS = (
    (1.0, 0.0, "left", "center"),
    (-1.0, 0.0, "right", "center"),
    (0.7, 0.7, "left", "bottom"),
    (-0.7, 0.7, "right", "bottom"),
    (0.7, -0.7, "left", "top"),
    (-0.7, -0.7, "right", "top"),
    (0.0, 1.2, "center", "bottom"),
    (0.0, -1.2, "center", "top"),
)
PLACES = [
    (right * reach, up * reach, horizontal, vertical)
    for reach in (8.0, 18.0, 32.0, 50.0, 70.0)
    for right, up, horizontal, vertical in _DIRECTIONS
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A point, its error bars from `low` to `high` and from `left` to `right` (if any), and the text that names it.

    All in data units.
    """

    x: float
    y: float
    low: float
    high: float
    text: str
    colour: str
    left: float | None = None
    right: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Of the horizontal error bar; the point itself where there is none."""
        return self.x if self.left is None else self.left, self.x if self.right is None else self.right


def label_points(axes: "Axes", spots: Sequence[Spot], *lines: Sequence[tuple[float, float]]) -> None:
    """Writes each spot's text near it: in the first place that covers nothing, else where it covers the least.

    Args:
        lines: each of points joined by steps, which are kept free too.
    """
    renderer = _renderer(axes)
    taken = [box for spot in spots for box in _boxes(axes, spot)]
    taken += [box for line in lines for box in _stairs(axes, line)]
    room = _room(axes)
    for spot in spots:
        best: tuple[float, Annotation, Bbox] | None = None
        for place in PLACES:
            label = _annotate(axes, spot, place)
            box = _text_box(label, renderer)
            covered = sum(_shared_area(box, other) for other in taken) + 2 * _area_outside(box, room)
            if best is None or covered < best[0] - 1:
                if best is not None:
                    best[1].remove()
                best = (covered, label, box)
            else:
                label.remove()
            if best[0] <= 0:
                break
        if best is not None:
            taken.append(best[2])


def label_along_edge(axes: "Axes", spots: Sequence[Spot]) -> None:
    """Writes the texts in a column right of the axes, each as near the height of its spot as the others allow."""
    renderer = _renderer(axes)
    labels = [axes.annotate(spot.text, (spot.x, spot.y), fontsize=SIZE) for spot in spots]
    boxes = [_text_box(label, renderer) for label in labels]
    for label in labels:
        label.remove()
    left, bottom, _, height = axes.get_position().bounds
    right = 1 - max(box.width for box in boxes) / axes.figure.bbox.width - 0.05
    axes.set_position((left, bottom, right - left, height))
    in_order = sorted(spots, key=lambda spot: spot.y)
    pixels = [axes.transData.transform((spot.x, spot.y)) for spot in in_order]
    gap = max(box.height for box in boxes) * 1.15
    heights = spread([y for _, y in pixels], gap=gap, low=axes.bbox.y0, high=axes.bbox.y1)
    points = 72 / axes.figure.dpi  # in one pixel
    for spot, (x, y), height in zip(in_order, pixels, heights, strict=True):
        axes.annotate(
            spot.text, (spot.x, spot.y), xytext=((axes.bbox.x1 + 18 - x) * points, (height - y) * points),
            textcoords="offset points", color=spot.colour, fontsize=SIZE, va="center", annotation_clip=False,
            arrowprops=_leader(spot) | {"shrinkA": 2, "shrinkB": 4},
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending `heights` moved apart to at least `gap`, within `low` to `high` where there is room for all.

    Example:
        >>> spread([0, 1, 9, 10], gap=2, low=0, high=10)
        [0, 2, 8, 10]
    """
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, low, moved[-1] + gap if moved else low))
    ceiling = high
    for i in range(len(moved) - 1, -1, -1):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved


def _annotate(axes: "Axes", spot: Spot, place: tuple[float, float, str, str]) -> "Annotation":
    right, up, horizontal, vertical = place
    far = max(abs(right), abs(up)) > 12
    return axes.annotate(
        spot.text, (spot.x, spot.y), xytext=(right, up), textcoords="offset points", ha=horizontal, va=vertical,
        color=spot.colour, fontsize=SIZE, annotation_clip=False,
        arrowprops=_leader(spot) if far else None,
    )  # fmt: skip


def _leader(spot: Spot) -> dict[str, Any]:
    return {"arrowstyle": "-", "color": spot.colour, "linewidth": 0.6, "alpha": 0.6}


def _renderer(axes: "Axes") -> "RendererAgg":
    """Knows how wide a text is."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(axes.figure)  # type: ignore[arg-type]  # never a SubFigure here
    renderer: RendererAgg = canvas.get_renderer()
    return renderer


def _text_box(label: "Annotation", renderer: "RendererAgg") -> "Bbox":
    """Of the text alone; an annotation's own extent holds its leader line too."""
    from matplotlib.text import Text

    label.update_positions(renderer)
    return Text.get_window_extent(label, renderer)


def _boxes(axes: "Axes", spot: Spot) -> list["Bbox"]:
    """The marker and the error bars, in pixels."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((spot.x, spot.y))
    low, high = sorted(axes.transData.transform((spot.x, end))[1] for end in (spot.low, spot.high))
    boxes = [Bbox([[x - 6, y - 6], [x + 6, y + 6]]), Bbox([[x - 4, low - 1], [x + 4, high + 1]])]
    if spot.left is not None or spot.right is not None:
        left, right = (axes.transData.transform((end, spot.y))[0] for end in spot.ends)
        boxes.append(Bbox([[left - 1, y - 4], [right + 1, y + 4]]))
    return boxes


def _stairs(axes: "Axes", line: Sequence[tuple[float, float]]) -> list["Bbox"]:
    """The steps of a line that runs flat to the next point and then up to it, in pixels."""
    from matplotlib.transforms import Bbox

    corners = [axes.transData.transform(point) for point in line]
    boxes = []
    for (x, y), (next_x, next_y) in pairwise(corners):
        boxes.append(Bbox([[x, y - 1], [next_x, y + 1]]))
        boxes.append(Bbox([[next_x - 1, min(y, next_y)], [next_x + 1, max(y, next_y)]]))
    return boxes


def _room(axes: "Axes") -> "Bbox":
    """Where text may stand: the axes, and what is right of them."""
    from matplotlib.transforms import Bbox

    return Bbox([[axes.bbox.x0, axes.bbox.y0], [axes.figure.bbox.x1, axes.bbox.y1]])


def _shared_area(first: "Bbox", second: "Bbox") -> float:
    width = float(min(first.x1, second.x1) - max(first.x0, second.x0))
    height = float(min(first.y1, second.y1) - max(first.y0, second.y0))
    return max(width, 0.0) * max(height, 0.0)


def _area_outside(box: "Bbox", frame: "Bbox") -> float:
    return float(box.width * box.height) - _shared_area(box, frame)
