"""The approaches, one frozen dataclass each with its settings. To add one: a class here, and its name below."""

from dataclasses import dataclass
from typing import Any, ClassVar

from hf_transfer_kit.errors import PlanError, did_you_mean
from hf_transfer_kit.plan.prompting import FewShot, PromptTuning, Prototype, ZeroShot
from hf_transfer_kit.values import from_mapping

ORDERS = ("top_down", "bottom_up", "lp_ft")


def _check_rates(approach: Any) -> None:
    """Learning rates must be positive where they are given."""
    for name in ("learning_rate", "head_learning_rate"):
        rate = getattr(approach, name)
        if rate is not None and not rate > 0:
            raise PlanError(f"{approach.name}.{name}={rate} must be > 0; leave it out for the default.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """Control: always answers the most frequent class of the training data."""

    name: ClassVar[str] = "majority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shallow:
    """Control without a pre-trained model: TF-IDF (text) or raw pixels (images) with logistic regression."""

    name: ClassVar[str] = "shallow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Frozen model, cached features, logistic head.

    Fields:
        layer: "auto" (chosen on training data by leave-one-out ridge), "mean" (of all layers), or a number from the
            bottom, 0 being the output of the stem; negative numbers count from the top.
    """

    layer: str | int = "auto"
    name: ClassVar[str] = "features"

    def __post_init__(self) -> None:
        if isinstance(self.layer, str) and self.layer not in ("auto", "mean"):
            raise PlanError(f"features.layer='{self.layer}'; use auto, mean, or a layer number such as -1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopLayers:
    """The last blocks and the head train; everything below is frozen and in eval mode.

    Fields:
        blocks: how many blocks train, counted from the top, >= 0 (0: the head only).
        learning_rate: of the top block; None: the task's default.
        head_learning_rate: of the new head; with old data the head has learned before, and the body's rate is its own.
        decay: factor of the rate per block downwards, in (0, 1].
        cache_limit_mib: most memory for activations cached at the boundary, MiB; 0 switches the cache off.
    """

    blocks: int = 2
    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    decay: float = 0.95
    cache_limit_mib: int = 2048
    name: ClassVar[str] = "top_layers"

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_decay(self.name, self.decay)
        if self.blocks < 0:
            raise PlanError(f"top_layers.blocks={self.blocks} is negative; use 0 for the head only.")
        if self.cache_limit_mib < 0:
            raise PlanError(f"top_layers.cache_limit_mib={self.cache_limit_mib} is negative; use 0 for no cache.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """Every weight trains, with lower rates for lower blocks (Howard & Ruder 2018, section 3.2).

    Fields:
        learning_rate: of the top block; None: the task's default.
        head_learning_rate: of the new head; with old data the head has learned before, and the body's rate is its own.
        decay: factor of the rate per block downwards, in (0, 1].
    """

    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    decay: float = 0.95
    name: ClassVar[str] = "full"

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_decay(self.name, self.decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradual:
    """As `full`, but the head trains first and one block after another opens (Howard & Ruder 2018, section 3.3).

    Fields:
        opening_share: share of the training after which everything is open, in (0, 1].
        order: "top_down", "bottom_up" or "lp_ft" (the head first, then everything).
        learning_rate: of the top block; None: the task's default.
        head_learning_rate: of the new head; with old data the head has learned before, and the body's rate is its own.
        decay: factor of the rate per block downwards, in (0, 1].
    """

    opening_share: float = 0.5
    order: str = "top_down"
    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    decay: float = 0.95
    name: ClassVar[str] = "gradual"

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_decay(self.name, self.decay)
        if not 0 < self.opening_share <= 1:
            raise PlanError(f"gradual.opening_share={self.opening_share} must lie in (0, 1]; use 0.5 for half.")
        if self.order not in ORDERS:
            raise PlanError(f"gradual.order='{self.order}' is unknown; {did_you_mean(self.order, ORDERS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters beside frozen weights (Hu et al. 2021, arXiv:2106.09685), through peft.

    Fields:
        rank: of each adapter, >= 1.
        alpha: scale; the update is alpha / rank * B A.
        learning_rate: of the adapters.
        head_learning_rate: of the head.
    """

    rank: int = 8
    alpha: int = 16
    learning_rate: float | None = 1e-3
    head_learning_rate: float = 1e-3
    name: ClassVar[str] = "lora"

    def __post_init__(self) -> None:
        _check_rates(self)
        if self.rank < 1:
            raise PlanError(f"lora.rank={self.rank} must be >= 1; use 8.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """The same architecture from a random start: the control for negative transfer.

    Fields:
        learning_rate: of every weight; None: the task's default for a random start.
    """

    learning_rate: float | None = None
    name: ClassVar[str] = "scratch"

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise PlanError(f"scratch.learning_rate={self.learning_rate} must be > 0; leave it out for the default.")


def _check_decay(name: str, decay: float) -> None:
    if not 0 < decay <= 1:
        raise PlanError(f"{name}.decay={decay} must lie in (0, 1]; use 1 for one rate everywhere.")


Approach = (
    Majority | Shallow | ZeroShot | FewShot | Prototype | Features | TopLayers | Full | Gradual | Lora | PromptTuning
    | Scratch
)  # fmt: skip
CONTROLS: tuple[type[Any], ...] = (Majority, Shallow)
PROMPTED: tuple[type[Any], ...] = (ZeroShot, FewShot, Prototype)  # those that answer without training a weight
DETERMINISTIC: tuple[type[Any], ...] = (  # the seed only draws their subset of examples
    Majority, Shallow, ZeroShot, Prototype, Features,
)  # fmt: skip
TRAINED: tuple[type[Any], ...] = (TopLayers, Full, Gradual, Lora, PromptTuning, Scratch)  # what the Trainer trains
PROTECTABLE: tuple[type[Any], ...] = (TopLayers, Full, Gradual, Lora)  # those that change pre-trained weights
_ALL: tuple[type[Any], ...] = (*CONTROLS, *PROMPTED, Features, TopLayers, Full, Gradual, Lora, PromptTuning, Scratch)
APPROACHES: dict[str, type[Any]] = {cls.name: cls for cls in _ALL}


def approach_from_mapping(mapping: Any, where: str) -> Approach:
    """The approach a mapping such as `{name: lora, rank: 4}` describes; a bare name means its defaults."""
    settings = {"name": mapping} if isinstance(mapping, str) else dict(mapping) if isinstance(mapping, dict) else {}
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in APPROACHES:
        raise PlanError(f"{where}: unknown approach '{name}'; {did_you_mean(str(name), APPROACHES)}")
    approach: Approach = from_mapping(APPROACHES[name], settings, f"{where} ({name})")
    return approach
