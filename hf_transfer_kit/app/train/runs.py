"""All trainings of a person: to choose one, and to see them side by side."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hf_transfer_kit.app.jobs.feed import Feeds, Glance
from hf_transfer_kit.app.jobs.job_card import STATES, duration
from hf_transfer_kit.app.markup import card, table
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.starting import is_run
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.reporting.quantities import accuracy

MOST_RUNS = 50
NOTHING = "-"
NONE_YET = "No training was started yet. Press Start: the plan above runs as it is."


def runs_of(settings: Settings, feeds: Feeds, owner: str) -> list[Glance]:
    """The trainings of `owner`, the newest first, `MOST_RUNS` at most; those that cannot be read are left out."""
    found: list[Glance] = []
    for status in reversed(settings.jobs.jobs(owner)):
        if len(found) < MOST_RUNS and is_run(status):
            try:
                found.append(feeds.glance(status.job.id, owner))
            except TransferKitError:
                continue
    return found


def choices(runs: Sequence[Glance]) -> list[tuple[str, str]]:
    """(title, id) of every run, for a list; the number tells those apart that have one title."""
    return [(f"{run.status.job.number}. {' · '.join(_short(run))}", run.status.job.id) for run in runs]


def history(runs: Sequence[Glance]) -> str:
    """The runs as a table, or what to do where there is none."""
    if not runs:
        return card(f'<p class="tk-quiet">{NONE_YET}</p>')
    rows = [
        [
            run.status.job.title or run.status.job.id[:8], STATES[run.status.state], _when(run),
            duration(run.seconds) if run.seconds else NOTHING,
            NOTHING if run.accuracy is None else accuracy(run.accuracy),
        ]
        for run in runs
    ]  # fmt: skip
    return card(table(["run", "state", "started (UTC)", "worked for", "test accuracy"], rows))


def _short(run: Glance) -> list[str]:
    state = STATES[run.status.state].lower() if run.accuracy is None else accuracy(run.accuracy)
    return [run.status.job.title or run.status.job.id[:8], state]


def _when(run: Glance) -> str:
    return NOTHING if run.started is None else datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M")
