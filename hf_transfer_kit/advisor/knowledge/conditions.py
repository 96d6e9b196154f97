"""When a rule holds: conditions on a situation, as TOML tables hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """All of several tests on the fields of a situation.

    Fields:
        choices: (field, values), one of which it must have; "unknown" stands for None.
        ranges: (field, least, most), both included; what is not known lies in no range.

    Example:
        >>> from types import SimpleNamespace
        >>> condition = Condition.of({"size": ["small", "unknown"], "depth": {"min": 2}})
        >>> condition.holds(SimpleNamespace(size=None, depth=3)), condition.holds(SimpleNamespace(size=None, depth=1))
        (True, False)
    """

    choices: tuple[tuple[str, tuple[Any, ...]], ...]
    ranges: tuple[tuple[str, float, float], ...] = ()

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Condition":
        """The condition that a table describes: a value, a list of values, or {min, max}."""
        choices, ranges = [], []
        for field, wanted in table.items():
            if isinstance(wanted, Mapping):
                ranges.append((field, wanted.get("min", float("-inf")), wanted.get("max", float("inf"))))
            else:
                values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
                choices.append((field, tuple(None if value == "unknown" else value for value in values)))
        return cls(tuple(choices), tuple(ranges))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are looked at."""
        return (*(name for name, _ in self.choices), *(name for name, _, _ in self.ranges))

    def holds(self, situation: Any) -> bool:
        """Whether every test passes."""
        for field, values in self.choices:
            if getattr(situation, field) not in values:
                return False
        for field, least, most in self.ranges:
            value = getattr(situation, field)
            if value is None or not least <= value <= most:
                return False
        return True
