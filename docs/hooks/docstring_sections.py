"""Our docstrings for griffe: `Fields:` is its section of attributes, `Example:` that of examples, and `Cost: ...` is a
paragraph with a bold first word."""

import re
from typing import Any

import griffe

WORDS = ("Cost", "Multi-GPU", "Resume", "Helps in", "Memory", "Limit", "Limits", "Source", "Sources", "Measured")
PARAGRAPH = re.compile(rf"^( *)({'|'.join(WORDS)})\b([^:\n]*): (?=\S)", re.M)


class DocstringSections(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """The docstring with sections that griffe knows.

    Example:
        >>> rewritten("Fields:\\n    a: one.\\n\\nCost: none.")
        'Attributes:\\n    a: one.\\n\\n**Cost:** none.'
    """
    text = re.sub(r"^(\s*)(Fields|Attributes \(after `fit`\)):\s*$", r"\1Attributes:", text, flags=re.M)
    text = re.sub(r"^(\s*)Example:\s*$", r"\1Examples:", text, flags=re.M)
    text = re.sub(r"^(\s*)Raises \(.*\):\s*$", r"\1Raises:", text, flags=re.M)
    lines, inside = [], False
    for line in text.splitlines():
        if PARAGRAPH.match(line):
            if lines and lines[-1].strip():
                lines.append("")
            inside = True
        elif inside and (not line.strip() or re.match(r"[A-Z][\w ]+:$", line)):
            inside = False
        lines.append(PARAGRAPH.sub(r"\1**\2\3:** ", line.lstrip() if inside else line))
    return "\n".join(lines)
