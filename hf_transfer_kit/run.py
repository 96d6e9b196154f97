"""Plan in, run folder out: the one door through which every run goes.

    python -m hf_transfer_kit.run plan.yaml --out runs/mine
    accelerate launch --num_processes 2 -m hf_transfer_kit.run plan.yaml --out runs/mine

The folder holds plan.yaml, events.jsonl (progress), log.txt (what the libraries print), record.json (what was measured),
scores.safetensors (logits of every test and validation item) and model/ (loads again). A folder with a record is finished and
is left as it is; one without continues from its last checkpoint.
"""

import platform
import sys
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.approaches import FITS, Job, Outcome
from hf_transfer_kit.data import LabelledData, load_data, subset_rows
from hf_transfer_kit.errors import OutputError, TransferKitError
from hf_transfer_kit.events import EventWriter, seconds_spent
from hf_transfer_kit.measure import milliseconds_each
from hf_transfer_kit.metrics import accuracy, apply_temperature, fit_temperature, log_softmax
from hf_transfer_kit.models import identity
from hf_transfer_kit.plan import CONTROLS, Features, Scratch, TransferPlan
from hf_transfer_kit.records import Cost, DataIdentity, ItemScores, ModelIdentity, RunRecord
from hf_transfer_kit.tasks import get_task

PLAN_FILE, EVENTS_FILE, LOG_FILE, RECORD_FILE = "plan.yaml", "events.jsonl", "log.txt", "record.json"
SCORES_FILE, MODEL_FOLDER = "scores.safetensors", "model"
LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "datasets", "accelerate", "peft", "scikit-learn", "numpy")


def run(plan: TransferPlan, folder: Path) -> RunRecord:
    """Carries out `plan` in `folder` and returns its record; a finished run is only read.

    Under `accelerate launch` every process calls this; the first one writes. Approaches that train nothing need one process,
    and the others wait for it.

    Raises:
        OutputError: `folder` holds a run of another plan.
        TransferKitError: the data, the model or the plan cannot be used; the message is also an "error" event.
    """
    from accelerate import PartialState

    state = PartialState(cpu=not _has_gpu())
    if (folder / PLAN_FILE).exists() and TransferPlan.load(folder / PLAN_FILE) != plan:
        raise OutputError(f"folder '{folder}' holds a run of another plan; choose another --out, or delete it.")
    if (folder / RECORD_FILE).exists():
        return RunRecord.load(folder / RECORD_FILE)
    if state.is_main_process:
        plan.save(folder / PLAN_FILE)
    spent_before = seconds_spent(folder / EVENTS_FILE)
    path = folder / EVENTS_FILE if state.is_main_process else Path("/dev/null")
    trains = not isinstance(plan.approach, (*CONTROLS, Features))
    with EventWriter(path) as events:
        events.write("start", message=f"{plan.approach.name}, seed {plan.seed}")
        try:
            record = _run(plan, folder, events, spent_before) if trains or state.is_main_process else None
            state.wait_for_everyone()
        except TransferKitError as error:
            events.write("error", message=str(error))
            raise
        except KeyboardInterrupt:
            events.write("error", message="interrupted; start the same command again to continue")
            raise
        if state.is_main_process and record is not None:
            record.save(folder / RECORD_FILE)
            events.write("finish", message=f"test accuracy {_test_accuracy(record):.3f}", accuracy=_test_accuracy(record))
    return record or RunRecord.load(folder / RECORD_FILE)


def _run(plan: TransferPlan, folder: Path, events: EventWriter, spent_before: float) -> RunRecord:
    """Load, fit, score; no file but the model and the scores is written here."""
    started = datetime.now(UTC)
    events.write("stage", stage="loading", message=f"loading {plan.data.path}")
    data = load_data(plan.data)
    rows = subset_rows(data, plan.data.train_size, plan.seed)
    job = Job(
        plan=plan, task=get_task(data.task), data=data, train_rows=rows["train"], validation_rows=rows["validation"],
        folder=folder, events=events,
    )  # fmt: skip
    outcome = FITS[type(plan.approach)].fit(job)
    events.write("stage", stage="scoring", message="timing predictions")
    cost = _cost(job, outcome, spent_before if spent_before and not outcome.cached else 0.0)
    temperature = fit_temperature(outcome.validation_logits, job.labels("validation"))
    _save_scores(folder, outcome)
    return RunRecord(
        plan=plan,
        task=data.task,
        label_names=data.label_names,
        model=_model_identity(plan),
        data=DataIdentity(hashes=dict(data.hashes), rows={part: len(job.rows(part)) for part in ("train", "validation", "test")}),
        test=item_scores(outcome.test_logits, job.labels("test"), temperature),
        validation_accuracy=accuracy(job.labels("validation"), outcome.validation_logits.argmax(axis=1)),
        temperature=temperature,
        cost=cost,
        details=outcome.details,
        versions={"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES},
        machine=_machine(),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def item_scores(logits: np.ndarray, labels: np.ndarray, temperature: float) -> ItemScores:
    """The answers in `logits` (rows, classes), as a record keeps them; six digits are enough to compare runs."""
    plain, calibrated = log_softmax(logits), apply_temperature(logits, temperature)
    predictions, rows = plain.argmax(axis=1), np.arange(len(labels))
    return ItemScores(
        labels=tuple(labels.tolist()),
        predictions=tuple(predictions.tolist()),
        confidence=_digits(np.exp(plain[rows, predictions])),
        calibrated_confidence=_digits(np.exp(calibrated[rows, predictions])),
        log_likelihood=_digits(calibrated[rows, labels]),
    )


def _digits(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)


def _cost(job: Job, outcome: Outcome, spent_before: float) -> Cost:
    inputs = job.data.test.select(range(min(20, len(job.data.test))))["input"]
    files = [file for file in (job.folder / MODEL_FOLDER).rglob("*") if file.is_file()]
    return Cost(
        train_seconds=outcome.train_seconds + spent_before,
        train_cpu_seconds=outcome.train_cpu_seconds,
        train_flops=outcome.train_flops,
        peak_memory_mib=outcome.peak_memory_mib,
        trainable_parameters=outcome.trainable_parameters,
        total_parameters=outcome.total_parameters,
        disk_mib=sum(file.stat().st_size for file in files) / 2**20,
        ms_per_prediction=milliseconds_each(outcome.predictor.logits, list(inputs)),
        cached=outcome.cached,
    )


def _model_identity(plan: TransferPlan) -> ModelIdentity | None:
    if plan.model is None:
        return None
    found = identity(plan.model)
    return replace(found, weights_digest="random start") if isinstance(plan.approach, Scratch) else found


def _save_scores(folder: Path, outcome: Outcome) -> None:
    from safetensors.numpy import save_file

    logits = {"validation_logits": outcome.validation_logits, "test_logits": outcome.test_logits}
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in logits.items()}, folder / SCORES_FILE)


def _test_accuracy(record: RunRecord) -> float:
    return accuracy(record.test.labels, record.test.predictions)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _machine() -> dict[str, str]:
    import psutil
    import torch
    from accelerate import PartialState

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0] if models else name
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": name,
        "cores": str(psutil.cpu_count(logical=True)),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": str(torch.get_num_threads()),
        "processes": str(PartialState().num_processes),
    }
