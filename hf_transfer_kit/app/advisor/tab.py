"""The Advisor tab: which click leads to what."""

from typing import Any

import gradio as gr

from hf_transfer_kit.app import listeners
from hf_transfer_kit.app.advisor.handlers import Handlers, Updates
from hf_transfer_kit.app.advisor.layout import AdvisorTab, advisor_layout
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.settings import Settings

TICK_SECONDS = 1.0
QUICK = listeners.QUICK | {"concurrency_limit": None}

__all__ = ["AdvisorTab", "advisor_layout", "connect_advisor"]


def connect_advisor(
    settings: Settings, tab: AdvisorTab, owner: gr.BrowserState, chosen: gr.State, demo_wanted: gr.State,
    blocks: gr.Blocks,
) -> None:  # fmt: skip
    """Says what the parts do; call it outside of the tabs, since a timer in a hidden one would not tick.

    Args:
        owner: the visitor's mark.
        chosen: the data at hand, `ChosenData` or None.
        demo_wanted: changed here where these are to be the demo data.
    """
    timer = gr.Timer(TICK_SECONDS, active=False)
    voice, asked, worded = gr.State(None), gr.State(None), gr.State(None)
    ended, facts = gr.State(""), gr.State(None)
    handlers = Handlers(settings, tab, demo_wanted=demo_wanted, timer=timer, ended=ended, asked=asked)
    talk, data, mine = tab.talk, tab.data, [tab.kept, owner]
    whole = [*_parts(tab), timer]
    everything: dict[str, Any] = {
        "outputs": [*whole, talk.message, talk.waiting, data.progress, demo_wanted, asked, ended]
    }

    async def replied(
        kept: Any, mark: Any, picked: ChosenData | None, model: Any, event: gr.SelectData
    ) -> Updates:  # fmt: skip
        async for update in handlers.said(kept, mark, str(event.value), picked, model):
            yield update

    async def undone(kept: Any, mark: Any) -> Updates:
        async for update in handlers.said(kept, mark, "undo", None, None):
            yield update

    talk.message.submit(handlers.said, [*mine, talk.message, chosen, voice], **everything, **QUICK)
    talk.chat.option_select(replied, [*mine, chosen, voice], **everything, **QUICK)
    talk.undo.click(undone, mine, **everything, **QUICK)
    for anew in (talk.again.click, talk.chat.clear):
        anew(handlers.again, [*mine, chosen], **everything, **QUICK)
    tab.advice.chips.input(handlers.edited, [*mine, tab.advice.chips], **everything, **QUICK)
    talk.voice_name.submit(handlers.voice, talk.voice_name, [voice, talk.voice_state], **QUICK)
    asked.change(handlers.asked, [asked, voice], [talk.waiting, worded], trigger_mode="multiple", **QUICK)
    worded.change(handlers.worded, [*mine, worded], **everything, **QUICK)

    data.demo.click(handlers.try_demo, mine, [tab.kept, talk.chat, demo_wanted], **QUICK)
    chosen.change(handlers.data_read, [*mine, chosen], [facts, data.line], **QUICK).then(
        handlers.data_told, [*mine, chosen, facts], **everything, **QUICK
    )
    data.measure.click(handlers.measure, [*mine, chosen], **everything, **QUICK)
    data.stop.click(handlers.stop, mine, data.stop, **QUICK)
    timer.tick(handlers.watched, [*mine, chosen], [timer, data.progress, ended], trigger_mode="once", **QUICK)
    ended.change(handlers.measured, [*mine, ended], **everything, **QUICK)

    blocks.load(handlers.opened, mine, whole, **QUICK)


def _parts(tab: AdvisorTab) -> list[Any]:
    """All that a visit changes."""
    talk, data, advice = tab.talk, tab.data, tab.advice
    return [
        tab.kept, talk.chat, talk.undo, advice.chips, advice.card, advice.reasons, advice.evidence, advice.plan,
        advice.no_plan, advice.to_training, data.line, data.demo, data.choose, data.measure, data.stop,
    ]  # fmt: skip
