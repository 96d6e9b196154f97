"""The app as a server: on this machine alone unless asked, without telemetry or any request to elsewhere."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
import typer

from hf_transfer_kit.app.page import TITLE, page
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import OutputError

FONTS = ("ui-sans-serif", "system-ui", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")
WAITING = 64  # events that may wait for their turn


def launch_options(settings: Settings) -> dict[str, Any]:
    """What `gr.Blocks.launch` is called with."""
    theme = gr.themes.Default(primary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=MONO)
    return {
        "theme": theme, "css_paths": Path(__file__).with_name("look.css"),
        "max_file_size": f"{settings.max_upload_mb}mb",
        "run_history": False, "ssr_mode": False, "enable_monitoring": False, "footer_links": ["api", "settings"],
        "mcp_server": importlib.util.find_spec("mcp") is not None,
    }  # fmt: skip


def start(settings: Settings, *, port: int | None = None, share: bool = False) -> gr.Blocks:
    """The app, started; ends with this process.

    Args:
        port: None: the first free one from 7860 on.
        share: a public link through gradio's own servers.

    Raises:
        OutputError: the port is taken, or there is no folder for the runs.
    """
    _make_folder(settings.runs)
    blocks = page(settings).queue(default_concurrency_limit=8, max_size=WAITING)
    try:
        blocks.launch(
            server_port=port, share=share, quiet=True, prevent_thread_lock=True, **launch_options(settings)
        )  # fmt: skip
    except OSError as error:
        raise OutputError(f"port {port or '7860 and the hundred after it'} is taken; give another: --port.") from error
    return blocks


def serve(settings: Settings, *, port: int | None = None, share: bool = False) -> None:
    """Starts the app, says where it is, and goes on until Ctrl-C; raises as `start`."""
    blocks = start(settings, port=port, share=share)
    address = blocks.share_url or blocks.local_url
    typer.echo(f"{TITLE} is at {address}  (Ctrl-C ends the page; what it started goes on)\nruns: {settings.runs}")
    blocks.block_thread()


def _make_folder(runs: Path) -> None:
    try:
        runs.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=runs).close()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"folder '{runs}' of the runs cannot be written ({reason}); choose another: --out."
        ) from error
