"""`zero_shot`, `few_shot`, `prototype`: what a model answers without training a weight.

A run draws its demonstrations, maybe chooses its prompt on validation, corrects for what the prompt itself favours,
and answers. The prompt is exported as model/prompt.yaml, and what the model reads for one input as model/prompt.txt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hf_transfer_kit.approaches.answering import load_answering, save_answering
from hf_transfer_kit.approaches.approach import Fit, Job, Outcome, Predictor
from hf_transfer_kit.approaches.kept_vectors import KeptVectors, LearningCost
from hf_transfer_kit.approaches.prompt_choice import Choice, choose
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import FewShot, ModelSpec, Prototype, TransferPlan, ZeroShot
from hf_transfer_kit.prompting.calibration import CONTENT_FREE, batch_offsets, calibrated, contextual_offsets
from hf_transfer_kit.prompting.classifier import PromptClassifier
from hf_transfer_kit.prompting.embeddings.embedding import VectorClassifier
from hf_transfer_kit.prompting.kinds import REMOTE, kind_of, knows_words
from hf_transfer_kit.prompting.make import PROTOTYPE, make_classifier
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import Task, get_task

SPENT_FILE, STUDY_FILE = "spent.json", "study.yaml"
# Unlabelled training inputs that batch calibration looks at: too few say nothing of rare answers (for 150 labels of
# CLINC150, 128 cost 7 points and 10 a label none).
CALIBRATION_INPUTS, CALIBRATION_INPUTS_A_LABEL = 128, 10


class PromptedPredictor(Predictor):
    """A prompted classifier, and what its scores are corrected by."""

    def __init__(self, classifier: PromptClassifier, offsets: np.ndarray | None):
        self._classifier, self._offsets = classifier, offsets
        self._usage = Usage()

    def logits(self, inputs: Sequence[Any]) -> np.ndarray:
        return self.corrected(self._classifier.score(inputs))

    def corrected(self, scores: Scores) -> np.ndarray:
        """(inputs, classes) of scores that are there already."""
        self._usage = scores.usage
        return scores.log_scores if self._offsets is None else calibrated(scores.log_scores, self._offsets)

    def usage(self) -> Usage:
        return self._usage

    def forget(self) -> None:
        self._classifier.forget()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """What is taken from the scores of each label, by the name of the method; "none" takes nothing."""

    offsets: dict[str, np.ndarray | None] = field(default_factory=lambda: {"none": None})
    usage: Usage = field(default_factory=Usage)


class PromptedFit(Fit):
    """Answers with prompts or embeddings; see `plan.ZeroShot`, `plan.FewShot`, `plan.Prototype`."""

    def fit(self, job: Job) -> Outcome:
        approach, model = job.plan.approach, job.plan.model
        if model is None or not isinstance(approach, ZeroShot | FewShot | Prototype):
            raise PlanError(f"approach '{approach.name}' is not one that prompts a model.")
        kind = PROTOTYPE if isinstance(approach, Prototype) else kind_of(model, job.task.name, approach.classifier)
        job.events.write("stage", stage="loading", message=f"loading {model.name}")
        classifier = _classifier(kind, job.plan, job.task, Prompt(name="none yet"), _ledger(job.folder))
        kept = KeptVectors(job, classifier.embedder) if isinstance(classifier, VectorClassifier) else None
        if isinstance(classifier, VectorClassifier):
            classifier.vectors = kept
        wanted = "none" if kind in (PROTOTYPE, REMOTE) else approach.calibration  # type: ignore[union-attr]
        with Meter() as meter:
            choice = choose(job, kind, classifier, lambda used, scores: _corrected(wanted, used, scores))
            classifier.prompt = choice.chosen.prompt.check(job.data.label_names)
            classifier.fit(job.data.label_names, choice.chosen.demonstrations)
            calibration = _calibrate(job, classifier, wanted)
            passes = kept.learning_cost() if kept else LearningCost()
        job.events.write("stage", stage="scoring", message="answering the test part")
        test = classifier.score(job.inputs("test"), lambda done, total: job.events.progress("scoring", done, total))
        if isinstance(classifier, VectorClassifier):
            classifier.vectors = None  # what is asked from now on is new
        predictor = PromptedPredictor(classifier, calibration.offsets[wanted])
        save_answering(job, kind, choice.chosen, calibration.offsets[wanted])
        spent = choice.usage + calibration.usage
        return Outcome(
            predictor=predictor,
            validation_logits=None,
            test_logits=predictor.corrected(test),
            train_seconds=meter.seconds + passes.seconds,
            train_cpu_seconds=meter.cpu_seconds + passes.cpu_seconds,
            train_flops=passes.flops + spent.flops,
            peak_memory_mib=meter.peak_mib,
            trainable_parameters=0,
            total_parameters=classifier.parameters,
            cached=kept.cached if kept else bool(classifier.details.get("kept_answers")),
            details=_details(job, kind, wanted, choice, calibration, test) | classifier.details,
            labels=_labels(job, choice),
            unreadable=test.unreadable if test.unreadable.any() else None,
            train_dollars=spent.dollars,
            remote=_at_list_price(test.usage, model) if model.remote else None,
        )  # fmt: skip

    def load(self, record: RunRecord, folder: Path) -> PromptedPredictor:
        kind, chosen, offsets = load_answering(record, folder)
        classifier = _classifier(kind, record.plan, get_task(record.task), chosen.prompt, None)
        classifier.fit(record.label_names, chosen.demonstrations)
        return PromptedPredictor(classifier, offsets)


def _classifier(kind: str, plan: TransferPlan, task: Task, prompt: Prompt, ledger: Path | None) -> PromptClassifier:
    """The classifier that a plan asks for."""
    approach, model = plan.approach, plan.model
    if model is None:
        raise PlanError(f"approach '{approach.name}' needs a model, and the plan names none.")
    return make_classifier(
        model, prompt, task=task.name, kind=kind, shots=approach.shots if isinstance(approach, FewShot) else 1,
        names=isinstance(approach, Prototype) and approach.names and knows_words(model, task.name),
        max_length=plan.data.max_length, ledger=ledger,
    )  # fmt: skip


def _ledger(folder: Path) -> Path:
    """Where a run's dollars are counted: with those of the comparison it is part of, whose limit it is."""
    return next((above for above in folder.parents if (above / STUDY_FILE).exists()), folder) / SPENT_FILE


def _calibrate(job: Job, classifier: PromptClassifier, wanted: str) -> Calibration:
    """Offsets by every method that this kind of model allows; nothing is scored where none is wanted."""
    if wanted == "none":
        return Calibration()
    job.events.write("stage", stage="calibration", message="what the prompt itself favours")
    count = max(CALIBRATION_INPUTS, CALIBRATION_INPUTS_A_LABEL * len(job.data.label_names))
    rows = np.random.default_rng(job.plan.seed).permutation(len(job.rows("train")))[:count]
    inputs = job.inputs("train")
    scores = classifier.score(
        [inputs[int(row)] for row in rows], lambda done, total: job.events.progress("calibration", done, total)
    )
    offsets: dict[str, np.ndarray | None] = {"none": None, "batch": batch_offsets(scores.log_scores)}
    usage = scores.usage
    if job.task.name == "text-classification":
        free = classifier.score(CONTENT_FREE)
        offsets["contextual"], usage = contextual_offsets(free.log_scores), usage + free.usage
    return Calibration(offsets=offsets, usage=usage)


def _corrected(wanted: str, classifier: PromptClassifier, log_scores: np.ndarray) -> np.ndarray:
    """Validation scores corrected as those of test will be; batch calibration looks at these scores themselves."""
    if wanted == "none":
        return log_scores
    if wanted == "batch":
        return calibrated(log_scores, batch_offsets(log_scores))
    return calibrated(log_scores, contextual_offsets(classifier.score(CONTENT_FREE).log_scores))


def _at_list_price(usage: Usage, model: ModelSpec) -> Usage:
    """What the answers cost whoever asks first: those kept from an earlier run were paid for then."""
    remote = model.remote
    if remote is None:
        return usage
    prompt = usage.tokens_in + usage.tokens_cached
    return replace(usage, dollars=(prompt * remote.price_in + usage.tokens_out * remote.price_out) / 1e6)


def _labels(job: Job, choice: Choice) -> int:
    """Labelled examples that a run looked at: shown or to choose from, and those of validation."""
    shown = choice.chosen.demonstrations
    pool = 0 if shown is None else len(shown) if isinstance(shown, Sequence) else len(job.rows("train"))
    return pool + choice.validation_rows


def _details(
    job: Job, kind: str, wanted: str, choice: Choice, calibration: Calibration, test: Scores
) -> dict[str, Any]:
    """For the record: what was asked, and what the answers are with and without calibration."""
    labels, shown = job.labels("test"), choice.chosen.demonstrations

    def reached(offsets: np.ndarray | None) -> float:
        scores = test.log_scores if offsets is None else calibrated(test.log_scores, offsets)
        return accuracy(labels, np.where(test.unreadable, -1, scores.argmax(axis=1)))

    fixed = len(shown) if isinstance(shown, Sequence) else getattr(job.plan.approach, "shots", 0)
    found: dict[str, Any] = {
        "kind": kind,
        "prompt": choice.chosen.prompt.name,
        "prompt_text": choice.chosen.prompt.to_yaml(),
        "demonstrations": 0 if shown is None else fixed,
        "calibration": {
            "used": wanted,
            "accuracy": {name: reached(each) for name, each in calibration.offsets.items()},
        },
    }
    if choice.tried:
        found["search"] = {"validation_accuracy": choice.tried, "validation_rows": choice.validation_rows}
    if choice.orders:
        found["orders"] = {
            "validation_accuracy": list(choice.orders), "worst": min(choice.orders), "best": max(choice.orders),
        }  # fmt: skip
    return found
