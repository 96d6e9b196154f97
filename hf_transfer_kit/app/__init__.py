"""The app: advice, baseline, training and comparison in a browser. Importing this imports no gradio yet."""

import os
from typing import TYPE_CHECKING

from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import MissingExtraError

if TYPE_CHECKING:
    import gradio

__all__ = ["Settings", "build", "launch"]


def build(settings: Settings | None = None) -> "gradio.Blocks":
    """The app, not started.

    Raises:
        MissingExtraError: gradio is not installed.

    Example:
        >>> blocks = build(Settings(runs=Path("runs")))  # doctest: +SKIP
    """
    _import_gradio()
    from hf_transfer_kit.app.page import page

    return page(settings or Settings.from_environment())


def launch(settings: Settings | None = None, *, port: int | None = None, share: bool = False) -> None:
    """Starts the app, and goes on until Ctrl-C; see `serving.start`.

    Raises:
        MissingExtraError: gradio is not installed.
        OutputError: the port is taken, or there is no folder for the runs.
    """
    _import_gradio()
    from hf_transfer_kit.app.serving import serve

    serve(settings or Settings.from_environment(), port=port, share=share)


def _import_gradio() -> None:
    """Imports gradio with its telemetry off; it reads the setting when it is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise MissingExtraError('the app needs gradio; install it: pip install "hf-transfer-kit[app]"') from error
