"""`transfer-kit card` and `transfer-kit push`: a finished run for others to read and use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_transfer_kit.options import Debug

if TYPE_CHECKING:
    from hf_transfer_kit.publishing import Publication

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a comparison's (its choice).")]
SHOWN = 12  # digits of a hash


def card(
    run: Run,
    out: Annotated[Path | None, typer.Option("--out", help="The file; else RUN/model/README.md.")] = None,
    debug: Debug = False,
) -> None:
    """Write the model card of a finished run.

    What it is, how to use it, what was measured, its limits; in the format of the Hub.
    """
    from hf_transfer_kit.prediction import answering_run
    from hf_transfer_kit.publishing import MODEL_FOLDER, card_of
    from hf_transfer_kit.saved_model import CARD_FILE
    from hf_transfer_kit.values import write_text_atomically

    answering = answering_run(run)
    file = out or answering / MODEL_FOLDER / CARD_FILE
    write_text_atomically(file, card_of(answering))
    typer.echo(f"{file}")


def push(
    run: Run,
    repo: Annotated[str, typer.Option("--repo", help="ORG/NAME on the Hub; made where it is not there.")],
    private: Annotated[bool, typer.Option("--private/--public", help="Who may see it.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go; sends nothing.")] = False,
    debug: Debug = False,
) -> None:
    """Put a finished run on the Hub.

    Its model, its card, its plan and what was measured.

    The token is that of `hf auth login`, or HF_TOKEN.
    """
    from hf_transfer_kit.prediction import answering_run
    from hf_transfer_kit.publishing import prepare, publish

    publication = prepare(answering_run(run), repo, private=private)
    if not dry_run:
        typer.echo(publish(publication))
        return
    _show(publication)
    typer.echo("Dry run: nothing was sent.")


def _show(publication: "Publication") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("file", "bytes", "SHA-256", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for file in publication.files:
        table.add_row(file.name, f"{file.size:,}", file.sha256[:SHOWN])
    whom = "private" if publication.private else "public"
    typer.echo(f"to {publication.repo} ({whom}), weights {publication.weights}")
    Console().print(table)
    for note in publication.notes:
        typer.echo(f"Note: {note}")
