"""What runs say about each other, as HTML: verdict, tables, pictures, and which weights answered."""

from collections import Counter
from collections.abc import Sequence

from hf_transfer_kit.app.compare.finished_runs import FinishedRun
from hf_transfer_kit.app.compare.names import names_of
from hf_transfer_kit.app.markup import card, escape, note, section, table
from hf_transfer_kit.app.wording import in_page_words
from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.differences import PARTS, data_differences
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.records import DataIdentity
from hf_transfer_kit.reporting.canvas import to_svg
from hf_transfer_kit.reporting.columns import Table
from hf_transfer_kit.reporting.pictures import pictures
from hf_transfer_kit.reporting.quantities import whole
from hf_transfer_kit.reporting.tables import tables

NOTHING_YET = (
    "No finished run yet. Measure a prompt under Baseline, or start a training under Train; what is finished "
    "appears here."
)
CHOOSE = "Choose two runs or more of one split, or take all on the newest data."
DIGITS = 12  # of a hash that are shown
MOST_NAMED = 3  # runs of one split that a refusal names
MOST_OPEN = 8  # rows of a table that is not folded away
SAME = "{names} answer with the same weights: they are one and the same model."


def compare_runs(runs: Sequence[FinishedRun]) -> Comparison:
    """What the runs say about each other.

    Raises:
        FormatError: fewer than two, two of the same run, or not of one data set and one split.
    """
    if len(runs) < 2:
        raise FormatError("choose two runs or more to compare.")
    return compare([run.record for run in runs])


def result_card(comparison: Comparison, runs: Sequence[FinishedRun]) -> str:
    """Verdict, the table of quality, pictures, the hash of what answers, and the other tables folded away."""
    first, *others = tables(comparison)
    said = (comparison.forgetting, comparison.prompting, comparison.next_step)
    drawn = "".join(
        f'<figure class="tk-figure"><h4>{escape(picture.title)}</h4>'
        f'<div class="tk-scroll">{to_svg(picture.draw(comparison), title=picture.caption)}</div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures(comparison)
    )
    return card(
        note(comparison.verdict, "good")
        + "".join(f"<p>{escape(each)}</p>" for each in said if each)
        + _table(first, comparison.recommended)
        + section("Read this first", "".join(note(in_page_words(each), "warning") for each in comparison.warnings))
        + f'<div class="tk-figures">{drawn}</div>'
        + _weights(runs)
        + section("More tables", "".join(_table(each, comparison.recommended) for each in others), folded=True)
    )


def refusal(runs: Sequence[FinishedRun], error: FormatError) -> str:
    """Why the runs cannot be compared: the split of each, and what differs in plain words."""
    groups: dict[tuple[object, ...], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(run.facts.split, []).append(run)
    if len(groups) < 2:
        return note(str(error), "error")
    first, second = (group[0].record for group in list(groups.values())[:2])
    what, names = "; ".join(data_differences(first, second)), names_of(runs)
    rows = [
        [_listed([names[run.id] for run in group]), group[0].facts.data, *_counts(group[0].record.data)]
        for group in groups.values()
    ]
    return (
        note(
            f"These runs cannot be compared: they are of {len(groups)} different splits. What differs: {what}. Take "
            "runs of one split:",
            "error",
        )
        + card(table(["runs", "data", "train", "validation", "test", "hash of the test items"], rows))
    )  # fmt: skip


def _weights(runs: Sequence[FinishedRun]) -> str:
    """The hash of what each run answers with, so that nobody compares a model with itself."""
    names, hashes = names_of(runs), {run.id: run.weights for run in runs}
    trained = [run for run in runs if run.facts.model]  # two controls may well be the same
    times = Counter(hashes[run.id] for run in trained)
    twice = [each for each in times if each and times[each] > 1]
    same = [", ".join(names[run.id] for run in trained if hashes[run.id] == each) for each in twice]
    rows = [[names[run.id], run.facts.started_from[:DIGITS], hashes[run.id] or "nothing was saved"] for run in runs]
    shown = table(["run", "started from", "answers with"], rows)
    return section("Which weights", shown, folded=len(runs) > MOST_OPEN) + "".join(
        note(SAME.format(names=each), "warning") for each in same
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _counts(data: DataIdentity) -> list[str]:
    """Rows per part, and the hash of the test items."""
    return [*(whole(data.rows[part]) for part in PARTS), data.hashes.get("test", "")[:DIGITS]]


def _table(found: Table, marked: str) -> str:
    heads = [column.head for column in found.columns]
    below = f'<p class="tk-quiet">{escape(found.note)}</p>' if found.note else ""
    return section(found.title, table(heads, found.rows, marked=marked) + below)
