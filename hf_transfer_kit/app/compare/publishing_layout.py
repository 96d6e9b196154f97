"""The folded part of the Compare tab: a run's model card, and the way to the Hub."""

from typing import Any

import gradio as gr

from hf_transfer_kit.app.compare.publishing_view import Shown
from hf_transfer_kit.app.compare.showing import Comparing
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.errors import TransferKitError

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def publishing_layout(comparing: Comparing, owner: gr.BrowserState) -> gr.Dropdown:
    """Lays it out; returns the list of runs, which the tab fills."""
    with gr.Accordion("Model card and push to the Hub", open=False, elem_id="compare-publish"):
        run = gr.Dropdown(
            label="Run", choices=[], value=None, allow_custom_value=True, elem_id="compare-card-run"
        )  # fmt: skip
        download = gr.DownloadButton("Download the model card", interactive=False, elem_id="compare-card-file")
        with gr.Accordion("The model card", open=False):
            card = gr.Markdown(latex_delimiters=[], elem_id="compare-card")
        if not comparing.settings.shared:
            _push(comparing, owner, run)
    said = gr.HTML(elem_id="compare-card-said")

    def carded(mark: str, run_id: str | None) -> list[Any]:
        try:
            text, file = comparing.model_card(mark, run_id or "")
        except TransferKitError as error:
            return ["", gr.DownloadButton(value=None, interactive=False), note(str(error), "error")]
        return [text, gr.DownloadButton(value=file, interactive=True), ""]

    run.input(carded, [owner, run], [card, download, said], **QUIET)
    return run


def _push(comparing: Comparing, owner: gr.BrowserState, run: gr.Dropdown) -> None:
    with gr.Row():
        repo = gr.Textbox(
            label="Repository", placeholder="ORG/NAME", info="Made where it is not there.", elem_id="compare-repo"
        )  # fmt: skip
        private = gr.Checkbox(label="Private", value=True, elem_id="compare-private")
    with gr.Row():
        look = gr.Button("Show what would go", elem_id="compare-look")
        send = gr.Button("Send it", interactive=False, elem_id="compare-send")
    listing = gr.HTML(elem_id="compare-listing")
    shown = gr.State(None)

    def looked(mark: str, run_id: str | None, name: str, hidden: bool) -> list[Any]:
        page, found = comparing.preview(mark, run_id or "", name, hidden)
        return [page, found, gr.Button(interactive=found is not None)]

    def sent(mark: str, found: Shown | None) -> Any:
        for page in comparing.send(mark, found):
            yield [page, None, gr.Button(interactive=False)]

    def changed() -> list[Any]:
        return ["", None, gr.Button(interactive=False)]

    look.click(looked, [owner, run, repo, private], [listing, shown, send], **QUIET)
    send.click(sent, [owner, shown], [listing, shown, send], trigger_mode="once", **QUIET)
    gr.on([run.input, repo.input, private.input], changed, None, [listing, shown, send], **QUIET)
