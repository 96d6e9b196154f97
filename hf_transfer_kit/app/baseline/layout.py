"""How the Baseline tab is laid out: the data, the prompt, the result; what they do is in tab.py and data_events.py."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.app.baseline.form import NO_PROMPT, Fields
from hf_transfer_kit.app.data.data_card import NO_DATA
from hf_transfer_kit.app.data.uploads import SUFFIXES
from hf_transfer_kit.app.markup import card
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.plan.prompting import CALIBRATIONS

MODELS = (MODEL, "HuggingFaceTB/SmolLM2-135M", "google/flan-t5-small", "openai/clip-vit-base-patch32")
KINDS = (("found by itself", ""), ("texts", "text-classification"), ("images", "image-classification"))


@dataclass(frozen=True, kw_only=True)
class DataPart:
    """Where the data comes from, how it is read, and its first rows; `said` is for what went wrong."""

    name: gr.Textbox
    file: gr.File
    demo: gr.Button
    said: gr.HTML
    look: gr.HTML
    details: gr.Accordion
    input_column: gr.Dropdown
    label_column: gr.Dropdown
    task: gr.Dropdown
    config: gr.Textbox
    revision: gr.Textbox
    drop_empty: gr.Checkbox
    drop_rare: gr.Checkbox
    split_seed: gr.Number
    test_share: gr.Number
    max_length: gr.Number

    @property
    def reading(self) -> list[Any]:
        """The components of how it is read, in the order of `chosen.Reading`."""
        return [
            self.input_column, self.label_column, self.task, self.config, self.revision, self.drop_empty,
            self.drop_rare, self.split_seed, self.test_share, self.max_length,
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PromptPart:
    """What is asked, and how; `prompt` is the preview, `kind` what the model is."""

    model: gr.Dropdown
    kind: gr.HTML
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
        """The components in the order of `tab.fields_of`."""
        return [
            self.model, self.shots, self.template, self.calibration, self.url, self.price, self.dollars, self.row,
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ResultPart:
    """The buttons, how far it is, and what came out; `details` holds `arm` and `answers`."""

    run: gr.Button
    stop: gr.Button
    resume: gr.Button
    state: gr.HTML
    result: gr.HTML
    details: gr.Accordion
    arm: gr.Dropdown
    answers: gr.HTML
    next: gr.Row
    to_training: gr.Button


def data_part(settings: Settings) -> DataPart:
    """Demo data, upload, Hub name; beside them the first rows; how it is read is folded away."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            demo = gr.Button("Use the demo data", elem_id="data-demo")
            file = gr.File(
                label=f"or a table of your own, at most {settings.max_upload_mb} MB", height=150, elem_id="data-file",
                file_types=[*SUFFIXES, ".zip"],
            )  # fmt: skip
            name = gr.Textbox(
                label="or a data set on the Hub", placeholder="org/name", max_length=200, submit_btn="Read",
                elem_id="data-name",
            )  # fmt: skip
            said = gr.HTML(elem_id="data-said", padding=False)
            with gr.Accordion("How the data is read", open=False, elem_id="data-details") as details:
                with gr.Row():
                    input_column = gr.Dropdown(label="Input column", choices=[], value=None, elem_id="input-column")
                    label_column = gr.Dropdown(label="Label column", choices=[], value=None, elem_id="label-column")
                task = gr.Dropdown(label="Kind of input", choices=list(KINDS), value="", elem_id="data-task")
                drop_empty = gr.Checkbox(label="Leave out empty rows", info="Those without input or label.")
                drop_rare = gr.Checkbox(label="Leave out rare classes", info="Those with too few rows to split.")
                with gr.Row():
                    test_share = gr.Number(
                        label="Share for the test", info="Where there is no test part.", value=0.2, minimum=0.05,
                        maximum=0.8, step=0.05, min_width=120,
                    )  # fmt: skip
                    split_seed = gr.Number(
                        label="Seed of the split", info="The same seed: the same rows.", value=0, minimum=0,
                        precision=0, min_width=120,
                    )  # fmt: skip
                    max_length = gr.Number(
                        label="Longest text", info="In tokens; the rest is cut.", value=128, minimum=2, maximum=4096,
                        precision=0, min_width=120,
                    )  # fmt: skip
                with gr.Row():
                    config = gr.Textbox(label="Configuration", info="Of a data set on the Hub.", max_length=100)
                    revision = gr.Textbox(label="Revision", info="Of a data set on the Hub.", max_length=100)
        with gr.Column(scale=6, min_width=320):
            look = gr.HTML(card(NO_DATA), elem_id="data-look")
    return DataPart(
        name=name, file=file, demo=demo, said=said, look=look, details=details, input_column=input_column,
        label_column=label_column, task=task, config=config, revision=revision, drop_empty=drop_empty,
        drop_rare=drop_rare, split_seed=split_seed, test_share=test_share, max_length=max_length,
    )  # fmt: skip


def prompt_part(settings: Settings) -> PromptPart:
    """Model, examples, template; beside them the prompt; the rest is folded away."""
    usual = Fields()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            model = gr.Dropdown(
                label="Model", info="A name on the Hub.", choices=list(MODELS), value=usual.model,
                allow_custom_value=True, elem_id="baseline-model",
            )  # fmt: skip
            kind = gr.HTML(elem_id="baseline-kind", padding=False)
            shots = gr.Textbox(
                label="Examples in the prompt", info="0 is a prompt without examples; several numbers are compared.",
                value=usual.shots, max_length=40, elem_id="baseline-shots",
            )  # fmt: skip
            template = gr.Textbox(
                label="Template", lines=3, max_lines=12, max_length=8000, elem_id="baseline-template",
                info="Jinja; empty: the usual one of this kind of model.",
            )  # fmt: skip
            with gr.Accordion("More settings", open=False):
                with gr.Row():
                    calibration = gr.Dropdown(
                        label="Calibration", info="Takes back a model's liking for some labels.",
                        choices=list(CALIBRATIONS), value=usual.calibration,
                    )  # fmt: skip
                    row = gr.Number(
                        label="Test row in the preview", info="Counted from 1.", value=1, minimum=1, precision=0
                    )
                with gr.Column(visible=not settings.shared):
                    url = gr.Textbox(
                        label="Address of a server", placeholder="http://127.0.0.1:8000/v1",
                        info="One that answers as OpenAI's does; its key is read from TRANSFER_KIT_API_KEY.",
                    )  # fmt: skip
                    with gr.Row():
                        price = gr.Textbox(
                            label="Price", placeholder="0.15,0.60", info="Dollars per million tokens in, out."
                        )
                        dollars = gr.Number(
                            label="Most dollars to spend", info="It stops before.", value=None, minimum=0
                        )
        with gr.Column(scale=6, min_width=320):
            prompt = gr.Textbox(
                label="The prompt as the model reads it", value=NO_PROMPT, lines=14, max_lines=18,
                interactive=False, elem_id="baseline-prompt",
            )  # fmt: skip
    return PromptPart(
        model=model, kind=kind, shots=shots, template=template, prompt=prompt, calibration=calibration, row=row,
        url=url, price=price, dollars=dollars,
    )  # fmt: skip


def result_part() -> ResultPart:
    """Run, stop and resume, how far it is, tables, the next step, and the answers of one arm."""
    with gr.Row(elem_id="baseline-buttons"):
        run = gr.Button("Run the baseline", variant="primary", elem_id="baseline-run", scale=3)
        stop = gr.Button("Stop", elem_id="baseline-stop", visible=False, min_width=120)
        resume = gr.Button("Resume", elem_id="baseline-resume", visible=False, min_width=120)
    state = gr.HTML(elem_id="baseline-state", padding=False)
    result = gr.HTML(elem_id="baseline-result", padding=False)
    with gr.Row(visible=False) as following:
        to_training = gr.Button("Next: train on this data", variant="primary", elem_id="baseline-to-training")
    with gr.Accordion("Classes and wrong answers", open=True, visible=False) as details:
        arm = gr.Dropdown(label="Of", choices=[], elem_id="baseline-arm")
        answers = gr.HTML(elem_id="baseline-answers", padding=False)
    return ResultPart(
        run=run, stop=stop, resume=resume, state=state, result=result, details=details, arm=arm, answers=answers,
        next=following, to_training=to_training,
    )  # fmt: skip
