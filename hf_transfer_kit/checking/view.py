"""What the checks found, for the terminal."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hf_transfer_kit.findings import CheckReport

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def checks_to_terminal(report: CheckReport) -> RenderableType:
    """The findings for rich to print, the worst first: severity and message, then the examples, indented.

    Example:
        >>> from rich.console import Console
        >>> Console().print(checks_to_terminal(CheckReport(findings=(), rows={"train": 80}, classes=2)))
        no problems found
    """
    if not report.findings:
        return Text("no problems found")
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in report.worst_first:
        examples = [Padding(Text(example, style="dim"), (0, 0, 0, 2), expand=False) for example in finding.examples]
        table.add_row(Text(finding.severity, _COLOURS[finding.severity]), Group(Text(finding.message), *examples))
    return table
