"""Which parts of a model train in which phase of a training: phases in order, from text and back.

A phase names what it opens, as units of `find_blocks` ("head", "block 3", "stem") or as patterns of parameter names,
and how many epochs pass before the next phase. What is open stays open. When a phase begins is in timing.py.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from hf_transfer_kit.blocks import Blocks
from hf_transfer_kit.errors import FormatError, PlanError, did_you_mean
from hf_transfer_kit.values import check_format, from_mapping, to_mapping, write_text_atomically

FORMAT = "hf_transfer_kit.unfreezing"
VERSION = 1
ORDERS = ("top_down", "bottom_up", "lp_ft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training in which the same parameters are open.

    Fields:
        opens: what opens when it begins: names of units, shell patterns of unit or parameter names ("block *",
            "*.layer.3.*"), or "re:" and a regular expression that a whole parameter name must match.
        epochs: its length, > 0, may be a fraction; None: to the end, or until a metric stalls.

    Raises:
        PlanError: it opens nothing, or its length is not a positive number.
    """

    opens: tuple[str, ...]
    epochs: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.opens, str) or not self.opens:
            raise PlanError(f"a phase opens {self.opens!r}; give a list of names, such as ['head'].")
        if self.epochs is not None and not 0 < self.epochs < float("inf"):
            raise PlanError(f"a phase of epochs={self.epochs}; it must be a number > 0, or none for 'to the end'.")
        object.__setattr__(self, "opens", tuple(self.opens))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The phases of a training, in order; `print` shows them as a table.

    Fields:
        phases: one or more.
        trainable: how many numbers train in each phase; empty where no model was looked at. Not compared, not written.

    Example:
        >>> schedule = Schedule(phases=(Phase(opens=("head",), epochs=2.0), Phase(opens=("block *", "stem"))))
        >>> print(schedule)
        phase  epochs        opens
        1      0 to 2        head
        2      2 to the end  block *, stem
        >>> Schedule.from_yaml(schedule.to_yaml()) == schedule
        True
    """

    phases: tuple[Phase, ...]
    trainable: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.phases:
            raise PlanError("a schedule without phases trains nothing; give at least [{'opens': ['head']}].")

    @classmethod
    def read(cls, source: "Schedule | Sequence[Phase | Mapping[str, Any]] | str | os.PathLike[str]") -> "Schedule":
        """The schedule in a YAML file, or out of a list of phases (each a `Phase`, or what YAML would hold).

        Raises:
            FormatError: the file cannot be read, is not YAML, or is of an unknown version.
            PlanError: an unknown, missing or wrong setting.
        """
        if isinstance(source, Schedule):
            return source
        if isinstance(source, str | os.PathLike):
            try:
                return cls.from_yaml(Path(source).read_text(encoding="utf-8"), where=str(source))
            except (OSError, UnicodeDecodeError) as error:
                raise FormatError(f"schedule '{source}' cannot be read: {error}.") from error
        phases = [
            p if isinstance(p, Phase) else from_mapping(Phase, p, f"schedule[{i}]") for i, p in enumerate(source)
        ]
        return cls(phases=tuple(phases))

    @classmethod
    def from_yaml(cls, text: str, where: str = "schedule") -> "Schedule":
        """The schedule in YAML text; raises as `read`."""
        try:
            mapping = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
            # PyYAML lets more than its own errors pass: ValueError for the date 2025-02-30, say.
            raise FormatError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error
        written = from_mapping(_Written, check_format(mapping, name=FORMAT, version=VERSION, where=where), where)
        return cls(phases=written.phases)

    def to_yaml(self, path: str | os.PathLike[str] | None = None) -> str:
        """The schedule as YAML text, for editing; also written to `path`. Raises OutputError, ResourceError."""
        mapping = {"format": FORMAT, "version": VERSION, "phases": to_mapping(self.phases)}
        text = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, default_flow_style=None, width=119)
        if path is not None:
            write_text_atomically(Path(path), text)
        return text

    def __str__(self) -> str:
        rows, start = [["phase", "epochs", "opens", *(["trainable parameters"] if self.trainable else [])]], "0"
        for number, phase in enumerate(self.phases):
            last = number == len(self.phases) - 1
            known = start != "?" and phase.epochs is not None
            end = f"{float(start) + phase.epochs:g}" if known and phase.epochs is not None else "?"
            until = "the end" if last else end if phase.epochs is not None else "a stall"
            counts = [f"{self.trainable[number]:,}"] if self.trainable else []
            rows.append([str(number + 1), f"{start} to {until}", ", ".join(phase.opens), *counts])
            start = end
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What a YAML file holds beside format and version."""

    phases: tuple[Phase, ...]


def phases_by_block(
    blocks: Blocks, trainable: Mapping[str, int], *, order: str, start_blocks: int, epochs: float | None
) -> Schedule:
    """The schedule that opens one unit after another; units without trainable parameters are passed over.

    Args:
        trainable: the size of each trainable parameter, by name.
        order: "top_down" (head, then downwards), "bottom_up" (head, stem, then upwards) or "lp_ft" (head, then all).
        start_blocks: units that are open in the first phase, >= 1.
        epochs: length of each phase but the last; None: until a metric stalls.

    Raises:
        PlanError: nothing trains.
    """
    units = [unit.name for unit in blocks if any(name in trainable for name in unit.parameter_names)]
    if not units:
        raise PlanError("no parameter of the model trains; set requires_grad of what shall be opened.")
    top_down = units[::-1]
    units = units[-1:] + units[:-1] if order == "bottom_up" else top_down
    start, rest = units[:start_blocks], units[start_blocks:]
    steps = [start, *([rest] if order == "lp_ft" and rest else [[unit] for unit in rest])]
    last = len(steps) - 1
    return Schedule(
        phases=tuple(Phase(opens=tuple(s), epochs=None if i == last else epochs) for i, s in enumerate(steps))
    )


def opened_by_phase(schedule: Schedule, blocks: Blocks, trainable: Mapping[str, int]) -> list[frozenset[str]]:
    """The names of the parameters that each phase adds to what is open.

    Raises:
        PlanError: a pattern stands for no trainable parameter.
    """
    opened: list[frozenset[str]] = []
    for phase in schedule.phases:
        names = frozenset[str]().union(*(_matches(pattern, blocks, trainable) for pattern in phase.opens))
        opened.append(names.difference(*opened))
    return opened


def _matches(pattern: str, blocks: Blocks, trainable: Mapping[str, int]) -> set[str]:
    units = {unit.name: unit.parameter_names for unit in blocks}
    if pattern.startswith("re:"):
        try:
            names = {name for name in trainable if re.fullmatch(pattern[3:], name)}
        except re.error as error:
            raise PlanError(f"schedule: '{pattern}' is no regular expression: {error}.") from error
    else:
        names = {name for unit, members in units.items() if fnmatchcase(unit, pattern) for name in members}
        names |= {name for name in trainable if fnmatchcase(name, pattern)}
    if names.isdisjoint(trainable):
        hint = "none of its parameters trains." if names else did_you_mean(pattern, units)
        raise PlanError(f"schedule: '{pattern}' opens nothing; {hint}")
    return names.intersection(trainable)
