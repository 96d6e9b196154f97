"""What happens in the Advisor tab: what the browser kept and what a person did in, changes of the page out."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import gradio as gr

from hf_transfer_kit.advisor.conversation.consultation import Turn
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.advisor import measuring
from hf_transfer_kit.app.advisor.advice_card import advice_card, reasons_card
from hf_transfer_kit.app.advisor.advising import MEASURE, TRY_DEMO, is_new_start, shown, told, with_chips
from hf_transfer_kit.app.advisor.at_hand import begun_again, data_line, facts_of, is_known, with_data, without_data
from hf_transfer_kit.app.advisor.evidence_card import evidence_card
from hf_transfer_kit.app.advisor.layout import AdvisorTab
from hf_transfer_kit.app.advisor.measuring_card import measuring_card
from hf_transfer_kit.app.advisor.streaming import streamed
from hf_transfer_kit.app.advisor.visit import Visit, restored
from hf_transfer_kit.app.advisor.voice import Asked, Voice, Worded, connected, in_own_thread
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.jobs.feed import Feeds, Glance
from hf_transfer_kit.app.jobs.watching import watch
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import TransferKitError

Update = dict[Any, Any]  # of the page: a part, and its new value
Updates = AsyncIterator[Update]
READING = "Reading the demo data."


class Handlers:
    """The handlers of one app. Each gets what the browser kept (`kept`) and the visitor's mark, and trusts neither.

    Args:
        demo_wanted: changes where the data at hand are to be the demo data.
        timer: ticks while something is measured; ended: the job whose measurement has ended; asked: what a language
            model is to word.
    """

    def __init__(
        self, settings: Settings, tab: AdvisorTab, *, demo_wanted: gr.State, timer: gr.Timer, ended: gr.State,
        asked: gr.State,
    ):  # fmt: skip
        self._settings, self._tab, self._demo_wanted = settings, tab, demo_wanted
        self._timer, self._ended, self._asked = timer, ended, asked
        self._feeds = Feeds(settings.jobs)
        self._same: Update = {tab.talk.chat: gr.skip()}  # gradio empties the page where a handler yields nothing

    def visit(self, kept: Any, mark: object) -> Visit:
        """The visit as it is now, with what was measured meanwhile."""
        visit = measuring.with_evidence(restored(kept), self._settings, mark)
        return measuring.taken_in(visit, self._settings, mark)

    def opened(self, kept: Any, mark: object) -> Update:
        """The page was loaded."""
        return self._whole(self.visit(kept, mark))

    async def said(
        self, kept: Any, mark: object, text: str, data: ChosenData | None, voice: Voice | None
    ) -> Updates:  # fmt: skip
        """A message was sent, or a quick reply clicked."""
        if not text.strip():
            yield self._same
            return
        visit = await asyncio.to_thread(self.visit, kept, mark)
        if text == MEASURE and visit.data:
            yield self.measure(kept, mark, data) | {self._tab.talk.message: ""}
            return
        if text == TRY_DEMO:
            yield self.try_demo(kept, mark) | {self._tab.talk.message: ""}
            return
        if is_new_start(text):
            yield self.again(kept, mark, data) | {self._tab.talk.message: ""}
            return
        after = await asyncio.to_thread(told, visit, text, self._settings.max_chars)
        first: Update = {self._tab.talk.message: "", self._tab.talk.waiting: ""}
        asked = Asked(message=text[: self._settings.max_chars], before=visit, after=after)
        last: Update = {} if voice is None else {self._asked: asked}
        async for update in self._answered(after, last):
            yield first | update
            first = {}

    async def asked(self, asked: Asked | None, voice: Voice | None) -> AsyncIterator[tuple[str, Worded | None]]:
        """A language model is asked for its wording of the last answer: a line of that, then what came of it."""
        if asked is None or voice is None:
            yield gr.skip(), None
            return
        yield note(f"Asking {voice.name} for its wording; the answer above is by the rules."), None
        yield gr.skip(), await voice.word(asked)

    def worded(self, kept: Any, mark: object, worded: Worded | None) -> Update:
        """The wording is there; where something else was said meanwhile, it is dropped."""
        if worded is None:
            return self._same
        visit = self.visit(kept, mark)
        after = worded.put_into(visit)
        is_newest = visit.consultation.turns == worded.asked.after.consultation.turns
        line = {self._tab.talk.waiting: note(worded.note, "warning")} if is_newest else self._same
        return (self._whole(after) if after != visit else {}) | line

    async def voice(self, name: str) -> tuple[Voice | None, str]:
        """A language model was named: the connection, and what to say of it."""
        if not name.strip():
            return None, note("The rules answer alone.")
        try:
            voice = await in_own_thread(lambda: connected(name, self._settings))
        except TransferKitError as error:
            return None, note(str(error), "error")
        return voice, note(f"From the next message on {voice.name} words the answers.", "good")

    def edited(self, kept: Any, mark: object, chips: list[str] | None) -> Update:
        """Chips were taken away or written."""
        visit = with_chips(self.visit(kept, mark), chips or [], self._settings.max_chars)
        return self._whole(visit) | {self._tab.talk.waiting: ""}

    def again(self, kept: Any, mark: object, data: ChosenData | None) -> Update:
        """The conversation begins anew; a measurement under way ends."""
        visit = self.visit(kept, mark)
        self._end_measuring(visit, mark)
        anew = begun_again(visit, measurable=self._measurable(visit, data))
        return self._whole(anew) | {self._tab.data.progress: "", self._tab.talk.waiting: ""}

    def try_demo(self, kept: Any, mark: object) -> Update:
        """The demo data are wanted: once they are read, `data_told` goes on."""
        visit = self.visit(kept, mark)
        turn = Turn(message=TRY_DEMO, answer=READING)
        consultation = replace(visit.consultation, turns=(*visit.consultation.turns, turn))
        after = replace(visit, consultation=consultation)
        messages = shown(after).messages
        messages[-1].pop("options", None)
        return {self._tab.kept: after.to_mapping(), self._tab.talk.chat: messages, self._demo_wanted: time.time_ns()}

    async def data_read(self, kept: Any, mark: object, data: ChosenData | None) -> tuple[TaskFacts | None, str]:
        """Other data were chosen: what they tell, and what to say where they cannot be read."""
        if data is None or is_known(restored(kept), data):
            return None, gr.skip()
        try:
            return await asyncio.to_thread(facts_of, data), gr.skip()
        except TransferKitError as error:
            return None, data_line(Visit(), data.said(error))

    async def data_told(
        self, kept: Any, mark: object, data: ChosenData | None, facts: TaskFacts | None
    ) -> Updates:  # fmt: skip
        """What the data tell goes into the consultation, as it is by now."""
        visit = await asyncio.to_thread(self.visit, kept, mark)
        if is_known(visit, data) or (data is not None and facts is None):
            yield self._same
            return
        self._end_measuring(visit, mark)
        nothing: Update = {self._tab.data.progress: ""}
        if data is None:
            yield self._whole(without_data(visit)) | nothing
            return
        after = with_data(visit, data, facts or TaskFacts(), measurable=self._measurable(visit, data))
        async for update in self._answered(after):
            yield nothing | update

    def measure(self, kept: Any, mark: object, data: ChosenData | None) -> Update:
        """Candidates are to be measured."""
        visit, progress = self.visit(kept, mark), self._tab.data.progress
        if visit.is_measuring:
            return self._whole(visit)
        try:
            started = measuring.start(visit, data, self._settings, mark)
            glance = self._feeds.glance(started.job, self._settings.owner_of(mark))
        except TransferKitError as error:
            return {progress: note(str(error) if data is None else data.said(error), "error")}
        return self._whole(started) | {progress: measuring_card(glance, data), self._ended: ""}

    def stop(self, kept: Any, mark: object) -> Update:
        """The measurement is to stop; what becomes of it is seen by watching."""
        self._end_measuring(self.visit(kept, mark), mark)
        return {self._tab.data.stop: gr.Button(interactive=False)}

    async def watched(self, kept: Any, mark: object, data: ChosenData | None) -> Updates:
        """How far the measurement is, until it is over."""
        visit = restored(kept)
        if not visit.is_measuring:
            yield {self._timer: gr.Timer(active=False)}
            return
        last: list[Glance] = []

        def card(glance: Glance) -> list[str]:
            last[:] = [glance]
            return [measuring_card(glance, data)]

        try:
            owner = self._settings.owner_of(mark)
            async for values in watch(
                lambda: self._feeds.glance(visit.job, owner), card, over=lambda glance: glance.over, same=gr.skip()
            ):
                yield {self._tab.data.progress: values[0]}
        except TransferKitError as error:
            yield {self._tab.data.progress: note(str(error), "error"), self._ended: visit.job}
        if last and last[0].over:
            yield {self._ended: visit.job}

    async def measured(self, kept: Any, mark: object, ended: str) -> Updates:
        """A measurement is over: the consultation is told, and the advice may change."""
        if not ended:
            yield self._same
            return
        before = restored(kept)
        visit = await asyncio.to_thread(self.visit, kept, mark)
        if visit.consultation.turns == before.consultation.turns:
            yield self._whole(visit)
            return
        async for update in self._answered(visit):
            yield update

    def _measurable(self, visit: Visit, data: ChosenData | None) -> bool:
        return data is not None and measuring.may_measure(visit, data, self._settings)

    def _end_measuring(self, visit: Visit, mark: object) -> None:
        if visit.is_measuring:
            measuring.stop(visit, self._settings, mark)

    async def _answered(self, visit: Visit, last: Update | None = None) -> Updates:
        """The chat piece by piece; all else, and `last`, with its last piece.

        What the browser keeps goes along each time: a part that is left out later is spoilt there (gradio 6.31 sends
        differences, and writes them into the very value that is kept).
        """
        whole = await asyncio.to_thread(self._whole, visit)
        chat, kept = self._tab.talk.chat, self._tab.kept
        async for messages in streamed(whole[chat]):
            yield whole | (last or {}) if messages == whole[chat] else {kept: whole[kept], chat: messages}

    def _whole(self, visit: Visit) -> Update:
        """All that the page shows of a visit."""
        view, tab = shown(visit), self._tab
        return {
            tab.kept: visit.to_mapping(),
            tab.talk.chat: view.messages,
            tab.talk.undo: gr.Button(visible=bool(visit.consultation.state.past)),
            tab.advice.chips: gr.Dropdown(choices=view.chips, value=view.chips, allow_custom_value=True),
            tab.advice.card: advice_card(view.advice),
            tab.advice.reasons: reasons_card(view.advice),
            tab.advice.evidence: evidence_card(visit.consultation.evidence),
            tab.advice.plan: view.plan,
            tab.advice.no_plan: note(view.no_plan),
            tab.advice.to_training: gr.Button(interactive=bool(view.plan)),
            tab.data.line: data_line(visit),
            tab.data.demo: gr.Button(visible=not visit.data),
            tab.data.choose: gr.Button("Choose other data" if visit.data else "Choose data of your own"),
            tab.data.measure: gr.Button(visible=bool(visit.data) and not visit.is_measuring),
            tab.data.stop: gr.Button(visible=visit.is_measuring, interactive=True),
            self._timer: gr.Timer(active=visit.is_measuring),
        }
