"""The Baseline tab: data, model and prompt, then what a prompt gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from hf_transfer_kit.app.baseline.form import (
    Fields,
    data_card,
    progress_bar,
    prompt_shown,
    request_of,
    usual_template,
)
from hf_transfer_kit.app.baseline.layout import DataPart, PromptPart, data_part, prompt_part, result_part
from hf_transfer_kit.app.baseline.result import answers_card, arms_in, verdict_card
from hf_transfer_kit.app.baseline.run import COMPARISON_FOLDER, BaselineRun, Progress, start
from hf_transfer_kit.app.data import chosen as chosen_data
from hf_transfer_kit.app.data.chosen import ChosenData, loaded, look_at
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import TransferKitError

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUICK = PRIVATE | {"show_progress": "hidden"}
SAME = gr.skip()  # what is shown stays


@dataclass(frozen=True, kw_only=True)
class BaselineTab:
    """What the other tabs need of this one."""

    chosen: gr.State
    model: gr.Dropdown


class Running:
    """The baselines at work, by the name of their folder; what was finished is in files."""

    def __init__(self) -> None:
        self._runs: dict[str, BaselineRun] = {}

    def add(self, run: BaselineRun) -> str:
        """The name of a new one."""
        self._runs[run.folder.name] = run
        return run.folder.name

    def stop(self, name: str) -> str:
        """Asks one to stop; what to say of it."""
        run = self._runs.get(name)
        if run is None:
            return note("Nothing is running.", "info")
        run.stop.set()
        return note("Stopping; the current step ends first.", "info")

    def forget(self, name: str) -> None:
        """It is over."""
        self._runs.pop(name, None)


def baseline_tab(settings: Settings, owner: gr.BrowserState) -> BaselineTab:
    """Lays the tab out and says what its parts do."""
    chosen, running, folder = gr.State(None), gr.State(""), gr.State("")
    data, prompt, result = data_part(settings), prompt_part(settings), result_part()
    _follow_data_and_prompt(settings, chosen, data, prompt)
    at_work = Running()

    def begin(picked: ChosenData | None, mine: str, *values: Any) -> Iterator[list[Any]]:
        yield from measured(picked, mine, fields_of(values), settings, at_work)

    outputs = [result.state, result.result, result.arm, result.answers, result.details, folder, running]
    result.run.click(
        begin, [chosen, owner, *prompt.fields], outputs, concurrency_id="baseline", concurrency_limit=1, **QUICK
    )
    result.stop.click(at_work.stop, running, result.state, concurrency_limit=None, **QUICK)
    result.arm.input(answers_of, [chosen, folder, result.arm], result.answers, **PRIVATE)
    return BaselineTab(chosen=chosen, model=prompt.model)


def _follow_data_and_prompt(settings: Settings, chosen: gr.State, data: DataPart, prompt: PromptPart) -> None:
    """The preview follows everything that it shows."""
    seen = [chosen, data.look, data.input_column, data.label_column]
    asked = [chosen, *prompt.fields]

    def prompt_for(picked: ChosenData | None, *values: Any) -> str:
        return prompt_shown(picked, fields_of(values), settings)

    def usual_for(picked: ChosenData | None, *values: Any) -> str:
        return usual_template(picked, fields_of(values), settings)

    for event, handler, source in (
        (data.demo.click, lambda: read(chosen_data.demo), None),
        (data.name.submit, lambda name: read(lambda: chosen_data.on_the_hub(name)), data.name),
        (data.file.upload, lambda path: read(lambda: chosen_data.uploaded(path)), data.file),
    ):
        event(handler, source, seen, **PRIVATE).then(usual_for, asked, prompt.template, **QUICK).then(
            prompt_for, asked, prompt.prompt, **QUICK
        )
    for column in (data.input_column, data.label_column):
        column.input(with_columns, [chosen, data.input_column, data.label_column], seen, **PRIVATE).then(
            prompt_for, asked, prompt.prompt, **QUICK
        )
    prompt.model.change(usual_for, asked, prompt.template, **QUICK).then(prompt_for, asked, prompt.prompt, **QUICK)
    for part in (prompt.shots, prompt.template, prompt.row):
        part.input(prompt_for, asked, prompt.prompt, trigger_mode="always_last", **QUICK)


def fields_of(values: tuple[Any, ...]) -> Fields:
    """The fields of the tab, in the order of `PromptPart.fields`; what the browser leaves empty is None."""
    model, shots, template, calibration, url, price, dollars, row = values
    return Fields(
        model=model or "", shots=shots or "", template=template or "", calibration=calibration, url=url or "",
        price=price or "", max_dollars=dollars, row=int(row or 1),
    )  # fmt: skip


def measured(
    data: ChosenData | None, owner: str, fields: Fields, settings: Settings, at_work: Running
) -> Iterator[list[Any]]:
    """Progress, then the result: state, result, arm, answers, details, folder of the comparison, name of the run."""
    yield [progress_bar(Progress(text="Starting")), "", SAME, "", gr.Accordion(visible=False), "", ""]
    name = ""
    try:
        run = start(request_of(data, fields, settings), settings.runs / (settings.owner_of(owner) or "mine"))
        name = at_work.add(run)
        for said in run.news():
            if isinstance(said, Progress):
                yield [progress_bar(said), *[SAME] * 5, name]
            else:
                yield _finished(data, said, run.folder / COMPARISON_FOLDER)
    except TransferKitError as error:
        yield [note(str(error) if data is None else data.said(error), "error"), *[SAME] * 5, ""]
    except Exception:
        yield [note("The app made a mistake; its terminal says which.", "error"), *[SAME] * 5, ""]
        raise
    finally:
        at_work.forget(name)


def _finished(data: ChosenData | None, comparison: Comparison, folder: Path) -> list[Any]:
    names = list(arms_in(folder))
    best = comparison.recommended if comparison.recommended in names else names[0]
    return [
        "", verdict_card(comparison), gr.Dropdown(choices=names, value=best), answers_of(data, str(folder), best),
        gr.Accordion(visible=True), str(folder), "",
    ]  # fmt: skip


def answers_of(data: ChosenData | None, folder: str, name: str) -> str:
    """Classes and wrong answers of one arm."""
    if data is None or not folder:
        return ""
    found = arms_in(Path(folder))
    return answers_card(found[name].records[0], loaded(data).test["input"][:]) if name in found else ""


def read(choose: Callable[[], ChosenData]) -> list[Any]:
    """After data was chosen: the data, its look, and the columns to correct."""
    try:
        data = choose()
        look = look_at(data)
    except TransferKitError as error:
        empty = gr.Dropdown(choices=[], value=None)
        return [None, note(str(error), "error"), empty, empty]
    columns = list(look.columns)
    return [
        data, data_card(data, look), gr.Dropdown(choices=columns, value=look.input_column or None),
        gr.Dropdown(choices=columns, value=look.label_column or None),
    ]  # fmt: skip


def with_columns(data: ChosenData | None, input_column: str | None, label_column: str | None) -> list[Any]:
    """After the columns were corrected; as `read`."""
    return [SAME] * 4 if data is None else read(lambda: data.with_columns(input_column, label_column))
