"""A job as a card: its state in words, how far it is, how long it still takes, and what to do where it failed."""

import re

from hf_transfer_kit.app.jobs.feed import Glance
from hf_transfer_kit.app.markup import card, escape, note
from hf_transfer_kit.launch.job import LOG_FILE
from hf_transfer_kit.launch.logs import tail
from hf_transfer_kit.launch.state import JobStatus
from hf_transfer_kit.reporting.quantities import accuracy, seconds
from hf_transfer_kit.study.study_events import PREPARING, RUNS

STATES = {
    "queued": "Waiting", "running": "Running", "stopping": "Stopping", "stopped": "Stopped", "finished": "Finished",
    "failed": "Failed", "lost": "Lost",
}  # fmt: skip
_FOLDERS = re.compile(r"(?<![\w:/.])(?:/[\w.@+~-]+)+/(?=[\w.])")
_KINDS = {"failed": "error", "lost": "error", "stopped": "warning", "stopping": "warning"}


def job_card(glance: Glance) -> str:
    """The card, as HTML."""
    status = glance.status
    title = escape(status.job.title or status.job.id[:8])
    state = f'<span class="tk-state tk-{status.state}">{STATES[status.state]}</span>'
    parts = [f'<div class="tk-job"><strong>{title}</strong>{state}</div>', _doing(glance)]
    if status.state in _KINDS:
        parts.append(note(_remedy(glance), _KINDS[status.state]))
    return card("".join(parts))


def log_tail(status: JobStatus) -> str:
    """The last lines of this attempt's log as text, without secrets; at most about 20 kB."""
    return tail(status.folder / LOG_FILE, start=status.job.log_start)


def without_folders(text: str) -> str:
    """`text` with files called by their last name; where strangers look on, no place of this machine is told.

    Example:
        >>> without_folders("loading /srv/app/data/a.csv, see https://huggingface.co/org/name")
        'loading a.csv, see https://huggingface.co/org/name'
    """
    return _FOLDERS.sub("", text)


def duration(value: float) -> str:
    """Seconds as people wait for them: whole ones.

    Example:
        >>> duration(0.3), duration(8.4)
        ('1 s', '8 s')
    """
    whole = max(round(value), 1)
    return f"{whole} s" if whole < 60 else seconds(whole)


def _remedy(glance: Glance) -> str:
    status = glance.status
    if status.state == "stopping":
        left = f"{status.grace_left:.0f} s" if status.grace_left >= 1 else "a moment"
        return f"It saves a checkpoint; what is left in {left} is ended by force. A second click ends it now."
    return _capital(without_folders(status.sentence))


def _doing(glance: Glance) -> str:
    """What it does, with a bar where it works."""
    status = glance.status
    if status.state == "queued":
        return _bar(_place(glance.ahead), None)
    if status.state == "finished":
        reached = "" if glance.accuracy is None else f"Test accuracy {accuracy(glance.accuracy)}, after "
        return f'<p class="tk-quiet">{reached or "After "}{duration(glance.seconds)}.</p>'
    if glance.over:
        return f'<p class="tk-quiet">After {duration(glance.seconds)}{_how_far(glance)}.</p>'
    if not glance.total:
        return _bar(_capital(without_folders(glance.message)) or "Starting", None)
    left = "" if glance.seconds_left is None else f", {duration(glance.seconds_left)} left"
    told = glance.stage in (PREPARING, RUNS)  # of a comparison, whose message says what it does
    what = _capital(glance.message) if told else f"{_capital(glance.stage)}: step {glance.done:,} of {glance.total:,}"
    return _bar(f"{what}{left}", glance.done / glance.total)


def _place(ahead: int) -> str:
    if not ahead:
        return "Waits for its turn: it is the next."
    return f"Waits for its turn: {ahead} {'job is' if ahead == 1 else 'jobs are'} before it."


def _how_far(glance: Glance) -> str:
    return f", at step {glance.done:,} of {glance.total:,}" if glance.total and glance.stage != RUNS else ""


def _bar(text: str, share: float | None) -> str:
    value = "" if share is None else f' value="{min(max(share, 0.0), 1.0):.3f}"'
    return (
        f'<div class="tk-doing">{escape(text)}</div>'
        f'<progress class="tk-bar" max="1"{value} aria-label="{escape(text)}"></progress>'
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
