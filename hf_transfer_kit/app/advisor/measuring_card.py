"""A measurement under way, or one that came to nothing, in a few words."""

from hf_transfer_kit.advisor.evidence import FILE
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.jobs.feed import Glance
from hf_transfer_kit.app.jobs.job_card import duration
from hf_transfer_kit.app.markup import card, escape, note


def measuring_card(glance: Glance, data: ChosenData | None = None) -> str:
    """The card as HTML; "" once there is evidence, which then stands elsewhere, whatever could not be measured.

    Args:
        data: whose name takes the place of their path in what went wrong.
    """
    status = glance.status
    if glance.over and (status.folder / FILE).exists():
        return ""
    if status.state == "queued":
        ahead = f"{glance.ahead} {'job is' if glance.ahead == 1 else 'jobs are'} before it"
        return _bar(f"Waits for its turn: {ahead if glance.ahead else 'it is the next'}.")
    if status.state == "stopped":
        return note("Stopped. What was measured is kept; measuring again goes on from there.", "info")
    if glance.over:
        said = status.sentence if data is None else data.said(OSError(status.sentence))
        return note(f"Nothing was measured: {said}", "error")
    if status.state == "stopping":
        return _bar("Stopping")
    return _bar(_doing(glance), glance.done / glance.total if glance.total else None)


def _doing(glance: Glance) -> str:
    if not glance.total:
        return f"Measuring: {glance.message or 'starting'}"
    left = "" if glance.seconds_left is None else f", {duration(glance.seconds_left)} left for it"
    return f"Measuring {glance.message}: row {glance.done:,} of {glance.total:,}{left}"


def _bar(text: str, share: float | None = None) -> str:
    value = "" if share is None else f' value="{share:.3f}"'
    return card(
        f'<p aria-live="polite">{escape(text)}</p>'
        f'<progress class="tk-bar" max="1"{value} aria-label="{escape(text)}"></progress>'
    )
