"""The rows beside what was measured, as data for the record and as Markdown for the README."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.speed.row import Promise, Record, Row, Unit, in_unit

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
WORDS = {"<=": "at most", ">=": "at least", "<": "under"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A row and its number.

    Fields:
        measured: None where it was not measured; `because` then says why.
    """

    row: Row
    measured: float | None
    because: str | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the promise is kept; None where there is none, or no number."""
        if self.measured is None or self.row.promise is None:
            return None
        return self.row.promise.holds(self.measured)

    def to_dict(self) -> dict[str, Any]:
        row, promise = self.row, self.row.promise
        return {
            "name": row.name, "what": row.what, "against": row.against, "unit": row.unit,
            "promise": None if promise is None else {"operator": promise.operator, "number": promise.number},
            "measured": self.measured, "holds": self.holds, "not_measured_because": self.because,
            "process": row.child.name,
        }  # fmt: skip


def outcome(row: Row, records: Mapping[str, Record], reasons: Mapping[str, str]) -> Outcome:
    """The number of `row`, out of the records by child, or out of the reasons why there is no record."""
    if row.child.name not in records:
        return Outcome(row=row, measured=None, because=reasons.get(row.child.name, "not run"))
    try:
        return Outcome(row=row, measured=float(row.found(records[row.child.name])))
    except KeyError:
        return Outcome(row=row, measured=None, because=row.if_missing)


def promised(promise: Promise | None, unit: Unit) -> str:
    """In words."""
    return "–" if promise is None else f"{WORDS[promise.operator]} {in_unit(promise.number, unit)}"  # noqa: RUF001


def line(each: Outcome) -> str:
    """One line of the table."""
    if each.measured is None:
        measured, holds = "not measured", ""
    else:
        measured = shown(each)
        holds = {True: "yes", False: "**no**", None: "–"}[each.holds]  # noqa: RUF001
    row = each.row
    return f"| {row.what} | {row.against} | {promised(row.promise, row.unit)} | {measured} | {holds} |"


def shown(each: Outcome) -> str:
    """The number, with as many digits as it takes to tell it from a promise that is not kept."""
    text = in_unit(each.measured or 0.0, each.row.unit)
    if each.holds is False and each.row.promise and text == in_unit(each.row.promise.number, each.row.unit):
        return in_unit(each.measured or 0.0, each.row.unit, digits=6)
    return text


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table, a sentence on each promise that is missed, and what was not measured."""
    lines = ["| what | against | promised | measured | holds |", "|---|---|---|---|---|", *map(line, outcomes)]
    missed = [each for each in outcomes if each.holds is False]
    if missed:
        lines += ["", f"Missed: {len(missed)} of {sum(each.holds is not None for each in outcomes)}.", ""]
    for each in missed:
        wanted = promised(each.row.promise, each.row.unit)
        lines.append(f"- `{each.row.name}`: {shown(each)} instead of {wanted}; {each.row.if_missed}.")
    reasons: dict[str, list[str]] = {}
    for each in outcomes:
        if each.because:
            reasons.setdefault(each.because, []).append(f"`{each.row.name}`")
    if reasons:
        lines += ["", "Not measured:", ""]
        lines += [f"- {', '.join(names)}: {because.rstrip('.')}." for because, names in reasons.items()]
    return "\n".join(lines)


def about(record: Record) -> str:
    """When, where and how quietly it was measured, in a sentence."""
    machine, load = record["machine"], record["load_average_at_start"][0]
    busy = "quiet" if record["quiet"] else "**not quiet**: other work ran"
    return (
        f"Measured on {record['date']}: {machine['processor']}, {machine['cores']} cores, GPU: "
        f"{machine['accelerator']}; load average at the start {load:.2f}; the machine was {busy}."
    )


def processes(record: Record, commands: Iterable[tuple[str, str]]) -> str:
    """What each number came from: the benchmark, its settings, its seconds."""
    ended = record["processes"]
    lines = ["| process | command | seconds |", "|---|---|---|"]
    for name, command in commands:
        if name in ended:
            shown = command.format(data="CLINC150", mobilenet="MOBILENET")
            lines.append(f"| {name} | `python -m {shown}` | {ended[name]['seconds']:.0f} |")
    return "\n".join([*lines, f"| all | | {sum(each['seconds'] for each in ended.values()):.0f} |"])


def filled(readme: str, text: str) -> str:
    """`readme` with `text` between its two marks."""
    before, separator, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not separator or not end:
        raise SystemExit(f"the README has no place for the table; put {BEGIN} and {END} on lines of their own.")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
