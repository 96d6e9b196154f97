"""`top_layers`, `full`, `gradual`, `lora`, `prompt_tuning`, `scratch`: what goes through the Trainer."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_transfer_kit.approaches.approach import Fit, Job, Outcome, Predictor
from hf_transfer_kit.approaches.build import Built, build, show_geometry
from hf_transfer_kit.approaches.loop import history, train
from hf_transfer_kit.approaches.old_watch import old_watch
from hf_transfer_kit.approaches.operations import training_flops, unit_flops
from hf_transfer_kit.approaches.prompt_tuning import skip_padding
from hf_transfer_kit.approaches.protections import protections
from hf_transfer_kit.approaches.rows import LABEL, Rows
from hf_transfer_kit.approaches.start import noted_model, write_note
from hf_transfer_kit.boundary import KEY, Boundary, NoShortCutError, Stored
from hf_transfer_kit.features import batches_by_length
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.models import device
from hf_transfer_kit.plan import Lora, ModelSpec, PromptTuning, TopLayers
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import Task, get_task

CHECKED_ROWS = 8  # on which a short cut must give the plain answers


class TrainedPredictor(Predictor):
    """A classifier of transformers, maybe with adapters of peft."""

    def __init__(self, task: Task, model: Any, processor: Any, max_length: int):
        self.model = model.eval()
        self._task, self._processor, self._max_length = task, processor, max_length

    @torch.inference_mode()
    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        target = next(self.model.parameters()).device
        answers: np.ndarray | None = None
        for positions, rows in batches_by_length(
            self._task, self._processor, inputs, self._max_length, self._task.inference_batch
        ):
            batch = {name: tensor.to(target) for name, tensor in self._task.collate(self._processor, rows).items()}
            logits = self._task.logits(self.model, batch).float().cpu().numpy()
            answers = np.empty((len(inputs), logits.shape[1]), dtype=np.float32) if answers is None else answers
            answers[positions] = logits
        return answers if answers is not None else np.empty((0, 0), dtype=np.float32)


class TrainedFit(Fit):
    """Trains what `build` makes of the plan."""

    def fit(self, job: Job) -> Outcome:
        max_length = job.plan.data.max_length
        with Meter() as meter:
            job.events.write("stage", stage="loading", message="loading the model")
            built = build(job)
            built.model.to(device())
            short_cut = _short_cut(job, built)
            train_rows, validation_rows = (
                Rows(
                    job.task, built.processor, job.inputs(part), job.labels(part), max_length, short_cut.rows.get(part)
                )
                for part in ("train", "validation")
            )  # fmt: skip
            train_rows.lengths += built.virtual_tokens  # they are computed on like those of the text
            guard = protections(job, built)
            watch = old_watch(job, built) if short_cut.boundary is None else ()  # old rows have no stored activations
            flops = unit_flops(built.model, train_rows, guard.phases)
            trainable = sum(p.numel() for p in built.model.parameters() if p.requires_grad)
            job.events.write("stage", stage="training", message=f"training {job.plan.method}")
            trainer = train(
                built.model, built.optimizer, train_rows, validation_rows, job.plan.training,
                seed=job.plan.seed, folder=job.folder / "checkpoints", events=job.events,
                callbacks=(*guard.callbacks, *watch), patient_until=guard.all_open_after,
            )  # fmt: skip
        if short_cut.boundary is not None:
            short_cut.boundary.remove()
        predictor = TrainedPredictor(job.task, built.model, built.processor, max_length)
        job.events.write("stage", stage="scoring", message="answering validation and test")
        validation_logits, test_logits = (predictor.logits(job.inputs(part)) for part in ("validation", "test"))
        if trainer.is_world_process_zero():
            _save(built, job)
        return Outcome(
            predictor=predictor,
            validation_logits=validation_logits,
            test_logits=test_logits,
            train_seconds=meter.seconds,
            train_cpu_seconds=meter.cpu_seconds,
            train_flops=short_cut.flops + training_flops(flops, trainer, guard, job.plan.protection),
            peak_memory_mib=meter.peak_mib,
            trainable_parameters=trainable,
            total_parameters=sum(p.numel() for p in built.model.parameters()),
            details=short_cut.details | history(trainer.state) | {
                "blocks": len(built.blocks), "open_blocks": built.open_blocks, "processes": trainer.args.world_size,
            },
        )  # fmt: skip

    def load(self, record: RunRecord, folder: Path) -> TrainedPredictor:
        task, spec = get_task(record.task), ModelSpec(name=str(folder))
        if isinstance(record.plan.approach, Lora | PromptTuning) and record.plan.model is not None:
            from peft import PeftModel

            # Adapters are kept without the model they stand on.
            spec = record.plan.model if record.old is None else noted_model(folder)
            processor = task.load_processor(spec)
            base, _ = task.load_classifier(spec, record.label_names, processor)
            model: Any = PeftModel.from_pretrained(base, str(folder))
            if isinstance(record.plan.approach, Lora):
                show_geometry(model)
            else:
                skip_padding(model)
        else:
            processor = task.load_processor(spec)
            model, _ = task.load_classifier(spec, record.label_names, processor)
        return TrainedPredictor(task, model.to(device()), processor, record.plan.data.max_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ShortCut:
    """The short cut past the frozen blocks, or why there is none.

    Fields:
        boundary: installed in the model, or None.
        rows: stored activations by part.
        flops: of storing them.
        details: for the record.
    """

    boundary: Boundary | None = None
    rows: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    flops: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


def _short_cut(job: Job, built: Built) -> _ShortCut:
    """Stores what reaches the first trained block and installs the short cut, where that is possible and wanted."""
    approach = job.plan.approach
    if not isinstance(approach, TopLayers):
        return _ShortCut()
    if job.plan.protection.needs_old_data:
        return _ShortCut(details={"boundary_cache": "off: old examples take part, whose activations are not stored"})
    if approach.cache_limit_mib == 0:
        return _ShortCut(details={"boundary_cache": "off: cache_limit_mib is 0"})
    if built.open_blocks in (0, len(built.blocks)):
        return _ShortCut(details={"boundary_cache": "off: no block lies below the boundary, or the head alone trains"})
    boundary = Boundary(built.model, built.blocks, built.open_blocks)
    job.events.write("stage", stage="features", message="storing activations below the trained blocks")
    try:
        stored = _store(job, built, boundary, approach.cache_limit_mib)
        boundary.install()
        _check(job, built, boundary, stored["train"].rows)
    except NoShortCutError as reason:
        boundary.remove()
        return _ShortCut(details={"boundary_cache": f"off: {reason}"})
    mib = sum(part.mib for part in stored.values())
    return _ShortCut(
        boundary=boundary,
        rows={name: part.rows for name, part in stored.items()},
        flops=sum(part.flops for part in stored.values()),
        details={"boundary_cache": "on", "boundary_cache_mib": round(mib, 1)},
    )


def _store(job: Job, built: Built, boundary: Boundary, limit_mib: float) -> dict[str, Stored]:
    """The activations of the train and validation rows."""
    built.model.eval()
    total, before = len(job.train_rows) + len(job.validation_rows), 0
    stored: dict[str, Stored] = {}
    for part in ("train", "validation"):

        def show(done: int, _: int, before: int = before) -> None:
            job.events.progress("features", before + done, total)

        stored[part] = boundary.store(
            job.task, built.processor, job.inputs(part), max_length=job.plan.data.max_length, limit_mib=limit_mib,
            on_progress=show,
        )  # fmt: skip
        limit_mib, before = limit_mib - stored[part].mib, before + len(stored[part].rows)
    return stored


def _check(job: Job, built: Built, boundary: Boundary, activations: list[torch.Tensor]) -> None:
    """Tries the installed short cut on the first training rows; raises NoShortCutError."""
    sample = job.train_rows[:CHECKED_ROWS]
    rows = Rows(
        job.task, built.processor, job.data.train.select(sample)["input"], np.zeros(len(sample)),
        job.plan.data.max_length, activations,
    )  # fmt: skip
    batch = {name: t.to(device()) for name, t in rows.collate([rows[i] for i in range(len(sample))]).items()}
    boundary.check({name: t for name, t in batch.items() if name not in (KEY, LABEL)}, batch[KEY])


def _save(built: Built, job: Job) -> None:
    """Model and processor as `from_pretrained` reads them; an earlier attempt's files are replaced."""
    folder = job.folder / "model"
    shutil.rmtree(folder, ignore_errors=True)
    built.model.save_pretrained(folder)
    built.processor.save_pretrained(folder)
    if job.old is not None and isinstance(job.plan.approach, Lora | PromptTuning):
        write_note(folder, job.old.key)
