"""What the page shows of a run."""

from dataclasses import dataclass

from hf_transfer_kit.app.jobs.feed import Glance
from hf_transfer_kit.app.jobs.job_card import job_card, log_tail, without_folders
from hf_transfer_kit.app.jobs.pictures import training_pictures
from hf_transfer_kit.app.markup import card, escape, note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.result import result_card
from hf_transfer_kit.app.train.runs import NONE_YET
from hf_transfer_kit.app.train.starting import shown_command
from hf_transfer_kit.launch.state import ALIVE, CAN_RESUME

NO_LOG = "Nothing was printed yet."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A run in the page; all texts are HTML.

    Fields:
        can_stop, can_resume, can_compare: whether these buttons can act.
    """

    card: str
    pictures: str = ""
    result: str = ""
    command: str = ""
    log: str = ""
    can_stop: bool = False
    can_resume: bool = False
    can_compare: bool = False


NOTHING = Shown(card=card(f'<p class="tk-quiet">{escape(NONE_YET)}</p>'))
GONE = Shown(card=note("This run is not here any more; choose another one.", "warning"))


def shown(glance: Glance, settings: Settings) -> Shown:
    """How a run looks now."""
    status = glance.status
    finished = status.state == "finished"
    command = escape(shown_command(status, settings))
    log = log_tail(status).strip()
    log = without_folders(log) if settings.shared else log
    return Shown(
        card=job_card(glance),
        pictures=training_pictures(glance),
        result=result_card(status.folder) if finished else "",
        command=f'<pre class="tk-log" aria-label="The command of this run">{command}</pre>',
        log=_scrolled(log or NO_LOG),
        can_stop=status.state in ALIVE,
        can_resume=status.state in CAN_RESUME,
        can_compare=finished,
    )


def _scrolled(text: str) -> str:
    """A text in a box of its own that shows its end."""
    inside = f"<pre>{escape(text)}</pre>"
    return f'<div class="tk-log tk-end" tabindex="0" aria-label="The end of the log">{inside}</div>'
