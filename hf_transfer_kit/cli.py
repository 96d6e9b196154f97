"""The terminal: `transfer-kit demo | compare | baseline | check | predict | run`.

Options in, one call into the kit, a printed result out. Errors a person can mend are one line and exit code 2.
"""

import shlex
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from hf_transfer_kit.commands.advise import advise
from hf_transfer_kit.commands.app import app as app_command
from hf_transfer_kit.commands.baseline import baseline
from hf_transfer_kit.commands.compare import compare
from hf_transfer_kit.commands.jobs import jobs
from hf_transfer_kit.commands.launching import HF_JOBS, JOB, check_place, run_on_hub, start_job
from hf_transfer_kit.commands.publish import card, push
from hf_transfer_kit.commands.rank import rank
from hf_transfer_kit.commands.shown import carry_out_shown, quiet_libraries
from hf_transfer_kit.errors import TransferKitError
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
)

app = typer.Typer(
    help="From a labelled data set to a measured comparison of transfer strategies.", no_args_is_help=True,
    pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False,
)  # fmt: skip

app.command()(advise)
app.command()(compare)
app.command()(baseline)
app.command()(rank)
app.command()(card)
app.command()(push)
app.add_typer(jobs, name="jobs")
app.command("app")(app_command)

INTERRUPTED = 130  # exit code that typer gives to Ctrl-C


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("transfer-kit-demo"),
    debug: Debug = False,
) -> None:
    """Compare on data inside the package.

    Takes about four minutes on two processor cores and needs no network.
    """
    from hf_transfer_kit.demo import demo_study, next_command

    carry_out_shown(demo_study(), out, "transfer-kit " + shlex.join(sys.argv[1:]))
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
    from rich.console import Console

    from hf_transfer_kit.checking.checks import check_data
    from hf_transfer_kit.data.labelled import load_data
    from hf_transfer_kit.plan import DataSpec
    from hf_transfer_kit.study.progress import StudyProgress

    spec = DataSpec(
        path=data, config=config, revision=revision, task=task, input_column=input_column, label_column=label_column,
        validation_share=validation_share, test_share=test_share, split_seed=split_seed, drop_empty=drop_empty,
        drop_rare=drop_rare,
    )  # fmt: skip
    quiet_libraries()
    console = Console()
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

    quiet_libraries()
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
    pilot: Annotated[bool, typer.Option("--pilot", help="Only say what the run will take, from 20 steps.")] = False,
    dollars_per_hour: Annotated[float | None, typer.Option(min=0, help="Price of the machine; with --pilot.")] = None,
    on: Annotated[str, typer.Option(help="here, job (in the background; transfer-kit jobs), or hf-jobs.")] = "here",
    processes: Annotated[int, typer.Option(help="That share the work; with --on job.")] = 1,
    gpu: Annotated[bool, typer.Option("--gpu", help="One GPU for each process; with --on job.")] = False,
    flavor: Annotated[str, typer.Option(help="Of the machine; with --on hf-jobs.")] = "t4-small",
    timeout: Annotated[str, typer.Option(help="After which the job is ended; with --on hf-jobs.")] = "2h",
    repo: Annotated[str | None, typer.Option(help="ORG/NAME for the result; with --on hf-jobs.")] = None,
    debug: Debug = False,
) -> None:
    """Carry out one plan, a YAML file.

    The same as python -m hf_transfer_kit.run. With --pilot, a few steps in a temporary folder tell how long the whole
    takes, what it costs and how much memory it needs.
    """
    from hf_transfer_kit.plan import TransferPlan

    check_place(on)
    whole = TransferPlan.load(plan)  # a wrong plan is said before what takes seconds to import
    if on == JOB:
        return start_job(whole, processes, gpu)
    if on == HF_JOBS:
        return run_on_hub(whole, out or Path("runs") / plan.stem, flavor=flavor, timeout=timeout, repo=repo)
    if pilot:
        quiet_libraries()
        from hf_transfer_kit.memory.pilot import pilot as forecast_of

        typer.echo(f"{forecast_of(whole, dollars_per_hour=dollars_per_hour)}, if validation does not stop it earlier.")
        return
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


if __name__ == "__main__":
    main()
