"""How the parts of the page listen, and what a browser keeps of them."""

from typing import Any

import gradio as gr

PRIVATE: dict[str, Any] = {"api_visibility": "private"}  # gradio publishes every listener that says nothing else
QUICK: dict[str, Any] = PRIVATE | {"show_progress": "hidden"}
SECRET = "hf-transfer-kit"  # not secret: it lets a browser read what it kept after the server was started again


def kept_in_browser(key: str, value: Any) -> gr.BrowserState:
    """What survives a reload, and the end of the server; `value` at first."""
    return gr.BrowserState(value, storage_key=f"tk-{key}", secret=SECRET)
