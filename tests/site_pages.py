"""The pages of the site, and what stands on them."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def named(page: Path) -> str:
    return str(page.relative_to(ROOT)).removeprefix("docs/")


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks of a page with the number of the line before each."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^( *)```{language}\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [(text[: block.start()].count("\n") + 1, textwrap.dedent(block[2])) for block in found]


def section(page: Path, title: str) -> str:
    """What stands under a heading of the second level."""
    text = page.read_text(encoding="utf-8")
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)[1]
