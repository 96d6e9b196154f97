"""How the Train tab is laid out: the plan, what it needs and how it starts, the run; what they do is in tab.py."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.app.data.chosen import OLDER_DEMO
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.form import IN_WORDS, PROTECTIONS_IN_WORDS
from hf_transfer_kit.app.train.starting import CPU, GPU, HUB
from hf_transfer_kit.demo import MODEL

MODELS = (MODEL, "distilbert/distilbert-base-uncased", "FacebookAI/roberta-base", "google/vit-base-patch16-224")
PRECISIONS = [("as the machine has it", "auto"), ("32 bit", "fp32"), ("bf16, half the memory", "bf16")]


@dataclass(frozen=True, kw_only=True)
class PlanPart:
    """The plan as a form and as YAML.

    Fields:
        form: the components in the order of `filling.Values`.
        place: where it runs, in the order of `starting.Place`.
    """

    data: gr.HTML
    demo: gr.Button
    form: list[Any]
    place: list[Any]
    yaml: gr.Code


@dataclass(frozen=True, kw_only=True)
class StartPart:
    """What is wrong with the plan, what it needs, its command, and the button."""

    state: gr.HTML
    needs: gr.HTML
    estimate: gr.Button
    command: gr.Textbox
    start: gr.Button


@dataclass(frozen=True, kw_only=True)
class RunPart:
    """A run: which, how it is, its curves, what came out, its log; and all others."""

    run: gr.Dropdown
    card: gr.HTML
    stop: gr.Button
    resume: gr.Button
    compare: gr.Button
    pictures: gr.HTML
    result: gr.HTML
    command: gr.HTML
    log: gr.HTML
    history: gr.HTML

    @property
    def live(self) -> list[Any]:
        """What a look at the run changes, in the order of `showing.shown`."""
        return [
            self.card, self.stop, self.resume, self.compare, self.pictures, self.result, self.command, self.log,
        ]  # fmt: skip


def plan_part(settings: Settings) -> PlanPart:
    """Seven inputs, the rest folded away, and the same as YAML."""
    with gr.Row(elem_id="train-data-row"):
        data = gr.HTML(elem_id="train-data")
        demo = gr.Button("Use the demo data", size="sm", scale=0, min_width=160, elem_id="train-demo")
    with gr.Row():
        approach = gr.Dropdown(
            label="Approach", choices=[(f"{words} ({name})", name) for name, words in IN_WORDS.items()], value="full",
            min_width=230, elem_id="train-approach",
        )  # fmt: skip
        model = gr.Dropdown(
            label="Model", choices=list(MODELS), value=MODEL, allow_custom_value=True, min_width=230,
            elem_id="train-model",
        )  # fmt: skip
    with gr.Row():
        epochs = gr.Number(label="Epochs", value=4, minimum=1, precision=0, min_width=90, elem_id="train-epochs")
        batch = gr.Number(label="Batch size", value=16, minimum=1, precision=0, min_width=90, elem_id="train-batch")
        processes = gr.Number(
            label="Processes", value=1, minimum=1, maximum=64, precision=0, min_width=90, elem_id="train-processes"
        )
    with gr.Row():
        protections = gr.Dropdown(
            label="Against forgetting", choices=[(f"{words} ({name})", name) for name, words in
            PROTECTIONS_IN_WORDS.items()], value=[], multiselect=True, min_width=230, elem_id="train-protections",
        )  # fmt: skip
        old = gr.Dropdown(
            label="Older data to keep", choices=[("none", ""), OLDER_DEMO], value="", allow_custom_value=True,
            min_width=230, elem_id="train-old-data",
        )  # fmt: skip
    with gr.Accordion("More settings", open=False, elem_id="train-more"):
        rest, where = _rest(settings)
    with gr.Accordion("The plan as YAML", open=False, elem_id="train-yaml"):
        yaml = gr.Code(
            label="Plan", language="yaml", lines=18, max_lines=30, interactive=True, elem_id="train-plan",
        )  # fmt: skip
    return PlanPart(
        data=data, demo=demo, form=[approach, model, epochs, batch, protections, old, *rest],
        place=[where[0], processes, *where[1:]], yaml=yaml,
    )  # fmt: skip


def _rest(settings: Settings) -> tuple[list[Any], list[Any]]:
    """What is folded away: of the plan, and of the place."""
    with gr.Row():
        seed = gr.Number(label="Seed", value=0, minimum=0, precision=0, min_width=90)
        size = gr.Textbox(label="Training examples", placeholder="all", max_length=12, min_width=90)
        rate = gr.Textbox(label="Learning rate", placeholder="default", max_length=20, min_width=90)
    with gr.Row():
        accumulation = gr.Number(
            label="Pieces of a batch", value=1, minimum=1, precision=0, min_width=90,
            info="More pieces need less memory.",
        )  # fmt: skip
        precision = gr.Dropdown(label="Precision", choices=PRECISIONS, value="auto", info="Of the arithmetic.")
    where = gr.Radio(label="Where it runs", choices=_places(settings), value=CPU, elem_id="train-where")
    with gr.Row(visible=settings.launching):
        flavor = gr.Textbox(label="Machine on the Hub", value="t4-small", max_length=40, min_width=90)
        timeout = gr.Textbox(label="Ended after", value="2h", max_length=10, min_width=90)
        repo = gr.Textbox(label="Repository for the result", placeholder="ORG/NAME", max_length=100, min_width=120)
    return [seed, rate, size, accumulation, precision], [where, flavor, timeout, repo]


def _places(settings: Settings) -> list[str]:
    return [CPU, GPU, HUB] if settings.launching else [CPU]


def start_part() -> StartPart:
    """Beside the plan."""
    state = gr.HTML(elem_id="train-state")
    command = gr.Textbox(
        label="The command", info="It does the same in a terminal, with the plan in run/plan.yaml.", lines=2,
        max_lines=6, interactive=False, buttons=["copy"], visible=False, elem_id="train-command",
    )  # fmt: skip
    with gr.Row():
        estimate = gr.Button("Estimate", min_width=100, elem_id="train-estimate")
        start = gr.Button("Start", variant="primary", min_width=100, elem_id="train-start")
    needs = gr.HTML(elem_id="train-needs")
    return StartPart(state=state, needs=needs, estimate=estimate, command=command, start=start)


def run_part() -> RunPart:
    """Below the plan, over the whole width."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            run = gr.Dropdown(label="Run", choices=[], value=None, allow_custom_value=True, elem_id="train-run")
            card = gr.HTML(elem_id="train-card")
            with gr.Row():
                stop = gr.Button("Stop", variant="stop", min_width=90, interactive=False, elem_id="train-stop")
                resume = gr.Button("Resume", min_width=90, interactive=False, elem_id="train-resume")
                compare = gr.Button("Compare", min_width=90, interactive=False, elem_id="train-compare")
            result = gr.HTML(elem_id="train-result")
        with gr.Column(scale=7, min_width=320):
            pictures = gr.HTML(elem_id="train-pictures")
    with gr.Accordion("Log and command of this run", open=False, elem_id="train-details"):
        command = gr.HTML(elem_id="train-shown-command")
        log = gr.HTML(elem_id="train-log", autoscroll=True)
    with gr.Accordion("All runs", open=False, elem_id="train-all"):
        history = gr.HTML(elem_id="train-history")
    return RunPart(
        run=run, card=card, stop=stop, resume=resume, compare=compare, pictures=pictures, result=result,
        command=command, log=log, history=history,
    )  # fmt: skip
