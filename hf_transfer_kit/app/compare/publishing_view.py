"""A run's model card to read and take away, and its way to the Hub: first shown, then sent."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from hf_transfer_kit.app.compare.downloads import offered
from hf_transfer_kit.app.compare.finished_runs import FinishedRun
from hf_transfer_kit.app.markup import card, escape, note, table
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.hub_account import hub, token_of
from hf_transfer_kit.launch.job import LOG_FILE
from hf_transfer_kit.launch.logs import tail
from hf_transfer_kit.launch.state import ENDED
from hf_transfer_kit.publishing import Publication, card_of, prepare

POLL_SECONDS, PATIENCE = 0.5, 600.0
SHOWN = 12  # digits of a hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was shown to a person as what would go; only this is sent."""

    run: str
    repo: str
    private: bool
    weights: str


def model_card_of(run: FinishedRun) -> tuple[str, str]:
    """(the card as Markdown without its YAML, the file for a DownloadButton); raises FormatError."""
    whole = card_of(run.folder)
    return whole.split("\n---\n", 1)[1], offered(whole, "README.md")


def preview(run: FinishedRun, repo: str, private: bool) -> tuple[str, Shown | None]:
    """What would go to the Hub, as HTML; nothing is sent. None where it cannot go."""
    try:
        publication = prepare(run.folder, repo.strip(), private=private)
    except (TransferKitError, OSError) as error:
        return note(str(error).replace(str(run.folder), "the run's folder"), "error"), None
    shown = Shown(run=run.id, repo=publication.repo, private=private, weights=publication.weights)
    return card(_listing(publication)), shown


def send(settings: Settings, owner: str, run: FinishedRun, shown: Shown) -> Iterator[str]:
    """Sends in a job of its own what `preview` showed, and says how it goes."""
    if settings.shared:
        yield note("nothing is sent from a shared app: its token is not yours.", "error")
        return
    if run.weights != shown.weights:
        yield note("the run has changed since; look again at what would go.", "error")
        return
    try:
        token_of(hub(), "pushing to the Hub")
    except TransferKitError as error:
        yield note(str(error), "error")
        return
    whom = "--private" if shown.private else "--public"
    command = [sys.executable, "-P", "-m", "hf_transfer_kit.cli", "push", str(run.folder.absolute())]
    jobs = settings.jobs
    job = jobs.submit(lambda _: [*command, "--repo", shown.repo, whom], owner=owner, title=f"push to {shown.repo}")
    end = time.monotonic() + PATIENCE
    yield note(f"Sending to {shown.repo} …")
    while job.state not in ENDED and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        job = jobs.get(job.job.id, owner)
    said = tail(job.folder / LOG_FILE).strip().splitlines()[-1:]
    if job.state == "finished":
        yield note(f"Sent: {said[0] if said else shown.repo}", "good")
    else:
        yield note(f"{job.state}: {said[0] if said else job.sentence}", "error")


def _listing(publication: Publication) -> str:
    whom = "its owners alone can see it" if publication.private else "everybody can see it"
    rows = [[file.name, f"{file.size:,}", file.sha256[:SHOWN]] for file in publication.files]
    return (
        f"<p>To <b>{escape(publication.repo)}</b> ({whom}), weights {escape(publication.weights)}. "
        "Nothing has been sent yet.</p>"
        + table(["file", "bytes", "SHA-256"], rows)
        + "".join(note(each, "warning") for each in publication.notes)
    )  # fmt: skip
