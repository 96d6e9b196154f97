"""The rules as data: what each says, when, and on whose word; read once from knowledge.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from hf_transfer_kit.advisor.advice import Reason, Warned
from hf_transfer_kit.advisor.knowledge.conditions import Condition
from hf_transfer_kit.errors import PlanError, did_you_mean

SHOWN = ("reason", "warning", "evaluation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing the advisor knows.

    Fields:
        id: as in the guides' list: "B2".
        source: titles of the guides that say it, and the primary paper where there is one.
        says: a sentence or two.
        when: the situation it is said in; None: only where the code cites it.
        shown: "reason", "warning" or "evaluation".
        alternative: another method that it names.
        poor, good: families of models that transfer badly, or well, in that situation.
    """

    id: str
    source: str
    says: str
    when: Condition | None = None
    shown: str = "reason"
    alternative: str | None = None
    poor: tuple[str, ...] = ()
    good: tuple[str, ...] = ()

    def as_reason(self, text: str | None = None) -> Reason:
        """The rule as a reason, in its own words or in `text`."""
        return Reason(rule=self.id, source=self.source, text=text or self.says)

    def as_warning(self, text: str | None = None) -> Warned:
        """The rule as a warning, in its own words or in `text`."""
        return Warned(rule=self.id, text=text or self.says)


def read_table(name: str) -> dict[str, Any]:
    """A TOML file of this folder."""
    return tomllib.loads(files("hf_transfer_kit.advisor.knowledge").joinpath(name).read_text(encoding="utf-8"))


def _several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@cache
def rules() -> Mapping[str, Rule]:
    """All rules by id, in the order they are shown in.

    Example:
        >>> rules()["B2"].says
        'From 100 to 10,000 labelled examples: fine-tune the top layers.'
    """
    table = read_table("knowledge.toml")
    guides, papers = table["guides"], table["papers"]
    known = {}
    for id, entry in table["rules"].items():
        sources = [guides[guide] for guide in _several(entry.pop("guide"))]
        sources += [papers[paper] for paper in _several(entry.pop("paper", ()))]
        when = entry.pop("when", None)
        poor, good = (_several(entry.pop(key, ())) for key in ("poor", "good"))
        condition = None if when is None else Condition.of(when)
        known[id] = Rule(id=id, source="; ".join(sources), when=condition, poor=poor, good=good, **entry)
    return known


def rule(id: str) -> Rule:
    """The rule of that id.

    Raises:
        PlanError: there is none.
    """
    if id not in rules():
        raise PlanError(f"rule '{id}' is unknown; {did_you_mean(id, rules())}")
    return rules()[id]
