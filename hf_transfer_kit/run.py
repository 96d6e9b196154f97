"""Plan in, run folder out: the one door through which every run goes.

    python -m hf_transfer_kit.run plan.yaml --out runs/mine
    torchrun --nproc_per_node 2 -m hf_transfer_kit.run plan.yaml --out runs/mine

The folder holds plan.yaml, events.jsonl (progress), log.txt (what the libraries print), record.json (what was
measured), scores.safetensors (logits of every test and validation item) and model/ (loads again; its README.md is the
model card). A folder with a record is finished and is left as it is; one without continues from its last checkpoint.
"""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from hf_transfer_kit.approaches import FITS, Job, Outcome
from hf_transfer_kit.approaches.loop import remove_checkpoints
from hf_transfer_kit.approaches.old_task import STAGE, know_old_task
from hf_transfer_kit.approaches.prediction_cost import TOGETHER, billed_thousand, cost_of_thousand
from hf_transfer_kit.data.labelled import load_data, subset_rows
from hf_transfer_kit.data.old import load_with_old
from hf_transfer_kit.data.old_text import OldTextData, check_old_text_use
from hf_transfer_kit.errors import OutputError, ResourceError, TransferKitError
from hf_transfer_kit.events import EventWriter, seconds_spent
from hf_transfer_kit.machine import has_gpu, library_versions, this_machine
from hf_transfer_kit.measure import milliseconds_each
from hf_transfer_kit.metrics import accuracy, fit_temperature
from hf_transfer_kit.models import identity
from hf_transfer_kit.plan import CONTROLS, PROMPTED, TRAINED, Scratch, TransferPlan
from hf_transfer_kit.records import Cost, DataIdentity, ModelIdentity, RunRecord
from hf_transfer_kit.reporting.model_card import model_card
from hf_transfer_kit.saved_model import CARD_FILE, model_files, weights_hash
from hf_transfer_kit.scoring import item_scores, old_skill, old_text_skill, save_scores
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.termination import EXIT_CODE, Terminated, ends_on_sigterm
from hf_transfer_kit.values import write_text_atomically

PLAN_FILE, EVENTS_FILE, LOG_FILE, RECORD_FILE = "plan.yaml", "events.jsonl", "log.txt", "record.json"
SCORES_FILE, MODEL_FOLDER, CHECKPOINTS_FOLDER = "scores.safetensors", "model", "checkpoints"
LONGEST_WAIT = timedelta(days=7)  # of one process for another that works alone; the default is half an hour


def run(plan: TransferPlan, folder: Path) -> RunRecord:
    """Carries out `plan` in `folder` and returns its record; a finished run is only read.

    Started by torchrun or `accelerate launch`, every process calls this; the first one writes. Approaches that train
    nothing need one process, and the others wait for it.

    Raises:
        OutputError: `folder` holds a run of another plan, or cannot be written.
        ResourceError: memory or disk ran out.
        TransferKitError: the data, the model or the plan cannot be used; the message is also an "error" event.
    """
    from accelerate import PartialState

    state = PartialState(cpu=not has_gpu(), timeout=LONGEST_WAIT)
    check_folder(plan, folder)
    if (folder / RECORD_FILE).exists():
        return RunRecord.load(folder / RECORD_FILE)
    if state.is_main_process:
        plan.save(folder / PLAN_FILE)
    spent_before = seconds_spent(folder / EVENTS_FILE, without=STAGE)
    with EventWriter(folder / EVENTS_FILE if state.is_main_process else Path(os.devnull)) as events:
        events.write("start", message=f"{plan.approach.name}, seed {plan.seed}")
        try:
            if state.is_main_process or isinstance(plan.approach, TRAINED) or _learns_first(plan):
                _run(plan, folder, events, spent_before, is_main=state.is_main_process)
            state.wait_for_everyone()
        except KeyboardInterrupt:
            events.write("error", message="interrupted; start the same command again to continue")
            raise
        except Exception as error:
            shortage = _shortage(error)
            events.write("error", message=str(shortage or error) or type(error).__name__)
            if shortage is not None:
                raise shortage from error
            raise
        record = RunRecord.load(folder / RECORD_FILE)
        reached = accuracy(record.test.labels, record.test.predictions)
        events.write("finish", message=f"test accuracy {reached:.3f}", accuracy=reached)
    return record


def check_folder(plan: TransferPlan, folder: Path) -> None:
    """Makes sure that `folder` is there and can be written, and holds no run of another plan; raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be written: {error.strerror}; choose another --out.") from error
    if (folder / PLAN_FILE).exists() and not plan.repeats(TransferPlan.load(folder / PLAN_FILE)):
        raise OutputError(f"folder '{folder}' holds a run of another plan; choose another --out, or delete it.")


def _run(plan: TransferPlan, folder: Path, events: EventWriter, spent_before: float, *, is_main: bool) -> None:
    """Load, fit, score; the main process leaves the record, last of all files."""
    started = datetime.now(UTC)
    events.write("stage", stage="loading", message=f"loading {plan.data.path}")
    job = _job(plan, folder, events)
    if not is_main and not isinstance(plan.approach, TRAINED):
        return
    data, outcome = job.data, FITS[type(plan.approach)].fit(job)
    if not is_main:
        return
    events.write("stage", stage="scoring", message="timing predictions")
    temperature, validation_accuracy = 1.0, None
    if outcome.validation_logits is not None:
        temperature = fit_temperature(outcome.validation_logits, job.labels("validation"))
        validation_accuracy = accuracy(job.labels("validation"), outcome.validation_logits.argmax(axis=1))
    record = RunRecord(
        plan=plan,
        task=data.task,
        label_names=data.label_names,
        model=_model_identity(plan),
        data=DataIdentity(
            hashes=dict(data.hashes),
            rows={part: len(job.rows(part)) for part in ("train", "validation", "test")},
            labels=outcome.labels,
        ),
        test=item_scores(outcome.test_logits, job.labels("test"), temperature, outcome.unreadable),
        validation_accuracy=validation_accuracy,
        temperature=temperature,
        cost=_cost(job, outcome, 0.0 if outcome.cached else spent_before),
        details=outcome.details | ({"old_task": job.old.details} if job.old is not None else {}),
        versions=library_versions(),
        machine=this_machine(),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        old=old_skill(job.old, outcome.predictor, plan.approach) if job.old is not None else None,
        old_text=old_text_skill(job, outcome.predictor) if job.old_text is not None else None,
    )
    save_scores(folder / SCORES_FILE, outcome)
    card = model_card(record, weights=weights_hash(folder / MODEL_FOLDER))
    write_text_atomically(folder / MODEL_FOLDER / CARD_FILE, card)
    record.save(folder / RECORD_FILE)
    remove_checkpoints(folder / CHECKPOINTS_FOLDER)


def _learns_first(plan: TransferPlan) -> bool:
    """Whether there is old data that a model learns before it starts."""
    return plan.old_data is not None and not isinstance(plan.approach, (*CONTROLS, *PROMPTED, Scratch))


def _job(plan: TransferPlan, folder: Path, events: EventWriter) -> Job:
    """The data loaded, and the old data learned where the approach starts from a model that knows it."""
    data, old = (load_data(plan.data), None) if plan.old_data is None else load_with_old(plan.data, plan.old_data)
    rows = subset_rows(data, plan.data.train_size, plan.seed)
    job = Job(
        plan=plan, task=get_task(data.task), data=data, train_rows=rows["train"], validation_rows=rows["validation"],
        folder=folder, events=events,
    )  # fmt: skip
    if isinstance(old, OldTextData):
        check_old_text_use(old, data.task, plan.approach, plan.protection)
        return replace(job, old_text=old)
    return replace(job, old=know_old_task(job, old)) if old is not None and _learns_first(plan) else job


def _shortage(error: Exception) -> ResourceError | None:
    """The one line for an error that means that memory or disk ran out; None for any other."""
    import torch

    text = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return ResourceError(
            "memory ran out; lower training.batch_size, raise training.accumulation, or choose a smaller model."
        )
    if getattr(error, "errno", None) == errno.ENOSPC or "no space left" in text:
        return ResourceError("the disk is full; make room, and start the same command again to continue.")
    return None


def _cost(job: Job, outcome: Outcome, spent_before: float) -> Cost:
    inputs = list(job.data.test.select(range(min(TOGETHER, len(job.data.test))))["input"])
    thousand = (
        cost_of_thousand(outcome.predictor, inputs)
        if outcome.remote is None
        else billed_thousand(outcome.remote, len(job.data.test))
    )
    files = model_files(job.folder / MODEL_FOLDER)
    return Cost(
        train_seconds=outcome.train_seconds + spent_before,
        train_cpu_seconds=outcome.train_cpu_seconds,
        train_flops=outcome.train_flops,
        peak_memory_mib=outcome.peak_memory_mib,
        trainable_parameters=outcome.trainable_parameters,
        total_parameters=outcome.total_parameters,
        disk_mib=sum(file.stat().st_size for file in files) / 2**20,
        ms_per_prediction=thousand.seconds if outcome.remote else milliseconds_each(outcome.predictor.logits, inputs),
        cached=outcome.cached,
        train_dollars=outcome.train_dollars,
        thousand=thousand,
    )


def _model_identity(plan: TransferPlan) -> ModelIdentity | None:
    if plan.model is None:
        return None
    found = identity(plan.model)
    return replace(found, weights_digest="random start") if isinstance(plan.approach, Scratch) else found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m hf_transfer_kit.run`; returns its exit code: 0, 2 (an error of the kit), 130 (Ctrl-C),
    143 (SIGTERM, after a checkpoint where it trains).

    Only the main process prints; what the libraries print goes to log.txt in the run's folder.
    """
    parser = argparse.ArgumentParser(prog="python -m hf_transfer_kit.run")
    parser.add_argument("plan", type=Path, help="a plan file (YAML)")
    parser.add_argument("--out", type=Path, help="folder of the run; default: runs/NAME_OF_THE_PLAN")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options, is_main = parser.parse_args(arguments), os.environ.get("RANK", "0") == "0"
    folder = options.out or Path("runs") / options.plan.stem
    try:
        plan = TransferPlan.load(options.plan)
        check_folder(plan, folder)
        with ends_on_sigterm(), _output_to(folder / LOG_FILE) as terminal:
            _run_shown(plan, folder, terminal if is_main else None)
    except TransferKitError as error:
        if is_main and options.debug:
            traceback.print_exc()
        elif is_main:
            sys.stderr.write(f"transfer-kit: {error}\n")
        return 2
    except KeyboardInterrupt as interruption:
        if is_main:
            sys.stderr.write("transfer-kit: interrupted; the same command continues where it stopped.\n")
        return EXIT_CODE if isinstance(interruption, Terminated) else 130
    if is_main:
        sys.stdout.write(f"{folder / RECORD_FILE}\n")
    return 0


def _run_shown(plan: TransferPlan, folder: Path, terminal: TextIO | None) -> None:
    """Carries out `plan` with its progress on `terminal`, if any; an error's traceback goes to the log."""
    from accelerate import PartialState
    from rich.console import Console

    from hf_transfer_kit.progress import RunProgress

    try:
        with RunProgress(folder / EVENTS_FILE, Console(file=terminal)) if terminal is not None else nullcontext():
            run(plan, folder)
    except BaseException:
        traceback.print_exc()
        raise
    PartialState().destroy_process_group()


@contextmanager
def _output_to(log: Path) -> Iterator[TextIO]:
    """Sends everything written to stdout and stderr, also by C code, to `log`; yields the terminal that stdout was."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    try:
        with (
            open(log, "a", encoding="utf-8", buffering=1) as file,
            open(saved[0], "w", encoding="utf-8", closefd=False) as terminal,
            redirect_stdout(file),
            redirect_stderr(file),
        ):
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield terminal
    finally:
        for descriptor, target in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
