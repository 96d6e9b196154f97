"""From a plan's settings to the callbacks of its Trainer: the one place that knows both."""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from transformers import TrainerCallback

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.approaches.build import Built
from hf_transfer_kit.approaches.loop import most_epochs
from hf_transfer_kit.approaches.old_text import old_text_examples
from hf_transfer_kit.approaches.rows import Rows
from hf_transfer_kit.callbacks.ewc import EWC
from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.l2sp import L2SP
from hf_transfer_kit.callbacks.replay import Replay
from hf_transfer_kit.callbacks.unfreezing.schedule import opened_by_phase
from hf_transfer_kit.plan import Gradual


@dataclass(frozen=True, slots=True, kw_only=True)
class Protections:
    """What a run's training is given besides its model and data.

    Fields:
        callbacks: for the Trainer.
        all_open_after: epochs until everything trains.
        phases: names of the parameters that train in each of the equal phases up to then, and from then on; none where
            all always do.
        old_rows, old_size: old examples, and the sum of their lengths.
    """

    callbacks: tuple[TrainerCallback, ...] = ()
    all_open_after: float = 0.0
    phases: tuple[frozenset[str], ...] = ()
    old_rows: int = 0
    old_size: float = 0.0


def protections(job: Job, built: Built) -> Protections:
    """The protections that the plan of `job` asks for; nothing for most.

    Raises:
        PlanError: a setting does not fit the model.
    """
    wanted, guard = job.plan.protection, Protections()
    if isinstance(job.plan.approach, Gradual):
        guard = _unfreezing(job, job.plan.approach, built)
    callbacks = list(guard.callbacks)
    old = _old_examples(job, built) if wanted.needs_old_data else None
    if old is not None:
        guard = replace(guard, old_rows=len(old.data), old_size=old.size)
    ewc: Any = wanted.ewc  # Any: the plan has checked the words that the callbacks take as literals
    if ewc is not None and old is not None:
        callbacks.append(
            EWC(
                old.data, **_given(ewc.strength), importance=ewc.importance, n_examples=ewc.n_examples,
                reference_model=old.reference_model, collate_fn=old.collate_fn,
            )
        )  # fmt: skip
    if wanted.l2sp is not None:
        callbacks.append(L2SP(**_given(wanted.l2sp.strength)))
    replay: Any = wanted.replay
    if replay is not None and old is not None:
        callbacks.append(
            Replay(old.data, replay.ratio, replay.sampler, replay.distill, memory=replay.memory, seed=job.plan.seed)
        )
    return replace(guard, callbacks=tuple(callbacks))


def _unfreezing(job: Job, approach: Gradual, built: Built) -> Protections:
    """Opens the head at the start, and the last unit after the share of the training that the plan says.

    A share near 1 leaves the last phase as long as the others, for it has to train too.
    """
    blocks = job.start.blocks if job.start is not None else None
    schedule = GradualUnfreezing(order=approach.order, blocks=blocks).plan(built.model)
    sizes = {name: p.numel() for name, p in built.model.named_parameters() if p.requires_grad}
    opened = accumulate(opened_by_phase(schedule, built.blocks, sizes), lambda above, more: above | more)
    epochs, phases = most_epochs(job.plan.training, len(job.train_rows)), len(schedule.phases)
    each = epochs * min(approach.opening_share / max(phases - 1, 1), 1 / phases)
    callback = GradualUnfreezing(each, order=approach.order, blocks=blocks)
    return Protections(callbacks=(callback,), all_open_after=each * (phases - 1), phases=tuple(opened))


def _given(strength: float | None) -> dict[str, Any]:
    """The strength as an argument, or none, for the callback's own default."""
    return {} if strength is None else {"strength": strength}


@dataclass(frozen=True, slots=True, kw_only=True)
class _OldExamples:
    """Examples to protect, their lengths' sum, and the model that knows them where it is not the one in training."""

    data: Any
    size: float
    reference_model: Any = None
    collate_fn: Any = None


def _old_examples(job: Job, built: Built) -> _OldExamples:
    """The old examples that were learned from, encoded as the new ones are; texts in the form that is scored."""
    if job.old is not None:
        part = job.old.data.train.select(job.old.train_rows)
        rows = Rows(job.task, built.processor, part["input"], part["label"][:], job.plan.data.max_length)
        return _OldExamples(data=rows, size=float(rows.lengths.sum()))
    assert job.old_text is not None and job.plan.model is not None  # noqa: S101  # the plan has old data and a model
    texts = old_text_examples(job.plan.model, job.task, job.old_text, job.plan.data.max_length)
    return _OldExamples(
        data=texts.data, size=float(sum(len(row["input_ids"]) for row in texts.data)),
        reference_model=texts.reference_model, collate_fn=texts.collate_fn,
    )  # fmt: skip
