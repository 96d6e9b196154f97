"""Situation: what the rules look at, derived from the facts; and, once decided, the method."""

from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.domains import domain_of

SMALL, LARGE, HUGE = 100, 10_000, 1_000_000  # below, above, from: 100 and 10,000 belong to the middle class
FEW = 16  # labels a class; with fewer, nearest examples are ahead of all that trains (benchmarks/crossover, transfer)
THIN = 50  # labels a class; with fewer, good frozen features are ahead of fine-tuning (benchmarks/crossover)
SENTENCES = "sentence-transformers/"  # models whose vectors of sentences were trained to be compared
GENERATIVE = ("translation", "summarization", "generation", "captioning", "chat")
MODALITY_OF_TASK = {
    "detection": "image", "segmentation": "image", "ner": "text", "question_answering": "text", "translation": "text",
    "summarization": "text", "generation": "text", "chat": "text", "captioning": "image+text",
    "forecasting": "series",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What conditions may ask for. None: not known.

    Fields:
        size: "zero", "small" (below 100 labels), "middle" (100 to 10,000), "large" (above).
        huge: a million labels or more.
        domain: name of a `Domain`; similarity, modality: as said, else as the domain or the task implies.
        little_compute: no machine, or one without a GPU; memory_matters: that, or a known amount of memory.
        edge: it will run on a phone or a sensor; fast: that, or in real time.
        foreign: the texts are not (only) English.
        generative: the answer is written, or a caption.
        wordable: a model can be asked for the answer in words, without training.
        pixel_level: decided pixel by pixel, or as complex as that.
        tiny_wanted: at most some 6 million parameters.
        in_kit: `transfer-kit run` has the task; None while the task is open.
        nothing_to_train_on: no labels, and not wordable either.
        frozen: what frozen features were measured to do.
        thin: fewer than 50 labels a class.
        sparse: fewer than 16 labels a class, counted in data at hand, and texts that a model of sentences can compare.
        method, depth: what was decided; kind: of the first model; rate: the person's learning rate is "high", "low" or
            "ok" for it.
        capped_by_processor: deeper would have been advised with a GPU.
    """

    task: str | None
    modality: str | None
    labels: int | None
    size: str | None
    huge: bool
    domain: str | None
    similarity: str | None
    complexity: str | None
    compute: str | None
    memory_matters: bool
    little_compute: bool
    real_time: bool | None
    target: str | None
    edge: bool
    fast: bool
    foreign: bool
    llm: bool | None
    generative: bool
    wordable: bool
    pixel_level: bool
    priority: str | None
    tiny_wanted: bool
    keep_old_skills: bool | None
    old_data: bool | None
    high_impact: bool | None
    test_set: bool | None
    several_objects: bool | None
    high_resolution: bool | None
    deployment: bool | None
    in_kit: bool | None
    nothing_to_train_on: bool
    frozen: str | None
    thin: bool
    sparse: bool
    method: str | None = None
    depth: int | None = None
    kind: str | None = None
    rate: str | None = None
    capped_by_processor: bool = False

    def decided(self, **decided: Any) -> "Situation":
        """The situation with what was decided; much faster than `dataclasses.replace`, and done often."""
        copy = object.__new__(Situation)
        copy.__dict__.update(self.__dict__, **decided)
        return copy


def size_of(labels: int | None) -> str | None:
    """The class of a number of labelled examples.

    Example:
        >>> [size_of(labels) for labels in (0, 99, 100, 10_000, 10_001)]
        ['zero', 'small', 'middle', 'middle', 'large']
    """
    if labels is None:
        return None
    if labels == 0:
        return "zero"
    return "small" if labels < SMALL else "middle" if labels <= LARGE else "large"


def situation_of(facts: TaskFacts) -> Situation:
    """What the rules look at in `facts`; nothing is decided yet."""
    modality = facts.modality or MODALITY_OF_TASK.get(facts.task or "")
    domain = domain_of(facts.domain, modality)
    modality = modality or (domain.modality if domain else None)
    nothing_but_a_model = modality is None and facts.task is None and facts.llm is True
    wordable, little = nothing_but_a_model or _wordable(facts.task, modality), facts.compute in ("none", "cpu")
    return Situation(
        modality=modality, size=size_of(facts.labels), labels=facts.labels, huge=(facts.labels or 0) >= HUGE,
        domain=domain.name if domain else None, wordable=wordable,
        similarity=facts.similarity or (domain.similarity if domain else None),
        memory_matters=facts.memory_gib is not None or little, little_compute=little,
        edge=facts.target == "edge", fast=facts.target == "edge" or facts.real_time is True,
        foreign=facts.language not in (None, "en"), generative=facts.task in GENERATIVE,
        pixel_level=facts.task == "segmentation" or facts.complexity == "complex",
        tiny_wanted=facts.max_parameters is not None and facts.max_parameters <= 6_000_000,
        nothing_to_train_on=facts.labels == 0 and modality is not None and not wordable,
        in_kit=_in_kit(facts, modality),
        task=facts.task, complexity=facts.complexity, compute=facts.compute, real_time=facts.real_time,
        target=facts.target, llm=facts.llm, priority=facts.priority, keep_old_skills=facts.keep_old_skills,
        old_data=facts.old_data, high_impact=facts.high_impact, test_set=facts.test_set,
        several_objects=facts.several_objects, high_resolution=facts.high_resolution, deployment=facts.deployment,
        frozen=facts.frozen, thin=_labels_a_class_below(THIN, facts),
        sparse=facts.data is not None and _comparable(facts, modality) and _labels_a_class_below(FEW, facts),
    )  # fmt: skip


def _labels_a_class_below(most: int, facts: TaskFacts) -> bool:
    if facts.per_class is not None:
        return facts.per_class < most
    return facts.labels is not None and facts.n_classes is not None and facts.labels < most * facts.n_classes


def _comparable(facts: TaskFacts, modality: str | None) -> bool:
    """Whether there is a model whose vectors of these texts can be compared without training."""
    return (
        modality == "text"
        and facts.task in (None, "classification")
        and facts.language in (None, "en")
        and (facts.base_model is None or facts.base_model.startswith(SENTENCES))
    )


def _wordable(task: str | None, modality: str | None) -> bool:
    if modality == "text":
        return task not in ("regression", "forecasting")
    return modality == "image+text" or (modality == "image" and task in (None, "classification", "search"))


def _in_kit(facts: TaskFacts, modality: str | None) -> bool | None:
    """One label per text or picture is all that the kit trains for."""
    if modality is None and facts.task in (None, "classification"):
        return None
    several_labels = modality == "image" and facts.several_objects is True
    return modality in ("text", "image") and facts.task in (None, "classification") and not several_labels
