"""The settings of what answers without training a weight, and of soft prompts; the models they ask may be remote."""

from dataclasses import dataclass
from typing import Any, ClassVar

from hf_transfer_kit.errors import PlanError, did_you_mean

CLASSIFIERS = ("auto", "causal", "masked", "encoder_decoder", "image_text", "embedding")
CALIBRATIONS = ("none", "contextual", "batch")
CHOICES = ("auto", "balanced", "nearest")


def _check_choices(approach: Any, **allowed: tuple[str, ...]) -> None:
    for name, options in allowed.items():
        if getattr(approach, name) not in options:
            value = getattr(approach, name)
            raise PlanError(f"{approach.name}.{name}='{value}' is unknown; {did_you_mean(value, options)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShot:
    """The model as it is, asked with a prompt that holds no example.

    Fields:
        classifier: how the model is asked: "causal", "masked", "encoder_decoder", "image_text", "embedding"; "auto":
            by what the model is. Remote models are always asked as chat models.
        prompt: a prompt file; None: the built-in one.
        calibration: "batch" (Zhou et al. 2023, arXiv:2309.17249) or "contextual" (Zhao et al. 2021, arXiv:2102.09690);
            both without labels. "none": scores as they are.
        search: choose among several prompts by validation accuracy; the validation labels then count as used.
    """

    classifier: str = "auto"
    prompt: str | None = None
    calibration: str = "batch"
    search: bool = False
    name: ClassVar[str] = "zero_shot"

    @property
    def looks_at_labels(self) -> bool:
        """Whether it uses any label, so that its result depends on how many there are."""
        return self.search

    def __post_init__(self) -> None:
        _check_choices(self, classifier=CLASSIFIERS, calibration=CALIBRATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShot:
    """In-context learning: the same with labelled examples in the prompt (Brown et al. 2020, arXiv:2005.14165).

    Fields:
        shots: examples in each prompt, >= 1.
        choose: "balanced" (the same for every input, class by class), "nearest" (those most like the input; Liu et
            al. 2022, arXiv:2101.06804), "auto": nearest for embeddings, balanced for the others, which then keep the
            beginning of the prompt in a cache.
        orders: orders of the examples that are tried on validation, so that the worst one can be shown; 1: none but
            the one used, and validation is not looked at.
        classifier, prompt, calibration, search: as of `ZeroShot`.
    """

    shots: int = 16
    choose: str = "auto"
    orders: int = 1
    classifier: str = "auto"
    prompt: str | None = None
    calibration: str = "batch"
    search: bool = False
    name: ClassVar[str] = "few_shot"

    def __post_init__(self) -> None:
        _check_choices(self, choose=CHOICES, classifier=CLASSIFIERS, calibration=CALIBRATIONS)
        if self.shots < 1:
            raise PlanError(f"few_shot.shots={self.shots} must be >= 1; use zero_shot for a prompt without examples.")
        if self.orders < 1:
            raise PlanError(f"few_shot.orders={self.orders} must be >= 1; use 1 for a single order.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """Class means: an input gets the label whose examples, and whose name, lie nearest in the embedding space.

    Source: Snell et al. 2017, "Prototypical Networks" (arXiv:1703.05175), with the label's name as one more example.

    Fields:
        prompt: a prompt file, of which the label templates are used; None: the built-in ones.
        names: whether label names count; models that read no words have none.
    """

    prompt: str | None = None
    names: bool = True
    name: ClassVar[str] = "prototype"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTuning:
    """Soft prompts: trained vectors before the text, frozen weights behind (Lester et al. 2021, arXiv:2104.08691).

    Fields:
        virtual_tokens: of the soft prompt, >= 1.
        learning_rate: of the soft prompt.
        head_learning_rate: of the head.

    Measured on the demo's sentences (MiniLM, 160 examples, 80 steps of 16, 130 test sentences, mean of two seeds):
    test accuracy 0.54 with a learning rate of 3e-1, 0.64 with 3e-2, 0.60 with 1e-2; 3e-3 learns more slowly (0.62 and
    0.66 with 3e-2 on the first seed). With 1e-3 for the head, 3e-2 reaches 0.29 only.
    """

    virtual_tokens: int = 20
    learning_rate: float = 3e-2
    head_learning_rate: float = 1e-2
    name: ClassVar[str] = "prompt_tuning"

    def __post_init__(self) -> None:
        if self.virtual_tokens < 1:
            raise PlanError(f"prompt_tuning.virtual_tokens={self.virtual_tokens} must be >= 1; use 20.")
        for name in ("learning_rate", "head_learning_rate"):
            if not getattr(self, name) > 0:
                raise PlanError(
                    f"prompt_tuning.{name}={getattr(self, name)} must be > 0; leave it out for the default."
                )
