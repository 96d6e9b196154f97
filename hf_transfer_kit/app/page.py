"""The page: four tabs, what goes from one to another, and the two public endpoints."""

import secrets
from collections.abc import Callable
from typing import Any

import gradio as gr

from hf_transfer_kit.advisor.rules import advise as advise_on
from hf_transfer_kit.app.advisor.tab import advisor_layout, connect_advisor
from hf_transfer_kit.app.baseline.tab import Remembered, baseline_tab
from hf_transfer_kit.app.compare.tab import compare_tab
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.listeners import QUICK, kept_in_browser
from hf_transfer_kit.app.settings import Settings, is_mark
from hf_transfer_kit.app.train.plan_text import handed_over
from hf_transfer_kit.app.train.tab import connect_train, train_layout
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.plan import TransferPlan

TITLE = "hf-transfer-kit"
HEAD = "# hf-transfer-kit\nAdvice with its reasons, what a prompt gives, one plan, one verdict."


def page(settings: Settings) -> gr.Blocks:
    """The app, not started."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as blocks:
        consultation = kept_in_browser("consultation", None)
        owner = kept_in_browser("owner", "")
        remembered = Remembered(
            owner=owner, data=kept_in_browser("data", None),
            fields=kept_in_browser("fields", None),
            job=kept_in_browser("baseline", ""),
        )  # fmt: skip
        at = kept_in_browser("tab", "advisor")
        baseline_ticks, demo_wanted, is_open = gr.Timer(2), gr.State(0), gr.State(False)
        gr.Markdown(HEAD, elem_id="head")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Advisor", id="advisor") as advising:
                advisor = advisor_layout(settings, consultation)
            with gr.Tab("Baseline", id="baseline") as prompting:
                baseline = baseline_tab(settings, remembered, baseline_ticks, demo_wanted, blocks)
            with gr.Tab("Train", id="train") as training:
                train = train_layout(settings)
            with gr.Tab("Compare", id="compare") as comparing:
                compare = compare_tab(settings, owner, comparing, blocks)
        connect_train(settings, train, baseline.chosen, owner, blocks)
        train.to_compare.click(lambda: gr.Tabs(selected="compare"), None, tabs, **QUICK).then(
            compare.show_job, [owner, train.run.run], compare.outputs, **QUICK
        )
        connect_advisor(settings, advisor, owner, baseline.chosen, demo_wanted, blocks)
        advice = advisor.advice
        advice.to_baseline.click(_to_baseline, advice.plan, [tabs, baseline.model], **QUICK)
        advice.to_training.click(_to_training, [advice.plan, baseline.chosen], [tabs, train.plan], **QUICK)
        baseline.to_training.click(lambda: gr.Tabs(selected="train"), None, tabs, **QUICK)
        advisor.data.choose.click(lambda: gr.Tabs(selected="baseline"), None, tabs, **QUICK)
        blocks.load(known_owner, owner, owner, **QUICK)
        for tab in (advising, prompting, training, comparing):
            tab.select(_opened(str(tab.id)), [at, is_open], at, **QUICK)
        blocks.load(_first_tab, at, [tabs, is_open], **QUICK)
        gr.api(advise, api_name="advise", concurrency_limit=4)
        gr.api(plan, api_name="plan", concurrency_limit=4)
    return blocks


def advise(task: str) -> dict[str, Any]:
    """Advice on a task in a few words: method, models, settings, reasons with sources, what would change it, a plan.

    Args:
        task: for example "5k tweets, 3 classes, one T4".
    """
    try:
        return advise_on(task[:4000]).to_mapping()
    except TransferKitError as error:
        raise gr.Error(str(error)) from error


def plan(task: str) -> str:
    """The plan for a task in a few words, as YAML for `transfer-kit run`.

    Args:
        task: for example "5k tweets, 3 classes, one T4".
    """
    try:
        found = advise_on(task[:4000]).plan
    except TransferKitError as error:
        raise gr.Error(str(error)) from error
    if found is None:
        raise gr.Error("the kit has no plan for this task; /advise says what to do.")
    return TransferPlan.from_mapping(found).to_yaml()


def known_owner(owner: str) -> str:
    """The mark of a browser; a new one where it has none."""
    return owner if is_mark(owner) else secrets.token_hex(16)


def _first_tab(last: str, request: gr.Request) -> list[Any]:
    """The tab of the address (?tab=compare, ?job=ID), else the one that was open before; and that the page is open."""
    asked = request.query_params if request else {}
    wanted = asked.get("tab", "train" if "job" in asked else last)
    return [gr.Tabs(selected=wanted if wanted in ("advisor", "baseline", "train", "compare") else "advisor"), True]


def _opened(name: str) -> Callable[[str, bool], str]:
    """Keeps the tab that is open; until the page is, gradio says that of the first one (6.31), which nobody chose."""
    return lambda last, is_open: name if is_open else last


def _to_baseline(plan_yaml: str) -> list[Any]:
    model = TransferPlan.from_yaml(plan_yaml).model if plan_yaml else None
    return [gr.Tabs(selected="baseline"), gr.skip() if model is None else model.name]


def _to_training(plan_yaml: str, chosen: ChosenData | None) -> list[Any]:
    return [gr.Tabs(selected="train"), handed_over(plan_yaml, chosen)]
