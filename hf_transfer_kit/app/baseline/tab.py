"""The Baseline tab: data, model and prompt, then what a prompt gives."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from hf_transfer_kit.app.baseline.data_events import known, read, read_again, reread, taken
from hf_transfer_kit.app.baseline.form import (
    Fields,
    fields_again,
    how_asked,
    kept_fields,
    prompt_shown,
    usual_template,
)
from hf_transfer_kit.app.baseline.job_events import Baselines
from hf_transfer_kit.app.baseline.layout import DataPart, PromptPart, ResultPart, data_part, prompt_part, result_part
from hf_transfer_kit.app.data import chosen as chosen_data
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.jobs.feed import Feeds
from hf_transfer_kit.app.listeners import PRIVATE, QUICK
from hf_transfer_kit.app.markup import escape
from hf_transfer_kit.app.settings import Settings

SAME = gr.skip()


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What the browser keeps: whose visit it is, the data, what is asked, and the job."""

    owner: gr.BrowserState
    data: gr.BrowserState
    fields: gr.BrowserState
    job: gr.BrowserState


@dataclass(frozen=True, kw_only=True)
class BaselineTab:
    """What the other tabs need of this one; `to_training` is there once something was measured."""

    chosen: gr.State
    model: gr.Dropdown
    to_training: gr.Button


def baseline_tab(
    settings: Settings, browser: Remembered, timer: gr.Timer, demo_wanted: gr.State, blocks: gr.Blocks
) -> BaselineTab:  # fmt: skip
    """Lays the tab out and says what its parts do.

    Args:
        timer: outside the tabs: what lies in a hidden one does not tick.
        demo_wanted: changes where another tab asks for the demo data.
    """
    chosen, usual = gr.State(None), gr.State("")
    gr.Markdown("#### 1 · Data with labels")
    data = data_part(settings)
    gr.Markdown("#### 2 · What is asked")
    prompt = prompt_part(settings)
    gr.Markdown("#### 3 · What a prompt gives, on rows it has not seen")
    result = result_part()
    _follow_data_and_prompt(settings, browser, demo_wanted, blocks, chosen, usual, data, prompt)
    _follow_job(settings, browser, blocks, timer, chosen, prompt, result)
    return BaselineTab(chosen=chosen, model=prompt.model, to_training=result.to_training)


def _follow_data_and_prompt(
    settings: Settings, browser: Remembered, demo_wanted: gr.State, blocks: gr.Blocks, chosen: gr.State,
    usual: gr.State, data: DataPart, prompt: PromptPart,
) -> None:  # fmt: skip
    """The preview follows everything that it shows; what is chosen is kept for a reload."""
    seen = [chosen, browser.data, data.said, data.look, *data.reading, data.details]
    asked = [chosen, usual, *prompt.fields]
    asking = [prompt.template, usual, prompt.kind, prompt.prompt, browser.fields]
    kept = [prompt.model, prompt.shots, prompt.template, prompt.calibration]

    def ask(picked: ChosenData | None, last: str, *values: Any) -> list[Any]:
        return asked_anew(picked, last, fields_of(values), settings)

    def ask_once_there_is_data(picked: ChosenData | None, last: str, *values: Any) -> list[Any]:
        return [SAME] * len(asking) if picked is None else ask(picked, last, *values)

    def preview(picked: ChosenData | None, last: str, *values: Any) -> list[Any]:
        fields = fields_of(values)
        return [prompt_shown(picked, fields, settings), kept_fields(fields, last)]

    def restore(value: object, fields: object, mark: object) -> list[Any]:
        found = fields_again(fields)
        return [*read_again(value, mark, settings), found.model, found.shots, found.template, found.calibration]

    for event, handler, source in (
        (data.demo.click, lambda: read(chosen_data.demo), None),
        (demo_wanted.change, lambda: read(chosen_data.demo), None),
        (data.name.submit, lambda name: read(lambda: chosen_data.on_the_hub(name)), data.name),
        (data.file.upload, lambda path, mark: read(lambda: taken(path, mark, settings)), [data.file, browser.owner]),
    ):
        event(handler, source, seen, **PRIVATE).then(ask, asked, asking, **QUICK)
    for part in data.reading:
        part.input(reread, [chosen, *data.reading], seen, trigger_mode="always_last", **QUICK).then(
            ask, asked, asking, **QUICK
        )
    blocks.load(restore, [browser.data, browser.fields, browser.owner], [*seen, *kept], **QUICK).then(
        ask_once_there_is_data, asked, asking, **QUICK
    )
    prompt.model.change(ask, asked, asking, trigger_mode="always_last", **QUICK)
    for part in (prompt.shots, prompt.template, prompt.row, prompt.calibration, prompt.url):
        part.input(preview, asked, [prompt.prompt, browser.fields], trigger_mode="always_last", **QUICK)


def _follow_job(
    settings: Settings, browser: Remembered, blocks: gr.Blocks, timer: gr.Timer, chosen: gr.State, prompt: PromptPart,
    result: ResultPart,
) -> None:  # fmt: skip
    """Begins, watches and stops; a reload or another start of the server finds the job by its id."""
    baselines, shown = Baselines(settings, Feeds(settings.jobs)), gr.State("")
    parts = [
        result.state, result.result, result.arm, result.answers, result.details, result.next, result.stop,
        result.resume, result.run, shown,
    ]  # fmt: skip
    its = [browser.job, browser.owner]

    def begin(picked: ChosenData | None, value: object, mark: object, *values: Any) -> list[Any]:
        return baselines.begin(known(picked, value, mark, settings), mark, fields_of(values))

    async def follow(job: object, mark: object, end: str) -> AsyncIterator[list[Any]]:
        async for values in baselines.follow(job, mark, end):
            yield values

    result.run.click(begin, [chosen, browser.data, browser.owner, *prompt.fields], [browser.job, *parts], **QUICK)
    gr.on(
        [timer.tick, browser.job.change, blocks.load], follow, [*its, shown], parts, trigger_mode="once",
        concurrency_limit=None, **QUICK,
    )  # fmt: skip
    result.stop.click(baselines.stop, its, parts, concurrency_limit=None, **QUICK)
    result.resume.click(baselines.resume, its, parts, **QUICK)
    result.arm.input(baselines.answers, [*its, result.arm], result.answers, **QUICK)


def fields_of(values: tuple[Any, ...]) -> Fields:
    """The fields of the tab, in the order of `PromptPart.fields`; what the browser leaves empty is None."""
    model, shots, template, calibration, url, price, dollars, row = values
    return Fields(
        model=model or "", shots=shots or "", template=template or "", calibration=calibration, url=url or "",
        price=price or "", max_dollars=dollars, row=int(row or 1),
    )  # fmt: skip


def asked_anew(data: ChosenData | None, last: str, fields: Fields, settings: Settings) -> list[Any]:
    """After model or data changed: template, the usual one, what the model is, the prompt, what the browser keeps.

    Args:
        last: the usual template so far; another one is somebody's own, and stays.
    """
    usual = usual_template(data, fields, settings)
    if fields.template.strip() in ("", last.strip()):
        fields = replace(fields, template=usual)
    kind = how_asked(data, fields, settings)
    return [
        fields.template, usual, f'<p class="tk-quiet">{escape(kind)}</p>' if kind else "",
        prompt_shown(data, fields, settings), kept_fields(fields, usual),
    ]  # fmt: skip
