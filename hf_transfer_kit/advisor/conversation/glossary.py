"""Terms of the advice in plain words, each with its source."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from hf_transfer_kit.advisor.knowledge.rule_table import read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term, what it means, and where that comes from."""

    name: str
    text: str
    source: str


def look_up(words: str) -> Term | None:
    """The term that `words` names, in any case and spelling with hyphens; None where the glossary has none.

    Example:
        >>> look_up("elastic weight consolidation").name
        'EWC'
    """
    return _terms().get(_key(words))


def near(words: str) -> tuple[str, ...]:
    """The names of up to three terms written like `words`."""
    keys = get_close_matches(_key(words)[:60], _terms(), n=3, cutoff=0.6)
    return tuple(dict.fromkeys(_terms()[key].name for key in keys))


def _key(words: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9]+", " ", words.lower()).split())


@cache
def _terms() -> dict[str, Term]:
    """The terms by every name they have."""
    raw = read_table("glossary.toml")
    terms = {}
    for name, row in raw["terms"].items():
        for each in (name, *row["names"]):
            terms[_key(each)] = Term(name=name, text=row["text"], source=row["source"])
    return terms
