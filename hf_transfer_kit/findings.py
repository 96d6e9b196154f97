"""What the checks of a data set found, before any training; JSON in and out. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.errors import FormatError, PlanError
from hf_transfer_kit.values import from_mapping, to_mapping

SEVERITIES = ("error", "warning", "note")  # the worst first, the order they are shown in


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found, in plain words.

    Fields:
        kind: short fixed name, such as "leaked_exact", "label_conflict", "imbalance".
        severity: "error" (training is pointless before this is mended), "warning" (it changes what the scores mean) or
            "note" (good to know).
        count: how many rows, pairs or classes it concerns.
        message: one sentence for people, with the count in it.
        examples: a few of them as text, for people.
        rows: their positions in the part that `message` names.

    Raises:
        FormatError: the severity is not one of the three.
    """

    kind: str
    severity: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise FormatError(
                f"finding '{self.kind}' has severity '{self.severity}'; use one of {', '.join(SEVERITIES)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Everything the checks found in one data set.

    Fields:
        findings: in any order.
        leaked_test_rows: positions in the test part of exact or near copies of training or validation rows, ascending.
        rows: examples per part ("train", "validation", "test").
        classes: how many classes there are.

    Example:
        >>> report = CheckReport(findings=(), rows={"train": 80, "test": 20}, classes=2)
        >>> CheckReport.from_mapping(report.to_mapping()) == report
        True
    """

    findings: tuple[Finding, ...]
    leaked_test_rows: tuple[int, ...] = ()
    rows: dict[str, int]
    classes: int

    @property
    def worst_first(self) -> tuple[Finding, ...]:
        """The findings, errors before warnings before notes, otherwise in their order."""
        return tuple(sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity)))

    def to_mapping(self) -> dict[str, Any]:
        """The report as plain values."""
        mapping: dict[str, Any] = to_mapping(self)
        return mapping

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "checks") -> "CheckReport":
        """The report in `mapping`.

        Raises:
            FormatError: a field is unknown, missing or of the wrong type.
        """
        try:
            return from_mapping(cls, mapping, where)
        except PlanError as error:
            raise FormatError(str(error)) from error
