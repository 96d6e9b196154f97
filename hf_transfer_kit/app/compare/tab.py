"""The Compare tab: any finished runs on the same split side by side."""

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from hf_transfer_kit.app.baseline.result import verdict_card
from hf_transfer_kit.app.compare.finished_runs import (
    FinishedRun,
    chosen_runs,
    compare_runs,
    finished_runs,
    weights_hash,
)
from hf_transfer_kit.app.markup import card, note, section, table
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.reporting.report import to_html

PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def compare_tab(settings: Settings, owner: gr.BrowserState, tab: gr.Tab) -> None:
    """Lays the tab out; the list is read anew whenever the tab is opened."""
    runs = gr.Dropdown(
        label="Finished runs", info="Two or more on the same split.", choices=[], value=[], multiselect=True,
        elem_id="compare-runs",
    )  # fmt: skip
    with gr.Row():
        everything = gr.Button("All on the newest data", elem_id="compare-all")
        compare = gr.Button("Compare", variant="primary", elem_id="compare-run")
        report = gr.DownloadButton("Download the report", interactive=False, elem_id="compare-report")
    result = gr.HTML(elem_id="compare-result")

    def listed(mine: str, chosen: list[str] | None) -> Any:
        found = finished_runs(settings.runs / settings.owner_of(mine))
        ids = [run.id for run in found]
        return gr.Dropdown(choices=choices(found), value=[each for each in chosen or [] if each in ids])

    def newest(mine: str) -> Any:
        found = finished_runs(settings.runs / settings.owner_of(mine))
        return gr.Dropdown(choices=choices(found), value=on_the_split_of_the_first(found))

    def shown(mine: str, chosen: list[str] | None) -> list[Any]:
        page, file = compared(settings.runs / settings.owner_of(mine), chosen or [])
        return [page, gr.DownloadButton(value=file, interactive=file is not None)]

    tab.select(listed, [owner, runs], runs, show_progress="hidden", **PRIVATE)
    everything.click(newest, owner, runs, **PRIVATE)
    compare.click(shown, [owner, runs], [result, report], **PRIVATE)


def choices(runs: list[FinishedRun]) -> list[tuple[str, str]]:
    """(title, id) of every run, for a list; where two titles are the same, with the id."""
    titles = [run.title for run in runs]
    return [(run.title if titles.count(run.title) == 1 else f"{run.title} · {run.id}", run.id) for run in runs]


def on_the_split_of_the_first(runs: list[FinishedRun]) -> list[str]:
    """Ids of the runs that can be compared with the newest one: the newest of every setting."""
    if not runs:
        return []
    found: dict[tuple[str, ...], str] = {}
    for run in runs:
        if run.record.data.hashes == runs[0].record.data.hashes:
            plan = run.record.plan
            key = (
                str(plan.approach),
                str(plan.protection),
                str(plan.model),
                str(plan.data.train_size),
                str(plan.seed),
            )
            found.setdefault(key, run.id)
    return list(found.values())


def compared(folder: Path, ids: list[str]) -> tuple[str, str | None]:
    """What runs say about each other as HTML, and the file of the report; or why they cannot be compared."""
    try:
        runs = chosen_runs(folder, ids)
        comparison = compare_runs(runs)
    except TransferKitError as error:
        return note(str(error), "error"), None
    file = Path(tempfile.mkdtemp()) / "report.html"
    file.write_text(to_html(comparison), encoding="utf-8")
    hashes = [[run.title, _start(run), weights_hash(folder, run)] for run in runs]
    which = table(["run", "started from", "what answers"], hashes)
    return verdict_card(comparison) + card(section("Which weights", which)), str(file)


def _start(run: FinishedRun) -> str:
    model = run.record.model
    return "" if model is None or model.weights_digest is None else model.weights_digest[:12]
