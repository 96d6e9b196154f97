"""The Compare tab: any finished runs on the same split side by side."""

import atexit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hf_transfer_kit.app.compare.publishing_layout import publishing_layout
from hf_transfer_kit.app.compare.showing import Comparing, Listed
from hf_transfer_kit.app.listeners import PRIVATE
from hf_transfer_kit.app.settings import Settings

QUIET: dict[str, Any] = PRIVATE | {"show_progress": "hidden"}


@dataclass(frozen=True, kw_only=True)
class CompareTab:
    """What other tabs may do here.

    Fields:
        show_job: (mark of the visitor, id of a job) -> the values of `outputs`: the job's runs and what can be
            compared with them are chosen and compared.
        outputs: what `show_job` fills.
    """

    show_job: Callable[[str, str | None], list[Any]]
    outputs: list[Any]


def compare_tab(settings: Settings, owner: gr.BrowserState, tab: gr.Tab, blocks: gr.Blocks) -> CompareTab:
    """Lays the tab out; the list is read anew whenever the tab is opened."""
    comparing = Comparing(settings)
    atexit.register(comparing.process.close)
    runs = gr.Dropdown(
        label="Finished runs", info="Two or more on the same split; the newest first.", choices=[], value=[],
        multiselect=True, allow_custom_value=True, elem_id="compare-runs",
    )  # fmt: skip
    with gr.Row():
        compare = gr.Button("Compare", variant="primary", elem_id="compare-run")
        everything = gr.Button("All on the newest data", elem_id="compare-all")
        report = gr.DownloadButton("Download the report", interactive=False, elem_id="compare-report")
    result = gr.HTML(elem_id="compare-result")
    with gr.Group(elem_id="compare-try"):
        text = gr.Textbox(
            label="Try an input", info="Every chosen run answers.", placeholder="Type a text, then Enter", lines=1,
            max_lines=6, max_length=settings.max_chars, elem_id="compare-text",
        )  # fmt: skip
        image = gr.Image(
            label="Try an image", type="filepath", sources=["upload"], visible=False, height=220,
            elem_id="compare-image",
        )  # fmt: skip
        ask = gr.Button("Ask the runs", elem_id="compare-ask")
    answers = gr.HTML(elem_id="compare-answers")
    published = publishing_layout(comparing, owner)
    outputs = [runs, published, result, report]

    def listed(mark: str, chosen: list[str] | None) -> list[Any]:
        found = comparing.listed(mark, chosen)
        kept = gr.skip() if found.note == "" else found.note
        return [*_lists(found, chosen), kept]

    def compared(mark: str, chosen: list[str] | None) -> list[Any]:
        found = comparing.compared(mark, chosen or [])
        return [found.page, gr.DownloadButton(value=found.report, interactive=found.report is not None)]

    def with_comparison(mark: str, found: Listed) -> list[Any]:
        shown = compared(mark, found.chosen) if len(found.chosen) > 1 else [found.note, gr.skip()]
        return [*_lists(found, None), *shown]

    def newest(mark: str) -> list[Any]:
        return with_comparison(mark, comparing.newest(mark))

    def show_job(mark: str, job_id: str | None) -> list[Any]:
        return with_comparison(mark, comparing.of_job(mark, job_id or ""))

    def box(mark: str, chosen: list[str] | None) -> list[Any]:
        wants_image = comparing.asks_for_image(mark, chosen or [])
        return [gr.Textbox(visible=not wants_image), gr.Image(visible=wants_image)]

    def asked(mark: str, chosen: list[str] | None, typed: str, picture: str | None) -> Any:
        yield from comparing.ask(mark, chosen or [], typed, picture)

    gr.on([tab.select, blocks.load], listed, [owner, runs], [runs, published, result], **QUIET)
    runs.change(box, [owner, runs], [text, image], **QUIET)
    everything.click(newest, owner, outputs, **PRIVATE)
    compare.click(compared, [owner, runs], [result, report], **PRIVATE)
    text.focus(comparing.process.wake, None, None, **QUIET)
    gr.on(
        [ask.click, text.submit, image.upload], asked, [owner, runs, text, image], answers, concurrency_limit=8,
        trigger_mode="once", **QUIET,
    )  # fmt: skip
    return CompareTab(show_job=show_job, outputs=outputs)


def _lists(found: Listed, before: list[str] | None) -> list[Any]:
    """The two lists of runs; what is chosen is left alone where it was not changed."""
    same = before is not None and found.chosen == before
    runs = gr.Dropdown(choices=found.choices) if same else gr.Dropdown(choices=found.choices, value=found.chosen)
    return [runs, gr.Dropdown(choices=found.choices)]
