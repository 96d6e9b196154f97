"""`transfer-kit rank`: which pre-trained model, and which layer of it, before anything is trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_transfer_kit.commands.shown import quiet_libraries
from hf_transfer_kit.errors import PlanError, TransferKitError
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

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.plan import DataSpec
    from hf_transfer_kit.transferability.result import Ranking

STAGE = "measuring"
OnProgress = Callable[[str, int, int], None]


def rank(
    data: Data,
    models: Annotated[str, typer.Option("--models", help="Hub names or local folders, with commas between them.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for ranking.json, evidence.json (with validation rows), events.jsonl."),
    ] = None,
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

    from hf_transfer_kit.data.labelled import load_data
    from hf_transfer_kit.transferability.progress import RankProgress
    from hf_transfer_kit.transferability.ranking import rank as rank_models

    with RankProgress(Console(stderr=as_json)) as progress, _also_written(progress, out) as say:
        say("reading the data", 0, 0)
        loaded = load_data(spec)
        ranking = rank_models(
            loaded, [ModelSpec(name=name) for name in names], max_rows=max_rows, max_length=max_length,
            random_copies=random_copies, seed=seed, on_progress=say,
        )  # fmt: skip
        ranking = replace(ranking, data=data)
        if out is not None:
            say("validation rows", 0, 0)
            _save(ranking, loaded, spec, out, max_rows, seed)
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


@contextmanager
def _also_written(show: OnProgress, out: Path | None) -> Iterator[OnProgress]:
    """What is shown is an event in `out`, too; what goes wrong is the last one."""
    from hf_transfer_kit.events import EventWriter

    if out is None:
        yield show
        return
    with EventWriter(out / "events.jsonl") as events:
        events.write("start", message="measuring candidates")
        stage = ""

        def say(what: str, done: int, total: int) -> None:
            nonlocal stage
            show(what, done, total)
            if what != stage:
                stage = what
                events.write("stage", stage=STAGE, message=what)
            if total:
                events.progress(STAGE, done, total)

        try:
            yield say
        except TransferKitError as error:
            events.write("error", message=str(error))
            raise
        events.write("finish", message="measured")


def _save(
    ranking: "Ranking", loaded: "LabelledData", spec: "DataSpec", out: Path, max_rows: int, seed: int
) -> None:  # fmt: skip
    from hf_transfer_kit.advisor.at_hand.measuring import evidence_on
    from hf_transfer_kit.advisor.evidence import FILE

    ranking.save(out / "ranking.json")
    evidence_on(ranking, loaded, spec, max_rows=max_rows, seed=seed).save(out / FILE)
