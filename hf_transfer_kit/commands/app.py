"""`transfer-kit app`: the kit in a browser."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from hf_transfer_kit.options import Debug


def app(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Else the first free one from 7860 on.")] = None,
    share: Annotated[Literal["yes", "no"], typer.Option(help="A public link, through gradio's servers.")] = "no",
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the runs; else transfer-kit-runs.")] = None,
    debug: Debug = False,
) -> None:
    """Open the kit in a browser.

    Advice, baseline, training and comparison on this machine (127.0.0.1). Nothing is sent anywhere. With --share yes
    everybody who has the link can use it: each sees what is their own, and starts small runs on the demo data alone,
    unless TRANSFER_KIT_ALLOW_LAUNCH=1.
    """
    from hf_transfer_kit.app import Settings, launch
    from hf_transfer_kit.app.settings import ALLOW_VARIABLE
    from hf_transfer_kit.commands.shown import quiet_libraries

    quiet_libraries()
    settings = Settings.from_environment()
    if share == "yes":
        settings = replace(settings, shared=True, launching=os.environ.get(ALLOW_VARIABLE) == "1")
    launch(replace(settings, runs=out or settings.runs), port=port, share=share == "yes")
