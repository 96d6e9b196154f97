"""`transfer-kit baseline`: what a prompt gives, before anything is trained."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from hf_transfer_kit.commands.shown import carry_out_shown
from hf_transfer_kit.options import (
    Calibration,
    Choose,
    Config,
    Data,
    Debug,
    DropEmpty,
    DropRare,
    InputColumn,
    LabelColumn,
    MaxDollars,
    Orders,
    Price,
    PromptFile,
    Provider,
    Revision,
    Search,
    SplitSeed,
    TaskName,
    TestShare,
    Url,
    ValidationShare,
    train_size,
    words,
)


def baseline(
    data: Data,
    model: Annotated[str, typer.Option("--model", help="A Hub name or a local folder; with --url its name there.")],
    url: Url = None,
    shots: Annotated[str, typer.Option(help="Examples in the prompt; 0: none.")] = "0,4,16",
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and the runs.")] = Path(
        "transfer-kit-baseline"
    ),
    prompt: PromptFile = None,
    search: Search = False,
    orders: Orders = 1,
    calibration: Calibration = "batch",
    choose: Choose = "auto",
    provider: Provider = None,
    price: Price = None,
    max_dollars: MaxDollars = None,
    seeds: Annotated[int, typer.Option(help="Draws of the examples.")] = 1,
    train_sizes: Annotated[str, typer.Option(help="Labelled examples to draw from: 64,256,all.")] = "all",
    config: Config = None,
    revision: Revision = None,
    task: TaskName = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    validation_share: ValidationShare = 0.15,
    test_share: TestShare = 0.2,
    split_seed: SplitSeed = 0,
    max_length: Annotated[int, typer.Option(help="Longest text in tokens; longer ones are cut.")] = 128,
    drop_empty: DropEmpty = False,
    drop_rare: DropRare = False,
    debug: Debug = False,
) -> None:
    """Measure what a prompt gives, without training.

    Zero-shot, and with examples in the prompt; for models loaded here also class means (prototype). On the same split
    and in the same records as compare: to add trained approaches later, give compare the same --data and --out.
    """
    from hf_transfer_kit.plan import DataSpec, Prototype
    from hf_transfer_kit.prompt_options import PromptOptions, remote_model
    from hf_transfer_kit.study.study import Study

    options = PromptOptions(prompt=prompt, search=search, orders=orders, calibration=calibration, choose=choose)
    approaches, asked = options.with_shots(shots), remote_model(model, url, provider, price, max_dollars)
    local = asked.remote is None
    study = Study(
        data=DataSpec(
            path=data, config=config, revision=revision, task=task, input_column=input_column,
            label_column=label_column, validation_share=validation_share, test_share=test_share,
            split_seed=split_seed, max_length=max_length, drop_empty=drop_empty, drop_rare=drop_rare,
        ),
        models=(asked,) if local else (),
        prompt_models=() if local else (asked,),
        approaches=(*approaches, Prototype(prompt=None if prompt is None else str(prompt))) if local else approaches,
        seeds=seeds,
        train_sizes=tuple(train_size(word) for word in words(train_sizes)),
    )  # fmt: skip
    carry_out_shown(study, out, "transfer-kit " + shlex.join(sys.argv[1:]))
