"""The Advisor tab: the chat, what is known as chips, the advice and its plan."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.app.advisor.advice_card import advice_card
from hf_transfer_kit.app.advisor.advising import Consultation, Shown, restored, shown, told, with_chips
from hf_transfer_kit.app.settings import Settings

EXAMPLES = (
    "5k tweets, 3 classes, one T4",
    "80 labelled chest x-rays, no GPU",
    "200 support tickets in 12 topics, laptop only",
)


@dataclass(frozen=True, kw_only=True)
class AdvisorTab:
    """What the other tabs need of this one."""

    plan: gr.Code
    to_baseline: gr.Button
    to_training: gr.Button


def advisor_tab(settings: Settings, kept: gr.BrowserState, blocks: gr.Blocks) -> AdvisorTab:
    """Lays the tab out; `kept` holds the consultation between visits."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            chat, message, chips, again = _talk(settings)
        with gr.Column(scale=5, min_width=320):
            card = gr.HTML(elem_id="advisor-card")
            with gr.Row():
                to_baseline = gr.Button("Run the baseline", interactive=False, elem_id="to-baseline")
                to_training = gr.Button(
                    "Send to training", variant="primary", interactive=False, elem_id="to-training"
                )
            with gr.Accordion("The plan as YAML", open=False):
                plan = gr.Code(label="Plan", language="yaml", interactive=False, elem_id="advisor-plan")
    outputs = [kept, chat, chips, card, plan, to_baseline, to_training]

    def said(mapping: Any, text: str) -> list[Any]:
        consultation = restored(mapping)
        return page_of(told(consultation, text, settings.max_chars) if text.strip() else consultation)

    def chosen(mapping: Any, event: gr.SelectData) -> list[Any]:
        return said(mapping, str(event.value))

    def edited(mapping: Any, written: list[str]) -> list[Any]:
        return page_of(with_chips(restored(mapping), written or [], settings.max_chars))

    quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
    message.submit(said, [kept, message], outputs, **quick).then(lambda: "", None, message, **quick)
    chat.option_select(chosen, kept, outputs, **quick)
    chips.input(edited, [kept, chips], outputs, **quick)
    for anew in (again.click, chat.clear):
        anew(lambda: page_of(Consultation()), None, outputs, **quick)
    blocks.load(lambda mapping: page_of(restored(mapping)), kept, outputs, **quick)
    return AdvisorTab(plan=plan, to_baseline=to_baseline, to_training=to_training)


def _talk(settings: Settings) -> tuple[gr.Chatbot, gr.Textbox, gr.Dropdown, gr.Button]:
    """The chat, what is written next, what is known, and the way back to the start."""
    chat = gr.Chatbot(
        label="Conversation", height=460, render_markdown=False, buttons=["copy_all"], layout="bubble",
        feedback_options=None, elem_id="advisor-chat",
    )  # fmt: skip
    message = gr.Textbox(
        label="Your task, or a question", placeholder=EXAMPLES[0], lines=1, max_lines=4, submit_btn="Send",
        max_length=settings.max_chars, elem_id="advisor-message", autofocus=True,
    )  # fmt: skip
    gr.Examples([[each] for each in EXAMPLES], inputs=message, label="For example", api_visibility="private")
    chips = gr.Dropdown(
        label="What is known", info="Take a fact away with x, or write another: 20k labelled.", choices=[],
        value=[], multiselect=True, allow_custom_value=True, elem_id="advisor-facts",
    )  # fmt: skip
    again = gr.Button("Start again", size="sm", variant="secondary")
    return chat, message, chips, again


def page_of(consultation: Consultation) -> list[Any]:
    """The values of the tab: what the browser keeps, chat, chips, card, plan, and the two buttons."""
    view: Shown = shown(consultation)
    usable = gr.Button(interactive=bool(view.plan))
    return [
        consultation.to_mapping(), view.messages, gr.Dropdown(choices=view.chips, value=view.chips),
        advice_card(view.advice), view.plan, usable, usable,
    ]  # fmt: skip
