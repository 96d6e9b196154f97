"""A language model that words the answers of the rules; where it is slow, wrong or away, those stand."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from hf_transfer_kit.advisor.at_hand.workbench import Workbench
from hf_transfer_kit.advisor.llm.connect import ChatModel, connect
from hf_transfer_kit.advisor.llm.talk import Limits, Talk
from hf_transfer_kit.advisor.llm.tools import Tools
from hf_transfer_kit.advisor.rules import advise
from hf_transfer_kit.app.advisor.advising import told
from hf_transfer_kit.app.advisor.visit import Visit
from hf_transfer_kit.app.data.hub_names import is_hub_name
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import PlanError, RemoteError

SECONDS = 30.0  # for one answer, its rounds of tools included
LONGEST_ADDRESS = 300
NOT_HERE = "This public Space pays for no language model; the rules answer. Duplicate it, or: transfer-kit app"
_WAITING = ThreadPoolExecutor(max_workers=16, thread_name_prefix="voice")  # its own: nobody else waits for a server

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a language model is asked to word: a message, the visit before it, and after it by the rules."""

    message: str
    before: Visit
    after: Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded:
    """What came of it.

    Fields:
        visit: with the checked wording; None where there is none.
        note: why not, a line.
    """

    asked: Asked
    visit: Visit | None = None
    note: str = ""

    def put_into(self, visit: Visit) -> Visit:
        """The visit with the wording, where it still stands where it was asked for; else as it is."""
        is_newest = (visit.consultation.state, visit.consultation.turns) == (
            self.asked.after.consultation.state, self.asked.after.consultation.turns
        )  # fmt: skip
        if self.visit is None or not is_newest:
            return visit
        worded = replace(self.visit.consultation, evidence=visit.consultation.evidence)
        return replace(visit, consultation=worded)


class Voice:
    """One visitor's language model.

    Args:
        name: as the visitor wrote it.
        seconds: for one answer.
    """

    def __init__(self, model: ChatModel, name: str, seconds: float = SECONDS):
        self.name, self._model, self._seconds = name, model, seconds
        self._talk: Talk | None = None  # while nobody talks with it

    async def word(self, asked: Asked) -> Worded:
        """The checked wording of the last answer. Never raises; other visitors do not wait for it."""
        talk, self._talk = self._talk or self._new_talk(), None  # a newer message, meanwhile, begins another talk
        after = await in_own_thread(lambda: told(asked.before, asked.message, talk=talk.reply))
        self._talk = talk
        if after == asked.before:  # it noted a place on this machine
            return Worded(asked=asked)
        answer, ruled = after.consultation.turns[-1].answer, asked.after.consultation.turns[-1].answer
        if answer.endswith(ruled):  # of the rules, behind a line that says why
            return Worded(asked=asked, note=answer.removesuffix(ruled).strip())
        return Worded(asked=asked, visit=after)

    def _new_talk(self) -> Talk:
        return Talk(self._model, _TOOLS, Limits(seconds=self._seconds))


def connected(name: str, settings: Settings) -> Voice:
    """The language model of that name: one of the Hub, through its providers, or one behind an address.

    Raises:
        RemoteError: there is no key for it, the name is none, or it may not be asked from here.
    """
    name = name.strip()[:LONGEST_ADDRESS]
    if not may_be_asked(settings):
        raise RemoteError(NOT_HERE)
    if settings.shared and not is_hub_name(name):
        raise RemoteError(f"'{name[:80]}' is no model's name on the Hub; here no other server is asked.")
    return Voice(connect(name), name)


def may_be_asked(settings: Settings) -> bool:
    """Whether a language model is asked from here: not where strangers would spend the tokens of whoever runs it."""
    return settings.launching or not settings.shared


async def in_own_thread(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises, while this thread and those of the page go on."""
    return await asyncio.get_running_loop().run_in_executor(_WAITING, work)


def _not_estimated(**_: object) -> object:
    raise PlanError("memory is not estimated on this page; the Train tab does.")


_BENCH = Workbench(online=False)
_TOOLS = Tools(
    advise=advise, estimate_memory=_not_estimated, search_models=_BENCH.search, export_plan=_BENCH.export
)  # fmt: skip
