"""What the commands share: quiet libraries, and a study carried out before people's eyes."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hf_transfer_kit.study.study import Study


def carry_out_shown(study: "Study", out: Path, command: str) -> None:
    """Carries out a study with progress, then prints its report and where it lies; exit code 1 where runs failed.

    Others may follow it in `out`/events.jsonl. SIGTERM ends it as Ctrl-C does: what is finished is kept.
    """
    from rich.console import Console

    from hf_transfer_kit.reporting.report import to_terminal
    from hf_transfer_kit.study.progress import StudyProgress
    from hf_transfer_kit.study.study import carry_out
    from hf_transfer_kit.study.study_events import StudyEvents
    from hf_transfer_kit.termination import ends_on_sigterm

    quiet_libraries()
    console = Console()
    with ends_on_sigterm(), StudyProgress(console) as progress, StudyEvents(out, progress) as watcher:
        comparison = carry_out(study, out, watcher, command)
    console.print()
    console.print(to_terminal(comparison))
    typer.echo(f"\nReport: {out / 'report.html'}  (also report.md, comparison.json)")
    if failed := [failure.run for failure in comparison.failures]:
        logs = out / "runs" / (failed[0] if len(failed) == 1 else "*") / "log.txt"
        runs = "1 run" if len(failed) == 1 else f"{len(failed)} runs"
        typer.echo(f"transfer-kit: {runs} failed, see {logs}; the same command tries again.", err=True)
        raise typer.Exit(1)


def quiet_libraries() -> None:
    """Bars, advice and warnings of the libraries would break up what is said here; of a run, log.txt has them."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
