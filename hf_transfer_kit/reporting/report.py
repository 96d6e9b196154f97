"""Comparison -> what people read: the terminal, report.md, report.html (one file, opens offline) and comparison.json.

The same comparison always gives the same files: nothing here looks at the clock or the machine. Text of data sets
(label names, examples) is shown as text everywhere, never as mark-up. Imports no torch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.reporting.canvas import to_png, to_svg
from hf_transfer_kit.reporting.columns import Table
from hf_transfer_kit.reporting.markdown import escaped, indented, markdown_table, printable
from hf_transfer_kit.reporting.pictures import pictures
from hf_transfer_kit.reporting.provenance import how_measured
from hf_transfer_kit.reporting.tables import tables
from hf_transfer_kit.values import write_text_atomically

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table as RichTable

PICTURE_FOLDER = "pictures"


def write_report(comparison: Comparison, folder: Path | str) -> Path:
    """Writes report.md, report.html, comparison.json and pictures/*.png into `folder`; returns the path of the page.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    try:
        comparison.save(folder / "comparison.json")
        for picture in pictures(comparison):
            (folder / PICTURE_FOLDER).mkdir(exist_ok=True)
            (folder / PICTURE_FOLDER / f"{picture.name}.png").write_bytes(to_png(picture.draw(comparison)))
        write_text_atomically(folder / "report.md", to_markdown(comparison))
        write_text_atomically(folder / "report.html", to_html(comparison))
    except OSError as error:
        raise OutputError(f"the report cannot be written to '{folder}': {error}; choose another folder.") from error
    return folder / "report.html"


def to_html(comparison: Comparison) -> str:
    """The report as one page that needs nothing but itself: light and dark, wide and narrow, pictures inside."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("hf_transfer_kit.reporting").joinpath("template.html").read_text("utf-8"))
    drawn = [
        (picture, Markup(to_svg(picture.draw(comparison), title=picture.caption))) for picture in pictures(comparison)
    ]
    return template.render(
        comparison=comparison,
        title=_title(comparison),
        tables=tables(comparison),
        prompt_texts=_prompt_texts(comparison),
        pictures=drawn,
        how_measured=how_measured(comparison),
        meanings=_meanings(comparison),
    )


def to_markdown(comparison: Comparison, picture_folder: str = PICTURE_FOLDER) -> str:
    """The report as Markdown; its pictures are files in `picture_folder`, beside it."""
    lines = [f"# {escaped(_title(comparison))}", "", f"**{escaped(comparison.verdict)}**", ""]
    for text in (comparison.forgetting, comparison.prompting, comparison.next_step):
        lines += [escaped(text), ""] if text else []
    if comparison.verdict_without_leaked:
        lines += [f"Without the leaked test rows: {escaped(comparison.verdict_without_leaked)}", ""]
    lines += _section("Warnings", [escaped(warning) for warning in comparison.warnings])
    for table in tables(comparison):
        lines += [f"## {escaped(table.title)}", "", *_lines_of(table, comparison.recommended), ""]
        lines += [escaped(table.note), ""] if table.note else []
    lines += _markdown_prompts(comparison)
    for picture in pictures(comparison):
        lines += [f"## {picture.title}", "", f"![{picture.title}]({picture_folder}/{picture.name}.png)", ""]
        lines += [escaped(picture.caption), ""]
    findings = comparison.checks.worst_first if comparison.checks else ()
    lines += _section(
        "What the checks of the data found",
        [f"**{each.severity}**: {escaped(each.message)}{_markdown_examples(each.examples)}" for each in findings],
    )
    lines += _section(
        "Runs that failed", [f"{escaped(each.run)}: {escaped(each.message)}" for each in comparison.failures]
    )
    lines += _section(
        "How it was measured", [f"**{term}**: {escaped(text)}" for term, text in how_measured(comparison)]
    )
    lines += _section(
        "What the columns mean", [f"**{head}**: {escaped(text)}" for head, text in _meanings(comparison)]
    )
    if comparison.measurement.command:
        lines += ["## To repeat it", "", *(f"    {line}" for line in comparison.measurement.command.splitlines()), ""]
    return "\n".join(lines)


def to_terminal(comparison: Comparison) -> "RenderableType":
    """The verdict, warnings, tables and failures for `rich`; columns that do not fit go into a table below."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    verdict = Text(printable(comparison.verdict), style="bold")
    for text in (
        comparison.forgetting, comparison.prompting, comparison.next_step, comparison.verdict_without_leaked,
    ):  # fmt: skip
        if text:
            start = "Without the leaked test rows: " if text is comparison.verdict_without_leaked else ""
            verdict.append(f"\n{start}{printable(text)}", style="not bold")
    parts: list[RenderableType] = [Panel(verdict, title="Verdict", title_align="left", border_style="green")]
    parts += [Text(f"! {printable(warning)}", style="yellow") for warning in comparison.warnings]
    parts += [_FoldedTable(table=table, marked=comparison.recommended) for table in tables(comparison)]
    parts += [
        Text(f"failed: {printable(each.run)}: {printable(each.message)}", style="red") for each in comparison.failures
    ]
    return Group(*parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoldedTable:
    """A table for `rich` that repeats its first column in as many tables as the width asks for."""

    table: Table
    marked: str

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator["RenderableType"]:
        from rich.text import Text

        unlimited = options.update(width=10_000)
        shown: list[int] = []
        for i in range(1, len(self.table.columns)):
            width = console.measure(self._lay_out([*shown, i]), options=unlimited).maximum
            if shown and width > options.max_width:
                yield self._lay_out(shown)
                shown = []
            shown.append(i)
        yield self._lay_out(shown)
        if self.table.note:
            yield Text(f"{printable(self.table.note)}\n", style="dim")

    def _lay_out(self, shown: list[int]) -> "RichTable":
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        columns = [self.table.columns[i] for i in (0, *shown)]
        laid_out = RichTable(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, title_justify="left")
        if shown[0] == 1:
            laid_out.title = Text(self.table.title, style="bold")
        for column in columns:
            laid_out.add_column(column.head, justify="left" if column is columns[0] else "right", no_wrap=True)
        for cells in zip(*(column.cells for column in columns), strict=True):
            style = "bold green" if cells[0] == self.marked else ""
            laid_out.add_row(*(Text(printable(cell), style=style) for cell in cells))
        return laid_out


def _title(comparison: Comparison) -> str:
    name = comparison.data.path.rstrip("/").rpartition("/")[2] or comparison.data.path
    return f"Transfer strategies on {name}"


def _meanings(comparison: Comparison) -> list[tuple[str, str]]:
    """Each column's head and meaning, once; columns that a note explains have none."""
    columns = [column for table in tables(comparison) for column in table.columns]
    return list({column.head: column.meaning for column in columns if column.meaning}.items())


def _prompt_texts(comparison: Comparison) -> dict[str, str]:
    """Of the arms that have one, by name."""
    return {arm.name: arm.prompt.text for arm in comparison.arms if arm.prompt and arm.prompt.text}


def _markdown_prompts(comparison: Comparison) -> list[str]:
    """The prompts as indented blocks, which no mark-up inside can end."""
    lines = []
    for name, text in _prompt_texts(comparison).items():
        lines += [f"Prompt of {escaped(name)}:", "", *indented(text), ""]
    return ["## Prompts as text", "", *lines] if lines else []


def _section(title: str, items: Iterable[str]) -> list[str]:
    """A Markdown list under a heading; nothing where there are no items."""
    lines = [f"- {item}" for item in items]
    return [f"## {title}", "", *lines, ""] if lines else []


def _lines_of(table: Table, marked: str) -> list[str]:
    return markdown_table([column.head for column in table.columns], table.rows, marked)


def _markdown_examples(examples: Iterable[str]) -> str:
    return "".join(f"\n    - {escaped(example)}" for example in examples)
