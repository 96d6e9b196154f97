"""`transfer-kit compare`: transfer strategies on one's own data."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from hf_transfer_kit.commands.shown import carry_out_shown
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.options import (
    Approaches,
    Calibration,
    Choose,
    Config,
    Data,
    Debug,
    DropEmpty,
    DropRare,
    EwcStrength,
    InputColumn,
    LabelColumn,
    MaxDollars,
    OldData,
    OldInputColumn,
    OldLabelColumn,
    Orders,
    Price,
    PromptFile,
    Provider,
    ReplayRatio,
    Revision,
    Search,
    SplitSeed,
    TaskName,
    TestShare,
    Url,
    ValidationShare,
    methods_of,
    old_spec,
    train_size,
    words,
)


def compare(
    data: Data,
    model: Annotated[list[str], typer.Option("--model", help="A Hub name or a local folder; repeat it for several.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and the runs.")],
    approaches: Approaches = None,
    seeds: Annotated[int, typer.Option(help="Runs of each approach.")] = 3,
    train_sizes: Annotated[str, typer.Option(help="Labelled training examples: 64,256,1024,all.")] = "all",
    config: Config = None,
    revision: Revision = None,
    model_revision: Annotated[str | None, typer.Option(help="Revision of a single Hub model.")] = None,
    task: TaskName = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    validation_share: ValidationShare = 0.15,
    test_share: TestShare = 0.2,
    split_seed: SplitSeed = 0,
    drop_empty: DropEmpty = False,
    drop_rare: DropRare = False,
    old_data: OldData = None,
    old_input_column: OldInputColumn = None,
    old_label_column: OldLabelColumn = None,
    replay_ratio: ReplayRatio = None,
    ewc_strength: EwcStrength = None,
    shots: Annotated[int, typer.Option(help="Examples in the prompt of few_shot.")] = 16,
    prompt: PromptFile = None,
    search: Search = False,
    orders: Orders = 1,
    calibration: Calibration = "batch",
    choose: Choose = "auto",
    prompt_model: Annotated[
        list[str] | None, typer.Option("--prompt-model", help="A further model for zero_shot and few_shot alone.")
    ] = None,
    url: Url = None,
    provider: Provider = None,
    price: Price = None,
    max_dollars: MaxDollars = None,
    dollars_per_hour: Annotated[float | None, typer.Option(help="What an hour of this machine costs.")] = None,
    max_length: Annotated[int, typer.Option(help="Longest text in tokens; longer ones are cut.")] = 128,
    epochs: Annotated[int, typer.Option(help="Most passes over the training data.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Examples per optimizer step, over all processes.")] = 16,
    accumulation: Annotated[int, typer.Option(help="Micro-batches per step: less memory, same result.")] = 1,
    top_blocks: Annotated[int, typer.Option(help="Blocks that top_layers trains.")] = 2,
    blocks: Annotated[str | None, typer.Option(help="Names of the model's blocks, bottom up, if not found.")] = None,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    report_to: Annotated[str, typer.Option(help="Experiment trackers: trackio, tensorboard, wandb.")] = "",
    debug: Debug = False,
) -> None:
    """Compare transfer strategies on your data.

    Measures quality with its uncertainty and cost, and says in one sentence what to use; with --old-data also what is
    forgotten. Started again with the same --out, it does only what is missing.
    """
    from hf_transfer_kit.plan import DataSpec, ModelSpec, Training
    from hf_transfer_kit.prompt_options import PromptOptions, remote_model
    from hf_transfer_kit.study.study import Study

    spec = DataSpec(
        path=data, config=config, revision=revision, task=task, input_column=input_column, label_column=label_column,
        validation_share=validation_share, test_share=test_share, split_seed=split_seed, max_length=max_length,
        drop_empty=drop_empty, drop_rare=drop_rare,
    )  # fmt: skip
    if model_revision is not None and len(model) > 1:
        raise PlanError(f"--model-revision {model_revision} belongs to one model, but {len(model)} are given.")
    if (url or provider) and not prompt_model:
        raise PlanError("--url and --provider say where a --prompt-model answers; name it.")
    names = tuple(words(blocks)) if blocks else None
    old = old_spec(old_data, old_input_column, old_label_column, spec)
    study = Study(
        data=spec,
        models=tuple(ModelSpec(name=name, revision=model_revision, blocks=names) for name in model),
        approaches=methods_of(
            approaches, old_data=old is not None, top_blocks=top_blocks, replay_ratio=replay_ratio,
            ewc_strength=ewc_strength, 
            prompted=PromptOptions(
                prompt=prompt, search=search, orders=orders, calibration=calibration, choose=choose, shots=shots
            ),
        ),
        prompt_models=tuple(
            remote_model(name, url, provider, price, max_dollars) for name in prompt_model or ()
        ),
        old_data=old,
        training=Training(
            epochs=epochs, batch_size=batch_size, accumulation=accumulation, precision=precision,
            report_to=tuple(words(report_to)),
        ),
        seeds=seeds,
        dollars_per_hour=dollars_per_hour,
        train_sizes=tuple(train_size(word) for word in words(train_sizes)),
    )  # fmt: skip
    carry_out_shown(study, out, "transfer-kit " + shlex.join(sys.argv[1:]))
