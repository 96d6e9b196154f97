"""The model that every approach starts from where there is old data: it has learned the old data, once for all runs.

A checkpoint whose own head answers with every old label knows the old data already: its head only gets rows for the
new labels. Any other learns it as approach `full` does, with the plan's training loop and seed 0, whatever the run's
approach and seed. Runs that need the same model wait for the one that makes it; a killed one is continued.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from hf_transfer_kit.approaches.approach import Job, KnownTask
from hf_transfer_kit.approaches.build import build
from hf_transfer_kit.approaches.head import load_with_labels, own_labels
from hf_transfer_kit.approaches.loop import remove_checkpoints, train
from hf_transfer_kit.approaches.rows import Rows
from hf_transfer_kit.approaches.start import (
    FOLDER,
    MODEL_FOLDER,
    Learned,
    folder_of,
    is_whole,
    read_answers,
    save_answers,
    starting_model,
)
from hf_transfer_kit.approaches.trained import TrainedPredictor
from hf_transfer_kit.data.labelled import LabelledData, subset_rows
from hf_transfer_kit.errors import ResourceError, TransferKitError
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.features import cache_folder, cache_key
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.models import device, identity
from hf_transfer_kit.plan import Full, ModelSpec, TransferPlan
from hf_transfer_kit.values import to_mapping

VERSION = 1  # part of the key: raise it when the same settings would give another model
STAGE = "old data"  # in events
SEED = 0


def know_old_task(job: Job, data: LabelledData) -> KnownTask:
    """The old task of `job` and the model that knows it, learned now where the cache has none.

    Every process of a run calls this; they learn together, and the first one decides and writes.

    Args:
        data: the old data, its classes numbered as those of `job`.

    Raises:
        ResourceError: the cache cannot be written.
        TransferKitError: the model cannot be loaded or trained.
    """
    from accelerate.utils import broadcast_object_list

    plan = _plan(job.plan)
    rows = subset_rows(data, plan.data.train_size, SEED)
    old_job = replace(
        job, plan=plan, data=data, train_rows=rows["train"], validation_rows=rows["validation"],
        folder=cache_folder() / FOLDER,
    )  # fmt: skip
    key = _key(old_job)
    with _turn(key, job.events) as is_main:
        found = [is_whole(key) if is_main else None]
        broadcast_object_list(found)
        if not found[0]:
            job.events.write("stage", stage=STAGE, message="learning the old data")
            _make(replace(old_job, folder=old_job.folder / f".unfinished-{key}"), key, is_main=is_main)
    before, learned = read_answers(key)
    return KnownTask(
        data=data, train_rows=rows["train"], validation_rows=rows["validation"], key=key,
        start=starting_model(key, _spec(plan).blocks), before=before,
        details=to_mapping(learned) | {"cached": bool(found[0]), "key": key},
    )  # fmt: skip


def _plan(plan: TransferPlan) -> TransferPlan:
    """How the old data is learned; the same for every run of a comparison."""
    assert plan.old_data is not None  # noqa: S101  # who calls has loaded it
    training = replace(plan.training, report_to=())
    return TransferPlan(data=plan.old_data, model=plan.model, approach=Full(), training=training, seed=SEED)


def _spec(plan: TransferPlan) -> ModelSpec:
    assert plan.model is not None  # noqa: S101  # no approach but the controls goes without, and those have no start
    return plan.model


def _key(job: Job) -> str:
    """A name for the model that depends on everything its weights and answers depend on."""
    model = identity(_spec(job.plan))
    settings = replace(job.plan.training, checkpoint_seconds=0.0)
    return cache_key(
        old_task=VERSION,
        weights=model.weights_digest or model.name,
        blocks=json.dumps(_spec(job.plan).blocks),
        data=json.dumps(dict(job.data.hashes), sort_keys=True),
        labels=json.dumps(job.data.label_names),
        train_size=job.plan.data.train_size,
        max_length=job.plan.data.max_length,
        training=json.dumps(to_mapping(settings), sort_keys=True),
        approach=json.dumps(to_mapping(job.plan.approach) | {"task": job.task.learning_rate}, sort_keys=True),
    )


@contextmanager
def _turn(key: str, events: EventWriter) -> Iterator[bool]:
    """Lets one run at a time make the model; yields whether this is the first process of its run."""
    from accelerate import PartialState

    if not PartialState().is_main_process:
        yield False
        return
    lock = FileLock(cache_folder() / FOLDER / f"{key}.lock")
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            events.write("stage", stage=STAGE, message="waiting for another run, which learns the old data")
            lock.acquire()
    except OSError as error:
        raise _cannot_be_written(error) from error
    try:
        yield True
    finally:
        lock.release()


def _make(job: Job, key: str, *, is_main: bool) -> None:
    """Puts the model of `job`, and its answers to the old test items, into the cache under `key`."""
    from accelerate import PartialState

    started = time.monotonic()
    known = set(own_labels(_spec(job.plan)))
    knows = known >= {job.data.label_names[number] for number in np.unique(job.labels("train"))}
    model, processor = _knowing(job) if knows else _learning(job)
    if is_main:
        predictor = TrainedPredictor(job.task, model.to(device()), processor, job.plan.data.max_length)
        before = predictor.logits(job.inputs("test"))
        learned = Learned(
            learned=not knows, seconds=time.monotonic() - started,
            accuracy=accuracy(job.labels("test"), before.argmax(axis=1)),
        )  # fmt: skip
        try:
            for part in (model, processor):
                part.save_pretrained(job.folder / MODEL_FOLDER)
            save_answers(job.folder, before, learned)
            remove_checkpoints(job.folder / "checkpoints")
            shutil.rmtree(folder_of(key), ignore_errors=True)
            job.folder.rename(folder_of(key))
        except TransferKitError:
            raise
        except (OSError, SafetensorError) as error:
            raise _cannot_be_written(error) from error
    PartialState().wait_for_everyone()


def _knowing(job: Job) -> tuple[Any, Any]:
    """(the model as it is, with rows for the new labels in its head, its processor)."""
    from transformers import set_seed

    set_seed(SEED)
    processor = job.task.load_processor(_spec(job.plan))
    return load_with_labels(job.task, _spec(job.plan), job.data.label_names, processor), processor


def _learning(job: Job) -> tuple[Any, Any]:
    """(the model after learning the old data, its processor)."""
    built = build(job)
    built.model.to(device())
    train_rows, validation_rows = (
        Rows(job.task, built.processor, job.inputs(part), job.labels(part), job.plan.data.max_length)
        for part in ("train", "validation")
    )
    train(
        built.model, built.optimizer, train_rows, validation_rows, job.plan.training,
        seed=SEED, folder=job.folder / "checkpoints", events=job.events, stage=STAGE,
    )  # fmt: skip
    return built.model, built.processor


def _cannot_be_written(error: Exception) -> ResourceError:
    return ResourceError(
        f"the model that knows the old data cannot be kept in '{cache_folder() / FOLDER}' ({error}); make room, or "
        "set HF_TRANSFER_KIT_CACHE to a folder on another disk."
    )
