"""How the Baseline tab is laid out: the data, the prompt, the result; what they do is in baseline_tab.py."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.app.data.chosen import SUFFIXES
from hf_transfer_kit.app.markup import card
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.plan.prompting import CALIBRATIONS

MODELS = (MODEL, "HuggingFaceTB/SmolLM2-135M", "google/flan-t5-small", "openai/clip-vit-base-patch32")


@dataclass(frozen=True, kw_only=True)
class DataPart:
    """Where the data comes from, its columns, and its first rows."""

    name: gr.Textbox
    file: gr.File
    demo: gr.Button
    input_column: gr.Dropdown
    label_column: gr.Dropdown
    look: gr.HTML


@dataclass(frozen=True, kw_only=True)
class PromptPart:
    """What is asked, and how; `prompt` is the preview."""

    model: gr.Dropdown
    shots: gr.Textbox
    template: gr.Textbox
    prompt: gr.Textbox
    calibration: gr.Dropdown
    row: gr.Number
    url: gr.Textbox
    price: gr.Textbox
    dollars: gr.Number

    @property
    def fields(self) -> list[Any]:
        """The components in the order of `baseline_tab.fields_of`."""
        return [
            self.model, self.shots, self.template, self.calibration, self.url, self.price, self.dollars, self.row,
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ResultPart:
    """The buttons, how far it is, and what came out; `details` holds `arm` and `answers`."""

    run: gr.Button
    stop: gr.Button
    state: gr.HTML
    result: gr.HTML
    details: gr.Accordion
    arm: gr.Dropdown
    answers: gr.HTML


def data_part(settings: Settings) -> DataPart:
    """Hub name, upload, demo data; beside them the first rows."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            name = gr.Textbox(
                label="Data set on the Hub", placeholder="org/name", max_length=200, submit_btn="Read",
                elem_id="data-name",
            )  # fmt: skip
            file = gr.File(
                label=f"or a file of your own, at most {settings.max_upload_mb} MB", height=130, elem_id="data-file",
                file_types=[*SUFFIXES, ".zip"],
            )  # fmt: skip
            demo = gr.Button("Use the demo data", size="sm", elem_id="data-demo")
            with gr.Row():
                input_column = gr.Dropdown(label="Input column", choices=[], value=None, elem_id="input-column")
                label_column = gr.Dropdown(label="Label column", choices=[], value=None, elem_id="label-column")
        with gr.Column(scale=5, min_width=320):
            empty = '<p class="tk-quiet">The first rows of the data appear here.</p>'
            look = gr.HTML(card(empty), elem_id="data-look")
    return DataPart(
        name=name, file=file, demo=demo, input_column=input_column, label_column=label_column, look=look
    )  # fmt: skip


def prompt_part(settings: Settings) -> PromptPart:
    """Model, examples, template; beside them the prompt; the rest is folded away."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            model = gr.Dropdown(
                label="Model", info="A name on the Hub.", choices=list(MODELS), value=MODEL, allow_custom_value=True,
                elem_id="baseline-model",
            )  # fmt: skip
            shots = gr.Textbox(
                label="Examples in the prompt", info="0 is a prompt without examples; several numbers are compared.",
                value="0, 4, 16", max_length=40, elem_id="baseline-shots",
            )  # fmt: skip
            template = gr.Textbox(
                label="Template", lines=4, max_lines=12, max_length=8000, elem_id="baseline-template",
                info="Jinja; empty: the usual one of this kind of model.",
            )  # fmt: skip
        with gr.Column(scale=5, min_width=320):
            prompt = gr.Textbox(
                label="The prompt as the model reads it", lines=12, max_lines=18, interactive=False,
                elem_id="baseline-prompt",
            )  # fmt: skip
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            calibration = gr.Dropdown(label="Calibration", choices=list(CALIBRATIONS), value="batch")
            row = gr.Number(label="Test row in the preview", value=1, minimum=1, precision=0)
        with gr.Row(visible=not settings.shared):
            url = gr.Textbox(label="Address of a server that answers", placeholder="http://127.0.0.1:8000/v1")
            price = gr.Textbox(label="Its price, dollars per million tokens in, out", placeholder="0.15,0.60")
            dollars = gr.Number(label="Most dollars to spend", value=None, minimum=0)
    return PromptPart(
        model=model, shots=shots, template=template, prompt=prompt, calibration=calibration, row=row, url=url,
        price=price, dollars=dollars,
    )  # fmt: skip


def result_part() -> ResultPart:
    """Run and stop, progress, tables, and the answers of one arm."""
    with gr.Row():
        run = gr.Button("Run the baseline", variant="primary", elem_id="baseline-run")
        stop = gr.Button("Stop", elem_id="baseline-stop")
    state = gr.HTML(elem_id="baseline-state")
    result = gr.HTML(elem_id="baseline-result")
    with gr.Accordion("Classes and wrong answers", open=True, visible=False) as details:
        arm = gr.Dropdown(label="Of", choices=[], elem_id="baseline-arm")
        answers = gr.HTML(elem_id="baseline-answers")
    return ResultPart(run=run, stop=stop, state=state, result=result, details=details, arm=arm, answers=answers)
