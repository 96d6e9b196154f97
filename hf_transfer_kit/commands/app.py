"""`transfer-kit app`: the kit in a browser."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hf_transfer_kit.options import Debug


def app(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Else the first free one from 7860 on.")] = None,
    share: Annotated[bool, typer.Option("--share", help="A public link, through gradio's servers.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the runs; else transfer-kit-runs.")] = None,
    debug: Debug = False,
) -> None:
    """Open the kit in a browser.

    Advice, baseline, training and comparison on this machine (127.0.0.1). Nothing is sent anywhere; with --share
    everybody who has the link can use it, and sees runs of their own alone.
    """
    from hf_transfer_kit.app import Settings, launch
    from hf_transfer_kit.commands.shown import quiet_libraries

    quiet_libraries()
    settings = Settings.from_environment()
    settings = replace(settings, shared=settings.shared or share, runs=out or settings.runs)
    launch(settings, port=port, share=share)
