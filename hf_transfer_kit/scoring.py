"""From a model's answers to what a record keeps of them: on the new task, and on the old one."""

from pathlib import Path

import numpy as np

from hf_transfer_kit.approaches import Job, KnownTask, Outcome, Predictor
from hf_transfer_kit.approaches.old_text import text_scorer
from hf_transfer_kit.approaches.trained import TrainedPredictor
from hf_transfer_kit.metrics import apply_temperature, log_softmax
from hf_transfer_kit.plan import PROMPTED, Approach, Features, Scratch
from hf_transfer_kit.records import DataIdentity, ItemScores, OldSkill, OldText


def item_scores(
    logits: np.ndarray, labels: np.ndarray, temperature: float, unreadable: np.ndarray | None = None
) -> ItemScores:
    """The answers in `logits` (rows, classes), as a record keeps them; six digits are enough to compare runs.

    Args:
        unreadable: (rows,), True where the answer was none of the classes: that counts as -1.
    """
    plain, calibrated = log_softmax(logits), apply_temperature(logits, temperature)
    predictions, rows = plain.argmax(axis=1), np.arange(len(labels))
    return ItemScores(
        labels=tuple(labels.tolist()),
        predictions=tuple((predictions if unreadable is None else np.where(unreadable, -1, predictions)).tolist()),
        confidence=_digits(np.exp(plain[rows, predictions])),
        calibrated_confidence=_digits(np.exp(calibrated[rows, predictions])),
        log_likelihood=_digits(calibrated[rows, labels]),
    )


def _digits(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in values)


def save_scores(path: Path, outcome: Outcome) -> None:
    """Writes the logits of validation and test to a safetensors file."""
    from safetensors.numpy import save_file

    logits = {"validation_logits": outcome.validation_logits, "test_logits": outcome.test_logits}
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in logits.items()}, path)


def old_skill(old: KnownTask, predictor: Predictor, approach: Approach) -> OldSkill:
    """Answers to the old test items by the model that every approach starts from, and by `predictor` after its run."""
    old_labels = np.unique(old.data.train["label"][:])
    after = predictor.logits(old.data.test["input"])
    # Frozen features keep the head that knows the old labels; its own head has seen the new ones alone.
    among_old = old.before if isinstance(approach, Features) else after
    return OldSkill(
        data=DataIdentity(
            hashes=dict(old.data.hashes),
            rows={"train": len(old.train_rows), "validation": len(old.validation_rows), "test": len(old.data.test)},
        ),
        old_labels=tuple(old_labels.tolist()),
        labels=tuple(old.data.test["label"][:]),
        before=_best(old.before, np.arange(old.before.shape[1])),
        after=_best(after, np.arange(after.shape[1])),
        before_among_old=_best(old.before, old_labels),
        after_among_old=_best(among_old, old_labels),
    )


def _best(logits: np.ndarray, allowed: np.ndarray) -> tuple[int, ...]:
    """The best class of each row among `allowed`."""
    return tuple(allowed[logits[:, allowed].argmax(axis=1)].tolist())


def old_text_skill(job: Job, predictor: Predictor) -> OldText | None:
    """What the old texts still read as in the model of `predictor`; None where no pre-trained weight could change."""
    plan = job.plan
    if job.old_text is None or plan.model is None or isinstance(plan.approach, (Scratch, *PROMPTED)):
        return None
    scorer = text_scorer(plan.model, job.task, job.old_text, plan.data.max_length)
    return scorer.compare(predictor.model if isinstance(predictor, TrainedPredictor) else None)  # else: frozen
