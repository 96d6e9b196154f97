"""What the terminal shows of the checks."""

from io import StringIO

from rich.console import Console

from hf_transfer_kit.checking.view import checks_to_terminal
from hf_transfer_kit.findings import CheckReport, Finding


def shown(*findings, width=60):
    console = Console(width=width, file=StringIO())
    console.print(checks_to_terminal(CheckReport(findings=findings, rows={"train": 9}, classes=2)))
    return console.file.getvalue()


def finding(severity, message, *examples):
    return Finding(kind="leaked_exact", severity=severity, count=1, message=message, examples=examples)


def test_the_worst_finding_comes_first():
    text = shown(finding("note", "third"), finding("error", "first"), finding("warning", "second"))
    assert [line.split() for line in text.splitlines()] == [
        ["error", "first"],
        ["warning", "second"],
        ["note", "third"],
    ]


def test_examples_stand_under_their_message_and_are_wrapped_not_cut():
    words = [f"word{i}" for i in range(40)]
    message, *lines = shown(finding("note", "message", " ".join(words))).splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 60 and line.startswith(" " * (message.index("message") + 1)) for line in lines)
    assert " ".join(lines).split() == words


def test_square_brackets_in_the_data_are_shown_as_they_are():
    assert "[bold]hello[/bold]" in shown(finding("note", "message", 'test: "[bold]hello[/bold]"'))


def test_clean_data_is_called_clean():
    assert shown().strip() == "no problems found"
