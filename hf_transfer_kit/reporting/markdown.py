"""Text of data sets, models and people as Markdown that shows it: never as mark-up. Imports no torch."""

import re
from collections.abc import Iterable, Sequence


def escaped(text: str) -> str:
    """`text` as Markdown that shows it: no mark-up, no HTML, one line.

    Example:
        >>> escaped("a *b* <i>")
        'a \\\\*b\\\\* &lt;i&gt;'
    """
    text = re.sub(r"([\\`*\[\]|~#]|(?<!\w)_|_(?!\w))", r"\\\1", printable(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def printable(text: str) -> str:
    """`text` in one line, without the control characters that could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def indented(text: str) -> list[str]:
    """The lines of `text` as an indented block, which no mark-up inside can end."""
    return [f"    {printable(line)}" for line in text.splitlines()]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], marked: str = "") -> list[str]:
    """The lines of a table, all but the first column to the right; the row that begins with `marked` in bold.

    Example:
        >>> markdown_table(["arm", "accuracy"], [["full", "0.9"]])
        ['| arm | accuracy |', '| :-- | --: |', '| full | 0.9 |']
    """
    lines = [_row([escaped(head) for head in heads]), _row([":--", *["--:"] * (len(heads) - 1)])]
    for row in rows:
        bold = "**" if row[0] == marked else ""
        lines.append(_row([f"{bold}{escaped(cell)}{bold}" for cell in row]))
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
