"""`transfer-kit rank`: which pre-trained model, and which layer of it, before anything is trained."""

from pathlib import Path
from typing import Annotated

import typer

from hf_transfer_kit.commands.shown import quiet_libraries
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.options import (
    Config,
    Data,
    Debug,
    DropEmpty,
    DropRare,
    InputColumn,
    LabelColumn,
    Revision,
    SplitSeed,
    TaskName,
    TestShare,
    ValidationShare,
    words,
)


def rank(
    data: Data,
    models: Annotated[str, typer.Option("--models", help="Hub names or local folders, with commas between them.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for ranking.json.")] = None,
    max_rows: Annotated[int, typer.Option(help="Most training rows to look at.")] = 1000,
    random_copies: Annotated[
        bool, typer.Option(help="Measure each model with random weights too, which doubles the time.")
    ] = True,
    against: Annotated[
        str | None, typer.Option("--against", help="Other data, as --data, labels or not: are its inputs like these?")
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Show every layer's scores.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking as JSON.")] = False,
    seed: Annotated[int, typer.Option(help="Of the draws of rows and of the random weights.")] = 0,
    config: Config = None,
    revision: Revision = None,
    task: TaskName = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    validation_share: ValidationShare = 0.15,
    test_share: TestShare = 0.2,
    split_seed: SplitSeed = 0,
    drop_empty: DropEmpty = False,
    drop_rare: DropRare = False,
    max_length: Annotated[int, typer.Option(help="Longest text in tokens; longer ones are cut.")] = 128,
    debug: Debug = False,
) -> None:
    """Rank pre-trained models on your data, before training.

    Passes the training rows once through each frozen model, measures every layer, and says which models are level,
    which is the cheapest of those, and which are no better than none. Test labels are not read.
    """
    from hf_transfer_kit.plan import DataSpec, ModelSpec

    names = words(models)
    if not names:
        raise PlanError("--models names no model; give one or more, --models A,B.")
    spec = DataSpec(
        path=data, config=config, revision=revision, task=task, input_column=input_column, label_column=label_column,
        validation_share=validation_share, test_share=test_share, split_seed=split_seed, max_length=max_length,
        drop_empty=drop_empty, drop_rare=drop_rare,
    )  # fmt: skip
    quiet_libraries()
    from rich.console import Console

    from hf_transfer_kit.transferability.progress import RankProgress
    from hf_transfer_kit.transferability.ranking import rank as rank_models

    with RankProgress(Console(stderr=as_json)) as progress:
        ranking = rank_models(
            spec, [ModelSpec(name=name) for name in names], max_rows=max_rows, random_copies=random_copies, seed=seed,
            on_progress=progress,
        )  # fmt: skip
    if out is not None:
        ranking.save(out / "ranking.json")
    if as_json:
        import json

        typer.echo(json.dumps(ranking.to_mapping(), ensure_ascii=False))
    else:
        from hf_transfer_kit.transferability.view import ranking_to_terminal

        Console().print(ranking_to_terminal(ranking, details))
    if against is not None:
        from hf_transfer_kit.transferability.shift import measure_shift

        best = ranking.first_choice
        shift = measure_shift(
            spec, DataSpec(path=against), ModelSpec(name=best.model.name), best.layer, max_rows=max_rows, seed=seed
        )
        typer.echo(shift.sentence, err=as_json)
    if ranking.failures:
        raise typer.Exit(1)
