"""TaskFacts: what is known of a person's task; None is "not known", which is never guessed at."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from hf_transfer_kit.errors import PlanError, did_you_mean

MODALITIES = ("text", "image", "image+text", "series")
TASKS = (
    "classification", "multi_label", "detection", "segmentation", "ner", "question_answering", "translation",
    "summarization", "generation", "captioning", "search", "chat", "forecasting", "regression",
)  # fmt: skip
SIMILARITIES = ("same", "moderate", "different")
COMPLEXITIES = ("simple", "medium", "complex")
COMPUTE = ("none", "cpu", "gpu", "multi_gpu", "cluster")
TARGETS = ("edge", "server")
PRIORITIES = ("speed", "balance", "accuracy", "simplicity", "small_model", "deep", "multi_scale")
FROZEN = ("enough", "helps", "falls_short", "no_better", "unclear")
CHOICES = {
    "modality": MODALITIES, "task": TASKS, "similarity": SIMILARITIES, "complexity": COMPLEXITIES, "compute": COMPUTE,
    "target": TARGETS, "priority": PRIORITIES, "frozen": FROZEN,
}  # fmt: skip
LIMITS = {  # (least, most) that is believed
    "n_labelled": (0, 10**10), "n_classes": (2, 10**6), "per_class": (0, 10**9), "memory_gib": (0.05, 10**5),
    "input_length": (1, 10**7), "image_size": (8, 10**5), "max_parameters": (10**4, 10**13),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """What is known of a task. None: not known.

    Fields:
        task: one of `TASKS`.
        modality: "text", "image", "image+text" or "series".
        n_labelled: labelled examples, all of them.
        per_class: labelled examples of each class, where that was said instead.
        n_classes: classes.
        similarity: of the data to what a model was pre-trained on: "same", "moderate", "different".
        domain: in words, lower case: "x-ray", "satellite", "legal", "wildlife".
        complexity: of the task: "simple" (two clear classes), "medium", "complex" (pixel by pixel, many classes).
        compute: "none" (no machine to train on), "cpu", "gpu", "multi_gpu", "cluster".
        memory_gib: of the GPU, or of the machine without one.
        real_time: answers within tens of milliseconds.
        target: where it runs in the end: "edge" (phone, sensor) or "server".
        language: of the texts, an ISO 639-1 code: "en".
        llm: a large language model can be asked (locally or elsewhere).
        keep_old_skills: what the model knows must not be forgotten.
        old_data: examples of the old task are at hand.
        priority: "speed", "balance", "accuracy", "simplicity", "small_model", "deep" (many layers) or "multi_scale".
        high_impact: wrong answers do harm (medicine, credit, law).
        test_set: an independent test set exists.
        several_objects: several animals, things, per image.
        high_resolution: images whose small details matter.
        deployment: it will run for others.
        image_size, input_length: pixels of the shorter side; tokens.
        max_parameters: the largest model that is wanted.
        learning_rate: that the person wants to use for the pre-trained weights.
        base_model: Hub id or folder that the person wants to start from.
        data: path or Hub name of the data, if it is at hand.
        frozen: what frozen features were measured to do: "enough" (no method can gain two points), "helps",
            "falls_short" (it helps, and leaves five points or more), "no_better" than the simplest controls, or
            "unclear" (too few rows to tell).

    Raises:
        PlanError: a value is not one of the choices, or is a number that cannot be.
    """

    task: str | None = None
    modality: str | None = None
    n_labelled: int | None = None
    per_class: int | None = None
    n_classes: int | None = None
    similarity: str | None = None
    domain: str | None = None
    complexity: str | None = None
    compute: str | None = None
    memory_gib: float | None = None
    real_time: bool | None = None
    target: str | None = None
    language: str | None = None
    llm: bool | None = None
    keep_old_skills: bool | None = None
    old_data: bool | None = None
    priority: str | None = None
    high_impact: bool | None = None
    test_set: bool | None = None
    several_objects: bool | None = None
    high_resolution: bool | None = None
    deployment: bool | None = None
    image_size: int | None = None
    input_length: int | None = None
    max_parameters: int | None = None
    learning_rate: float | None = None
    base_model: str | None = None
    data: str | None = None
    frozen: str | None = None

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise PlanError(f"fact {name}='{value}' is unknown; {did_you_mean(str(value), choices)}")
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise PlanError(f"fact {name}={value} cannot be; it lies between {least:g} and {most:g}.")
        if self.learning_rate is not None and not 0 < self.learning_rate < 10:
            raise PlanError(f"fact learning_rate={self.learning_rate} cannot be; it lies between 0 and 10.")

    @property
    def labels(self) -> int | None:
        """Labelled examples in all: as said, or those of each class times the classes."""
        if self.n_labelled is not None:
            return self.n_labelled
        if self.per_class is not None and self.n_classes is not None:
            return self.per_class * self.n_classes
        return 0 if self.per_class == 0 else None

    def completed(self, changes: Mapping[str, Any]) -> "TaskFacts":
        """These facts, and those of `changes` that were not known yet."""
        new = {name: value for name, value in changes.items() if getattr(self, name) is None}
        return replace(self, **new) if new else self

    @property
    def known(self) -> dict[str, Any]:
        """The facts that are known, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}
