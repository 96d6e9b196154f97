"""How every picture of a report looks: colours, markers, axes, and the files it becomes.

A picture is drawn once. In its SVG the colours become CSS variables of the page around it, so that one picture serves
light and dark. Imports no torch; matplotlib only when a picture is drawn, and never its global state (pyplot).
"""

import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from hf_transfer_kit.comparison.result import PROMPTED, ArmResult, LearningCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Approaches after Okabe & Ito's palette, which colour-blind readers can tell apart, darkened to be legible as text.
COLOURS = {
    "features": "#0072b2",
    "top_layers": "#00805c",
    "full": "#c44e00",
    "gradual": "#5a4fb8",
    "lora": "#a8457f",
    "scratch": "#8a6d00",
    "zero_shot": "#9c1420",
    "few_shot": "#14248a",
    "prototype": "#2f4a0c",
    "prompt_tuning": "#5e2f66",
    "control": "#5f6771",
    "ink": "#1f2429",
    "muted": "#636c76",
    "grid": "#e4e7eb",
    "paper": "#fffffe",
}
MARKERS = ("o", "s", "D", "^", "v", "P")  # one per arm of an approach
PROMPT_MARKERS = ("X", "*", "p", "h", "<", ">")  # the same for prompts, which so stand apart without colour

Named = TypeVar("Named", ArmResult, LearningCurve)


def canvas() -> tuple["Figure", "Axes"]:
    """An empty picture and its axes."""
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


def with_markers(items: Sequence[Named]) -> list[tuple[Named, str]]:
    """Each arm or curve with a marker: one per approach for the first model, the next for the second."""
    seen: Counter[str] = Counter()
    pairs = []
    for item in sorted(items, key=lambda item: item.name):
        markers = PROMPT_MARKERS if item.approach in PROMPTED else MARKERS
        pairs.append((item, markers[seen[item.approach] % len(markers)]))
        seen[item.approach] += 1
    return pairs


def colour_of(approach: str) -> str:
    """The colour of an approach; controls share one."""
    return COLOURS.get(approach, COLOURS["control"])


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
