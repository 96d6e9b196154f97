"""The terminal: `transfer-kit demo | compare | check | predict | run`.

Options in, one call into the kit, a printed result out. Errors a person can mend are one line and exit code 2.
"""

import os
import shlex
import sys
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_transfer_kit.errors import PlanError, TransferKitError
from hf_transfer_kit.options import (
    Approaches,
    Config,
    Data,
    Debug,
    DropEmpty,
    DropRare,
    EwcStrength,
    InputColumn,
    LabelColumn,
    OldData,
    OldInputColumn,
    OldLabelColumn,
    ReplayRatio,
    Revision,
    SplitSeed,
    TaskName,
    TestShare,
    ValidationShare,
    methods_of,
    old_spec,
    train_size,
    words,
)

if TYPE_CHECKING:
    from rich.console import Console

    from hf_transfer_kit.study.study import Study

app = typer.Typer(
    help="From a labelled data set to a measured comparison of transfer strategies.", no_args_is_help=True,
    pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False,
)  # fmt: skip

INTERRUPTED = 130  # exit code that typer gives to Ctrl-C


@app.command()
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
    from hf_transfer_kit.study.study import Study

    spec = DataSpec(
        path=data, config=config, revision=revision, task=task, input_column=input_column, label_column=label_column,
        validation_share=validation_share, test_share=test_share, split_seed=split_seed, max_length=max_length,
        drop_empty=drop_empty, drop_rare=drop_rare,
    )  # fmt: skip
    if model_revision is not None and len(model) > 1:
        raise PlanError(f"--model-revision {model_revision} belongs to one model, but {len(model)} are given.")
    names = tuple(words(blocks)) if blocks else None
    old = old_spec(old_data, old_input_column, old_label_column, spec)
    study = Study(
        data=spec,
        models=tuple(ModelSpec(name=name, revision=model_revision, blocks=names) for name in model),
        approaches=methods_of(
            approaches, old_data=old is not None, top_blocks=top_blocks, replay_ratio=replay_ratio,
            ewc_strength=ewc_strength,
        ),
        old_data=old,
        training=Training(
            epochs=epochs, batch_size=batch_size, accumulation=accumulation, precision=precision,
            report_to=tuple(words(report_to)),
        ),
        seeds=seeds,
        train_sizes=tuple(train_size(word) for word in words(train_sizes)),
    )  # fmt: skip
    _carry_out(study, out, "transfer-kit " + shlex.join(sys.argv[1:]))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("transfer-kit-demo"),
    debug: Debug = False,
) -> None:
    """Compare on data inside the package.

    Takes two to four minutes on two processor cores and needs no network.
    """
    from hf_transfer_kit.demo import demo_study, next_command

    _carry_out(demo_study(), out, "transfer-kit " + shlex.join(sys.argv[1:]))
    typer.echo(f"\n{next_command(out)}")


@app.command()
def check(
    data: Data,
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
    debug: Debug = False,
) -> None:
    """Look for flaws in a data set.

    Copies between the parts, duplicates, contradicting labels, imbalance: what makes scores mean less than they seem.
    """
    from hf_transfer_kit.checking.checks import check_data
    from hf_transfer_kit.data.labelled import load_data
    from hf_transfer_kit.plan import DataSpec
    from hf_transfer_kit.study.progress import StudyProgress

    spec = DataSpec(
        path=data, config=config, revision=revision, task=task, input_column=input_column, label_column=label_column,
        validation_share=validation_share, test_share=test_share, split_seed=split_seed, drop_empty=drop_empty,
        drop_rare=drop_rare,
    )  # fmt: skip
    _quiet_libraries()
    console = _console()
    with StudyProgress(console) as progress:
        progress.preparing("reading the data")
        rows = load_data(spec)
        report = check_data(rows, lambda done, total: progress.preparing("looking for copies", done, total))
        progress.data_loaded(rows.notes, report)


@app.command()
def predict(
    run_folder: Annotated[Path, typer.Argument(help="A comparison's folder (its choice answers), or a run's.")],
    inputs: Annotated[list[str], typer.Argument(help="Texts, .txt files (one a line), images or folders of them.")],
    top: Annotated[int, typer.Option(help="How many labels to show.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per input, with all probabilities.")] = False,
    debug: Debug = False,
) -> None:
    """Answer new inputs with the model of a finished run."""
    import json
    from dataclasses import asdict

    _quiet_libraries()
    from hf_transfer_kit.prediction import answering_run
    from hf_transfer_kit.prediction import predict as answer

    answering = answering_run(run_folder)
    if answering != run_folder:
        typer.echo(f"answered by {answering}", err=True)
    for prediction in answer(answering, inputs):
        if as_json:
            typer.echo(json.dumps(asdict(prediction), ensure_ascii=False))
        else:
            best = list(prediction.probabilities.items())[:top]
            typer.echo(f"{prediction.shown}\n  " + ", ".join(f"{name} {value:.3f}" for name, value in best))


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="A plan file (YAML).")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run; else runs/PLAN.")] = None,
    debug: Debug = False,
) -> None:
    """Carry out one plan, a YAML file.

    The same as python -m hf_transfer_kit.run.
    """
    from hf_transfer_kit.plan import TransferPlan

    TransferPlan.load(plan)  # a wrong plan is said before what takes seconds to import
    from hf_transfer_kit.run import main as run_main

    arguments = [str(plan), *(["--out", str(out)] if out else []), *(["--debug"] if debug else [])]
    raise typer.Exit(run_main(arguments))


@app.command("version")
def show_version() -> None:
    """Print the version."""
    typer.echo(version("hf-transfer-kit"))


def main() -> None:
    """The console command: what a person can mend is one line on stderr and exit code 2."""
    try:
        app()
    except TransferKitError as error:
        _refuse(error, str(error))
    except OSError as error:
        _refuse(error, f"{error.filename or 'the output'}: {error.strerror or error}")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo(
                "transfer-kit: interrupted; what is finished is kept, the same command does the rest.", err=True
            )
        raise


def _refuse(error: Exception, message: str) -> None:
    """Ends the process; --debug shows where the error comes from."""
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    typer.echo(f"transfer-kit: {message}", err=True)
    sys.exit(2)


def _carry_out(study: "Study", out: Path, command: str) -> None:
    """Carries out a study with progress, then prints its report and where it lies; exit code 1 where runs failed."""
    from hf_transfer_kit.reporting.report import to_terminal
    from hf_transfer_kit.study.progress import StudyProgress
    from hf_transfer_kit.study.study import carry_out

    _quiet_libraries()
    console = _console()
    with StudyProgress(console) as progress:
        comparison = carry_out(study, out, progress, command)
    console.print()
    console.print(to_terminal(comparison))
    typer.echo(f"\nReport: {out / 'report.html'}  (also report.md, comparison.json)")
    if failed := [failure.run for failure in comparison.failures]:
        logs = out / "runs" / (failed[0] if len(failed) == 1 else "*") / "log.txt"
        runs = "1 run" if len(failed) == 1 else f"{len(failed)} runs"
        typer.echo(f"transfer-kit: {runs} failed, see {logs}; the same command tries again.", err=True)
        raise typer.Exit(1)


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _quiet_libraries() -> None:
    """Bars, advice and warnings of the libraries would break up what is said here; of a run, log.txt has them."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


if __name__ == "__main__":
    main()
