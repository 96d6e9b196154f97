"""Memory from the model's configuration, time from a few steps: a process of its own, so that the page stays free.

    python -m hf_transfer_kit.app.train.estimating FOLDER --processes 2

reads FOLDER/needs.yaml, a plan, and leaves FOLDER/needs.json; what it does meanwhile is in FOLDER/events.jsonl.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_transfer_kit.app.train.needs import Needs
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.launch.job import EVENTS_FILE
from hf_transfer_kit.memory.estimate import estimate_memory
from hf_transfer_kit.memory.pilot import pilot, whole_steps
from hf_transfer_kit.plan import CONTROLS, TRAINED, TransferPlan

ASKED_FILE = "needs.yaml"  # not plan.yaml, which a job has that carries out a plan
KIT_ERROR = 2  # exit code where the message says what to do


def command(plan: TransferPlan, processes: int, gpu: bool, folder: Path) -> list[str]:
    """The argument list that estimates `plan`, which is written to `folder`."""
    plan.save(folder / ASKED_FILE)
    asked = ["--processes", str(processes), *(["--gpu"] if gpu else [])]
    return [sys.executable, "-m", "hf_transfer_kit.app.train.estimating", str(folder), *asked]


def estimated(plan: TransferPlan, events: EventWriter, *, processes: int = 1, gpu: bool = False) -> Needs:
    """Memory and time of `plan`, as far as either can be told.

    Raises:
        TransferKitError: the data cannot be read.
    """
    from hf_transfer_kit.data.labelled import load_data, subset_rows

    events.write("stage", stage="loading", message="reading the data")
    data = load_data(plan.data)
    rows = subset_rows(data, plan.data.train_size, plan.seed)
    events.write("stage", stage="memory", message="counting what the model needs")
    found = Needs(processes=processes, gpu=gpu, free=free_memory(gpu))
    try:
        found = _with_memory(found, plan, len(data.label_names), len(rows["train"]) + len(rows["validation"]))
    except TransferKitError as error:
        found = _noting(found, str(error))
    if not isinstance(plan.approach, TRAINED):
        return found if isinstance(plan.approach, CONTROLS) else _noting(found, "It takes no training steps.")
    events.write("stage", stage="pilot", message="taking a few steps to see how long they last")
    try:
        return _with_time(found, plan, len(rows["train"]))
    except TransferKitError as error:
        return _noting(found, str(error))


def free_memory(gpu: bool) -> int:
    """Bytes that are free now, on the GPU or on the machine."""
    if gpu:
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    return int(psutil.virtual_memory().available)


def _with_memory(found: Needs, plan: TransferPlan, n_classes: int, rows: int) -> Needs:
    if plan.model is None or isinstance(plan.approach, CONTROLS):
        return _noting(found, "It uses no pre-trained model, and hardly any memory.")
    training = plan.training
    bf16 = training.precision == "bf16" or (training.precision == "auto" and found.gpu)
    estimate = estimate_memory(
        plan.model, plan.approach, max(training.batch_size // found.processes, 1), plan.data.max_length,
        "bf16" if bf16 and isinstance(plan.approach, TRAINED) else "fp32", n_classes=n_classes, rows=rows,
        accumulation=training.accumulation, gradient_checkpointing=training.gradient_checkpointing, gpu=found.gpu,
    )  # fmt: skip
    found = replace(
        found, memory=estimate.total, parts=f"{estimate.as_sum}, for texts of {plan.data.max_length} tokens."
    )
    return _noting(found, "The protections' own copies are not in it.") if plan.protection.names else found


def _with_time(found: Needs, plan: TransferPlan, rows: int) -> Needs:
    forecast = pilot(plan)
    steps = whole_steps(plan, rows)
    epoch = forecast.seconds / steps * -(-rows // plan.training.batch_size)
    alone = ", in one process" if found.processes > 1 else ""
    return replace(found, epoch_seconds=epoch, forecast=f"{forecast}, if validation does not stop it earlier{alone}")


def _noting(found: Needs, text: str) -> Needs:
    return replace(found, notes=(*found.notes, text))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command above; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hf_transfer_kit.app.train.estimating")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--gpu", action="store_true")
    asked = parser.parse_args(arguments)
    with EventWriter(asked.folder / EVENTS_FILE) as events:
        events.write("start", message="estimate")
        try:
            plan = TransferPlan.load(asked.folder / ASKED_FILE)
            estimated(plan, events, processes=asked.processes, gpu=asked.gpu).save(asked.folder)
        except TransferKitError as error:
            events.write("error", message=str(error))
            return KIT_ERROR
        events.write("finish", message="estimated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
