"""The Train tab: the plan as YAML, checked while it is written, and the exact command."""

import shlex
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.advisor.exports.plan_export import launch_command
from hf_transfer_kit.app.data.chosen import ChosenData, for_the_page, for_the_run
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.plan import TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

LONGEST_PLAN = 20_000
QUICK: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a plan's text is: the plan, or "" commands and what is wrong with it in words.

    Fields:
        plan: as it runs, with the place of its data; never shown.
        command, launch: lines that carry out plan.yaml, in one process and in several.
    """

    plan: TransferPlan | None = None
    problem: str = ""
    command: str = ""
    launch: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainTab:
    """What the other tabs need of this one."""

    plan: gr.Code


def checked(text: str | None, data: ChosenData | None, processes: int = 1) -> Checked:
    """What the page says of a plan (an empty field is None); never raises.

    Example:
        >>> checked("approach: {name: fulll}", None).problem
        "the plan is not a hf_transfer_kit.plan file of version 1: ..."
    """  # fmt: skip
    if text is None or not text.strip():
        return Checked(problem="There is no plan yet; send one here from the Advisor tab, or paste one.")
    if len(text) > LONGEST_PLAN:
        return Checked(problem=f"the plan has {len(text):,} characters; {LONGEST_PLAN:,} is the most.")
    try:
        plan = for_the_run(TransferPlan.from_yaml(text, where="the plan"), data)
        launch = launch_command(plan, processes=processes, gpu=processes > 1) if processes > 1 else ""
    except TransferKitError as error:
        return Checked(problem=str(error) if data is None else data.said(error))
    command = shlex.join(["transfer-kit", "run", "plan.yaml", "--out", "runs/plan"])
    return Checked(plan=plan, command=command, launch=launch)


def handed_over(plan_yaml: str, data: ChosenData | None) -> str:
    """The advisor's plan, with the chosen data in it where it left them open."""
    return for_the_page(TransferPlan.from_yaml(plan_yaml), data).to_yaml() if plan_yaml else ""


def filled(text: str | None, data: ChosenData | None) -> str | None:
    """The text of a plan after data was chosen; as it was where it is no plan, or its data is named already."""
    try:
        return handed_over(text, data) if text and YOUR_DATA in text else text
    except TransferKitError:
        return text


def train_tab(settings: Settings, chosen: gr.State) -> TrainTab:
    """Lays the tab out."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            plan = gr.Code(
                label="Plan", language="yaml", lines=18, max_lines=30, interactive=True, elem_id="train-plan"
            )
        with gr.Column(scale=4, min_width=320):
            state = gr.HTML(note(checked("", None).problem), elem_id="train-state")
            processes = gr.Number(
                label="Processes", info="One for each GPU.", value=1, minimum=1, maximum=64, precision=0
            )
            command = gr.Code(
                label="The command", language="shell", interactive=False, lines=2, max_lines=4, wrap_lines=True,
                elem_id="train-command", visible=False,
            )  # fmt: skip

    def look(text: str | None, data: ChosenData | None, count: float | None) -> list[Any]:
        found = checked(text, data, int(count or 1))
        said = note("The plan is right.", "good") if found.plan else note(found.problem, "error" if text else "info")
        line = found.launch or found.command
        return [said, gr.Code(value=line, visible=bool(line))]

    for event in (plan.change, processes.change, chosen.change):
        event(look, [plan, chosen, processes], [state, command], trigger_mode="always_last", **QUICK)
    chosen.change(filled, [plan, chosen], plan, **QUICK)
    return TrainTab(plan=plan)
