"""The Train tab: its parts, what the other tabs need of it, and what connects them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.jobs.feed import Feeds
from hf_transfer_kit.app.listeners import QUICK, kept_in_browser
from hf_transfer_kit.app.markup import escape, note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.layout import PlanPart, RunPart, StartPart, plan_part, run_part, start_part
from hf_transfer_kit.app.train.plan_text import checked, demo_text, filled, form_values, on_demo_data, read, rewritten
from hf_transfer_kit.app.train.run_events import connect_run
from hf_transfer_kit.app.train.starting import place_of
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.plan.specs import YOUR_DATA

REMEMBERED = 8  # texts that the form has written; what comes back of them is no news for it


@dataclass(frozen=True, kw_only=True)
class TrainTab:
    """What the other tabs need of this one, and its parts."""

    plan: gr.Code
    to_compare: gr.Button
    planned: PlanPart
    begun: StartPart
    run: RunPart


def train_layout(settings: Settings) -> TrainTab:
    """Lays the tab out."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            planned = plan_part(settings)
        with gr.Column(scale=5, min_width=320):
            begun = start_part()
    run = run_part()
    return TrainTab(plan=planned.yaml, to_compare=run.compare, planned=planned, begun=begun, run=run)


def connect_train(
    settings: Settings, tab: TrainTab, chosen: gr.State, owner: gr.BrowserState, blocks: gr.Blocks
) -> None:  # fmt: skip
    """Says what the parts of the tab do; outside of the tabs, for what ticks must be there when the tab is not."""
    kept = kept_in_browser("plan", "")
    _connect_plan(settings, tab, chosen, kept)
    blocks.load(lambda text: text or demo_text(), kept, tab.plan, **QUICK)
    connect_run(settings, Feeds(settings.jobs), tab.planned, tab.begun, tab.run, chosen, owner, blocks)


def _connect_plan(settings: Settings, tab: TrainTab, chosen: gr.State, kept: gr.BrowserState) -> None:
    """Form and text are two views of one plan: whichever is changed rewrites the other."""
    planned, begun = tab.planned, tab.begun
    written = gr.State(())

    def look(text: str | None, data: ChosenData | None, *place: Any) -> list[Any]:
        return looked(text, data, place, settings)

    def from_form(text: str | None, before: tuple[str, ...], data: ChosenData | None, *values: Any) -> list[Any]:
        place, form = values[: len(planned.place)], values[len(planned.place) :]
        return form_changed(text, before, data, place, form, settings)

    def to_form(text: str | None, before: tuple[str, ...]) -> list[Any]:
        values = None if text in before else form_values(text)
        return [text, *([gr.skip()] * len(planned.form) if values is None else values)]

    looks = {"inputs": [tab.plan, chosen, *planned.place], "outputs": [begun.state, begun.start, begun.command,
             planned.data, begun.needs], "trigger_mode": "always_last"}  # fmt: skip
    fields = [tab.plan, written, chosen, *planned.place, *planned.form]
    for part in planned.form:
        part.input(
            from_form, fields, [tab.plan, written, begun.state, begun.start], trigger_mode="always_last", **QUICK
        )
    tab.plan.change(to_form, [tab.plan, written], [kept, *planned.form], trigger_mode="always_last", **QUICK)
    for event in (tab.plan.change, chosen.change, *(part.change for part in planned.place)):
        event(look, **looks, **QUICK)
    chosen.change(filled, [tab.plan, chosen], tab.plan, **QUICK)
    planned.demo.click(on_demo_data, tab.plan, tab.plan, **QUICK)


def form_changed(
    text: str | None, before: tuple[str, ...], data: ChosenData | None, place: Sequence[Any], form: Sequence[Any],
    settings: Settings,
) -> list[Any]:  # fmt: skip
    """After the form was changed: the text, the last texts it has written, what is wrong, whether it may start."""
    try:
        found = rewritten(text, form)
    except TransferKitError as error:
        return [gr.skip(), before, note(str(error), "error"), gr.update(interactive=False)]
    said, start, *_ = looked(found, data, place, settings)  # the text may be as before, and then nothing else looks
    return [found, (*before, found)[-REMEMBERED:], said, start]


def looked(text: str | None, data: ChosenData | None, place: Sequence[Any], settings: Settings) -> list[Any]:
    """After a change: what is wrong, whether it may start, the command, the data; no needs."""
    found = checked(text, data, place_of(place), settings)
    if found.plan:
        said = note("The plan is right; Start runs it as it is.", "good")
    else:
        said = note(found.problem[:1].upper() + found.problem[1:], "error" if text else "info")
    return [
        said, gr.update(interactive=found.plan is not None),
        gr.update(value=found.command, visible=bool(found.command)), data_line(text), "",
    ]  # fmt: skip


def data_line(text: str | None) -> str:
    """Which data the plan is on, as HTML."""
    try:
        name = read(text).data.path
    except TransferKitError:
        return ""
    if name == YOUR_DATA:
        return '<div class="tk-data"><strong>Data:</strong> none is chosen yet</div>'
    return f'<div class="tk-data"><strong>Data:</strong> {escape(name)}</div>'
