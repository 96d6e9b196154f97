import pytest

from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.findings import CheckReport, Finding

NOTE = Finding(
    kind="duplicates", severity="note", count=2, message="2 rows occur twice.", examples=("a", "b"), rows=(4, 7)
)
ERROR = Finding(kind="empty", severity="error", count=1, message="1 row is empty.")
REPORT = CheckReport(findings=(NOTE, ERROR), leaked_test_rows=(3, 5), rows={"train": 8, "test": 6}, classes=2)


def test_a_report_survives_its_mapping():
    assert CheckReport.from_mapping(REPORT.to_mapping()) == REPORT


def test_the_worst_finding_comes_first():
    assert REPORT.worst_first == (ERROR, NOTE)


def test_unknown_severities_and_fields_are_refused():
    with pytest.raises(FormatError, match="'fatal'; use one of error, warning, note"):
        Finding(kind="empty", severity="fatal", count=1, message="")
    with pytest.raises(FormatError, match="unknown setting 'leaked'"):
        CheckReport.from_mapping(REPORT.to_mapping() | {"leaked": []})
