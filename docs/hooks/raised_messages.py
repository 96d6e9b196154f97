"""The index of errors, read from the code: every message that the package raises, by class and module.

`<!-- messages: DataError -->` in a page becomes the table of that class. Nothing is imported or run: the sources are
parsed, and what is filled in at run time is shown as an ellipsis.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[2] / "hf_transfer_kit"
MARKER = re.compile(r"<!-- messages: (\w+) -->")
HOLE = "…"
INNER = re.compile("advisor/llm/(new_facts|schemas|tools)")  # what is told to a language model, not to a person


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Message:
    """A message that a module raises, with `HOLE` for what differs from case to case."""

    error: str
    module: str
    text: str


def error_classes() -> list[str]:
    """The names of the classes in errors.py, in their order."""
    tree = ast.parse((PACKAGE / "errors.py").read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


@cache
def messages() -> tuple[Message, ...]:
    """All of them, each once, by class, module and text."""
    classes, found = set(error_classes()), set()
    for file in PACKAGE.rglob("*.py"):
        module = file.relative_to(PACKAGE).with_suffix("").as_posix()
        if INNER.fullmatch(module):
            continue
        calls = (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        for call in calls:
            if not (isinstance(call.func, ast.Name) and call.func.id in classes and call.args):
                continue
            for text in _texts(call.args[0]):
                text = re.sub(rf"{HOLE}[{HOLE} ]*{HOLE}", HOLE, " ".join(text.split()))
                if len(text.replace(HOLE, "").split()) > 1:  # what only passes on another library's words is none
                    found.add(Message(error=call.func.id, module=module, text=text))
    return tuple(sorted(found))


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left in _texts(node.left):
            yield from (left + right for right in _texts(node.right))
    else:
        yield HOLE


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fills in the tables."""
    return MARKER.sub(lambda found: _table(found[1]), markdown)


def _table(error: str) -> str:
    mine = [message for message in messages() if message.error == error]
    lines = [f'??? note "All {len(mine)} messages"', "", "    | message | raised in |", "    |---|---|"]
    for message in mine:
        text = message.text.replace("|", "&#124;").replace("<", "&lt;").replace("*", "&#42;").replace("_", "&#95;")
        lines.append(f"    | {text.replace('[', '&#91;').replace('`', '&#96;')} | `{message.module}` |")
    return "\n".join(lines)
