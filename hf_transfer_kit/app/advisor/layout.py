"""How the Advisor tab is laid out: the talk on the left, what is known and advised on the right."""

from dataclasses import dataclass

import gradio as gr

from hf_transfer_kit.app.advisor.advising import EXAMPLES, MEASURE
from hf_transfer_kit.app.advisor.voice import LONGEST_ADDRESS, may_be_asked
from hf_transfer_kit.app.settings import Settings

VOICE = (
    "The rules decide and answer at once. A language model may then word the answer; what it says without a source is "
    "struck out. Your messages go to the server that you name; its key comes from the environment "
    "(TRANSFER_KIT_API_KEY, or the login of Hugging Face)."
)


@dataclass(frozen=True, kw_only=True)
class TalkPart:
    """The chat, what is written next, the way back, and the language model that may word the answers."""

    chat: gr.Chatbot
    message: gr.Textbox
    undo: gr.Button
    again: gr.Button
    voice_name: gr.Textbox
    voice_state: gr.HTML
    waiting: gr.HTML


@dataclass(frozen=True, kw_only=True)
class DataPart:
    """Which data are at hand, and measuring on them."""

    line: gr.HTML
    demo: gr.Button
    choose: gr.Button
    measure: gr.Button
    stop: gr.Button
    progress: gr.HTML


@dataclass(frozen=True, kw_only=True)
class AdvicePart:
    """What is known, what is advised, what was measured, and where to go with it."""

    chips: gr.Dropdown
    card: gr.HTML
    reasons: gr.HTML
    evidence: gr.HTML
    no_plan: gr.HTML
    to_baseline: gr.Button
    to_training: gr.Button
    plan: gr.Code


@dataclass(frozen=True, kw_only=True)
class AdvisorTab:
    """The parts of the tab, and what the browser keeps of it."""

    kept: gr.BrowserState
    talk: TalkPart
    data: DataPart
    advice: AdvicePart


def advisor_layout(settings: Settings, kept: gr.BrowserState) -> AdvisorTab:
    """Lays the tab out; `kept` holds the visit between page loads."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            talk = talk_part(settings)
        with gr.Column(scale=5, min_width=320):
            data = data_part()
            advice = advice_part()
    return AdvisorTab(kept=kept, talk=talk, data=data, advice=advice)


def talk_part(settings: Settings) -> TalkPart:
    """The left side."""
    chat = gr.Chatbot(
        label="Conversation", height=520, render_markdown=False, buttons=["copy_all"], layout="bubble",
        feedback_options=None, elem_id="advisor-chat",
    )  # fmt: skip
    waiting = gr.HTML(elem_id="advisor-waiting")
    message = gr.Textbox(
        label="Your task, or a question", placeholder=EXAMPLES[0], lines=1, max_lines=4, submit_btn="Send",
        max_length=settings.max_chars, elem_id="advisor-message", autofocus=True,
    )  # fmt: skip
    with gr.Row():
        undo = gr.Button("Undo", size="sm", visible=False, elem_id="advisor-undo")
        again = gr.Button("Start again", size="sm", elem_id="advisor-again")
    here = "" if settings.shared else ", or the address of an OpenAI-compatible server"
    with gr.Accordion("Let a language model word the answers", open=False, visible=may_be_asked(settings)):
        gr.Markdown(VOICE, elem_classes="tk-help")
        voice_name = gr.Textbox(
            label="Language model", info=f"A model on the Hub{here}; empty: none.", max_length=LONGEST_ADDRESS,
            placeholder="org/name" if settings.shared else "http://127.0.0.1:8000/v1", submit_btn="Use",
            elem_id="advisor-voice",
        )  # fmt: skip
        voice_state = gr.HTML(elem_id="advisor-voice-state")
    return TalkPart(
        chat=chat, message=message, undo=undo, again=again, voice_name=voice_name, voice_state=voice_state,
        waiting=waiting,
    )  # fmt: skip


def data_part() -> DataPart:
    """Top of the right side."""
    line = gr.HTML(elem_id="advisor-data")
    with gr.Row():
        demo = gr.Button("Use the demo data", size="sm", elem_id="advisor-demo")
        measure = gr.Button(MEASURE, size="sm", visible=False, elem_id="advisor-measure")
        stop = gr.Button("Stop measuring", size="sm", visible=False, elem_id="advisor-stop")
        choose = gr.Button("Choose data of your own", size="sm", elem_id="advisor-choose")
    progress = gr.HTML(elem_id="advisor-progress")
    return DataPart(line=line, demo=demo, choose=choose, measure=measure, stop=stop, progress=progress)


def advice_part() -> AdvicePart:
    """The rest of the right side."""
    chips = gr.Dropdown(
        label="What is known", info="Take a fact away with x, or write another: 20k labelled.", choices=[],
        value=[], multiselect=True, allow_custom_value=True, elem_id="advisor-facts",
    )  # fmt: skip
    card = gr.HTML(elem_id="advisor-card")
    no_plan = gr.HTML(elem_id="advisor-no-plan")
    with gr.Row():
        to_baseline = gr.Button("Run the baseline", elem_id="to-baseline")
        to_training = gr.Button("Send to training", variant="primary", interactive=False, elem_id="to-training")
    evidence = gr.HTML(elem_id="advisor-evidence")
    reasons = gr.HTML(elem_id="advisor-reasons")
    with gr.Accordion("The plan as YAML", open=False):
        plan = gr.Code(label="Plan", language="yaml", interactive=False, elem_id="advisor-plan")
    return AdvicePart(
        chips=chips, card=card, reasons=reasons, evidence=evidence, no_plan=no_plan, to_baseline=to_baseline,
        to_training=to_training, plan=plan,
    )  # fmt: skip
