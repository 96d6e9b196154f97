"""The app as a server: on this machine alone unless asked, without telemetry or any request to elsewhere."""

import importlib.util
from pathlib import Path
from typing import Any

import gradio as gr

from hf_transfer_kit.app.page import page
from hf_transfer_kit.app.settings import Settings

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


def serve(settings: Settings, *, port: int | None = None, share: bool = False, **more: Any) -> gr.Blocks:
    """Starts the app and returns it; blocks until it ends, unless `prevent_thread_lock=True` is given.

    Args:
        port: None: the first free one from 7860 on.
        share: a public link through gradio's own servers.
        more: further options of `gr.Blocks.launch`.

    Raises:
        OSError: the port is taken.
    """
    blocks = page(settings).queue(default_concurrency_limit=8, max_size=WAITING)
    blocks.launch(server_port=port, share=share, **(launch_options(settings) | more))
    return blocks
