"""What a row of the table is made of: a promise, the benchmark that measures it, and where the number stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Record = Mapping[str, Any]
Unit = Literal["times", "times faster", "%", "s", "ms", "points", "libraries"]
SHOWN = {  # factor, sign
    "times": (1, " times"), "times faster": (1, " times faster"), "%": (100, " %"), "s": (1, " s"),
    "ms": (1000, " ms"), "points": (1, " points"), "libraries": (1, ""),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What was said before it was measured; `number` is a share for "%" and seconds for "ms"."""

    operator: Literal["<=", ">=", "<"]
    number: float

    def holds(self, measured: float) -> bool:
        """Whether it does; what differs by a rounding of floating-point numbers alone is the same."""
        same = abs(measured - self.number) <= 1e-9 * max(1.0, abs(self.number))
        if self.operator == "<":
            return measured < self.number and not same
        return same or (measured < self.number if self.operator == "<=" else measured > self.number)


def at_most(number: float) -> Promise:
    return Promise(operator="<=", number=number)


def at_least(number: float) -> Promise:
    return Promise(operator=">=", number=number)


def below(number: float) -> Promise:
    return Promise(operator="<", number=number)


@dataclass(frozen=True, kw_only=True)
class Child:
    """A benchmark, run as a process that writes a record of its own.

    Fields:
        name: of its record.
        command: module and options. `{data}` and `{mobilenet}` stand for what the run was given.
        about_seconds: on two quiet cores, for the time that is left.
        python: whose interpreter runs it: "" this one, "avalanche" or "lm_eval" those with that library.
        device: "cpu" or "cuda".
        detaches: it starts processes that it does not wait for, so nobody can tell them from those of others.
    """

    name: str
    command: str
    about_seconds: int
    python: Literal["", "avalanche", "lm_eval"] = ""
    device: Literal["cpu", "cuda"] = "cpu"
    detaches: bool = False


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Fields:
        name: for `--only`.
        what, against: what is measured, and beside what.
        promise: None where nothing was promised and the number is shown all the same.
        unit: of the promise and of the number.
        child: the benchmark that measures it; several rows may share one.
        found: the number in that benchmark's record. KeyError: it is not there.
        if_missing: what to do then.
        if_missed: one sentence for a promise that is not kept.
    """

    name: str
    what: str
    against: str = ""
    promise: Promise | None
    unit: Unit
    child: Child
    found: Callable[[Record], float]
    if_missing: str = "its benchmark gave no such number"
    if_missed: str = "no reason is known yet"


def in_unit(number: float, unit: Unit, digits: int = 3) -> str:
    """The number with `digits` digits or all before the point, and its unit.

    Example:
        >>> in_unit(0.0321, "%"), in_unit(256.4, "times"), in_unit(0.0713, "ms")
        ('3.21 %', '256 times', '71.3 ms')
    """
    factor, sign = SHOWN[unit]
    value = number * factor
    shown = f"{value:.0f}" if abs(value) >= 10**digits - 0.5 else f"{value:.{digits}g}"
    return f"{shown}{' point' if unit == 'points' and shown == '1' else sign}"
