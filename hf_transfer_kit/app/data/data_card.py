"""The first rows of a data set, what was guessed about it, and what the checks found, as HTML."""

from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.data.look import Look
from hf_transfer_kit.app.data.pictures import in_a_row
from hf_transfer_kit.app.markup import card, escape, items, note, section, table
from hf_transfer_kit.reporting.quantities import whole

SHOWN_FINDINGS = 3
CHECKED_LATER = "So many rows are checked for copies and contradictions when the baseline runs."
NO_DATA = '<p class="tk-quiet">The first rows of the data appear here. To look around, take the demo data.</p>'


def data_card(chosen: ChosenData, look: Look) -> str:
    """What is to be known of the data before anything is asked."""
    findings = look.checks.worst_first if look.checks else ()
    said = [chosen.said(each.message) for each in findings]
    kinds = ["error" if each.severity == "error" else "warning" for each in findings]
    return card(
        f"<h3>{escape(chosen.name)}</h3>"
        + _summary(look)
        + note(look.problem, "error")
        + "".join(note(text, kind) for text, kind in list(zip(said, kinds, strict=True))[:SHOWN_FINDINGS])
        + (note("The checks found nothing wrong.", "good") if look.checks and not findings else "")
        + (note(CHECKED_LATER) if look.classes and not look.checks else "")
        + in_a_row(look.pictures)
        + ("" if look.pictures else table(look.columns, look.rows))
        + section("More findings", items(said[SHOWN_FINDINGS:]), folded=True)
        + section("How it was read", items(look.notes), folded=True)
    )


def _summary(look: Look) -> str:
    """Classes, rows of each part, and which column is what."""
    if not look.classes:
        return ""
    rows = ", ".join(f"{part} {whole(count)}" for part, count in look.counts)
    columns = f"{escape(look.input_column)} → {escape(look.label_column)}"
    return f'<p class="tk-quiet">{look.classes} classes; rows: {rows}; columns: {columns}</p>'
