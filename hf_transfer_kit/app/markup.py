"""HTML for the page. Whatever comes from a person, a data set or a model goes through `escape`."""

from collections.abc import Iterable, Sequence
from html import escape

NUMBERS = frozenset("0123456789.,%+-–() to")  # noqa: RUF001  # of a cell that stands to the right


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, marked: str = "", caption: str = "") -> str:
    """A table of texts, numbers to the right; the row whose first cell is `marked` in bold.

    Example:
        >>> table(["text"], [["<b>"]])
        '<div class="tk-scroll"><table class="tk-table"><thead><tr><th scope="col">text</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table></div>'
    """  # noqa: E501
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(_row(row, bool(marked) and row[0] == marked) for row in rows)
    return (
        f'<div class="tk-scroll"><table class="tk-table">{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def items(texts: Iterable[str]) -> str:
    """A list; "" where there is nothing."""
    lines = "".join(f"<li>{escape(each)}</li>" for each in texts)
    return f"<ul>{lines}</ul>" if lines else ""


def section(title: str, inside: str, *, folded: bool = False) -> str:
    """`inside` (HTML) under a heading, or folded away beneath it; "" where there is nothing."""
    if not inside:
        return ""
    if folded:
        return f"<details><summary>{escape(title)}</summary>{inside}</details>"
    return f"<h4>{escape(title)}</h4>{inside}"


def note(text: str, kind: str = "info") -> str:
    """A sentence in a box: "info", "warning", "error" or "good"; "" for no sentence."""
    role = ' role="alert"' if kind == "error" else ""
    return f'<div class="tk-note tk-{kind}"{role}>{escape(text)}</div>' if text else ""


def card(inside: str) -> str:
    """`inside` (HTML) in the app's own look."""
    return f'<div class="tk-card">{inside}</div>'


def _row(cells: Sequence[str], bold: bool) -> str:
    shown = "".join(f"<td{_right(cell)}>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="tk-marked">{shown}</tr>' if bold else f"<tr>{shown}</tr>"


def _right(cell: str) -> str:
    return ' class="tk-number"' if cell and cell[0].isdigit() and set(cell) <= NUMBERS else ""
