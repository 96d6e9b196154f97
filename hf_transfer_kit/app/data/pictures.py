"""Images of a data set as small pictures inside the page: a few kilobytes each, no file and no request."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.app.markup import escape

SIDE = 72  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A small picture: a data URI, and what stands below it."""

    source: str
    caption: str


def picture(value: Any, caption: str) -> Picture:
    """A JPEG of at most 72 x 72 pixels.

    Args:
        value: as in the data: {"bytes": ..., "path": ...}; checked to be a picture when the data was read.

    Example:
        >>> from PIL import Image
        >>> picture(Image.new("RGB", (500, 100), "red"), "flag").source[:23]
        'data:image/jpeg;base64,'
    """
    from hf_transfer_kit.tasks.image_classification import to_rgb

    small = to_rgb(value)
    small.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=75)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    return Picture(source=f"data:image/jpeg;base64,{text}", caption=caption)


def in_a_row(pictures: Iterable[Picture]) -> str:
    """The pictures with what stands below them, as HTML; "" where there is none."""
    shown = "".join(
        f'<figure><img src="{escape(each.source)}" alt=""><figcaption>{escape(each.caption)}</figcaption></figure>'
        for each in pictures
    )
    return f'<div class="tk-pictures">{shown}</div>' if shown else ""
