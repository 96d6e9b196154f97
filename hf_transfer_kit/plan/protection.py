"""What keeps a trained approach from forgetting: settings of the callbacks, as a plan holds them."""

from dataclasses import dataclass, fields
from typing import Any

from hf_transfer_kit.errors import PlanError, did_you_mean

IMPORTANCES = ("fisher", "sampled", "exact", "mas", "reversed")
SAMPLERS = ("uniform", "class_balanced", "reservoir", "herding")


@dataclass(frozen=True, slots=True, kw_only=True)
class EwcSettings:
    """Elastic weight consolidation: see `callbacks.ewc.EWC`.

    Fields:
        strength: of the pull, >= 0; None: the callback's default.
        importance: "fisher", "sampled", "exact", "mas" or "reversed".
        n_examples: old examples that importance is estimated on.
    """

    strength: float | None = None
    importance: str = "fisher"
    n_examples: int = 256

    def __post_init__(self) -> None:
        _check_strength("ewc", self.strength)
        if self.importance not in IMPORTANCES:
            raise PlanError(
                f"ewc.importance='{self.importance}' is unknown; {did_you_mean(self.importance, IMPORTANCES)}"
            )
        if self.n_examples < 1:
            raise PlanError(f"ewc.n_examples={self.n_examples} must be >= 1; use 256.")


@dataclass(frozen=True, slots=True, kw_only=True)
class L2spSettings:
    """The pull back to the start weights: see `callbacks.l2sp.L2SP`.

    Fields:
        strength: of the pull, >= 0; None: the callback's default.
    """

    strength: float | None = None

    def __post_init__(self) -> None:
        _check_strength("l2sp", self.strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """Old examples in every batch: see `callbacks.replay.Replay`.

    Fields:
        ratio: share of old examples in the final batch, in [0, 1).
        sampler: "uniform", "class_balanced", "reservoir" or "herding".
        memory: old training examples kept; None: all.
        distill: weight of the distance to the stored logits, >= 0.
    """

    ratio: float = 0.1
    sampler: str = "uniform"
    memory: int | None = None
    distill: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise PlanError(f"replay.ratio={self.ratio} must lie in [0, 1); use 0.1 for a tenth of each batch.")
        if self.sampler not in SAMPLERS:
            raise PlanError(f"replay.sampler='{self.sampler}' is unknown; {did_you_mean(self.sampler, SAMPLERS)}")
        if self.memory is not None and self.memory < 1:
            raise PlanError(f"replay.memory={self.memory} must be >= 1; leave it out to keep all old examples.")
        if not self.distill >= 0:
            raise PlanError(f"replay.distill={self.distill} is negative; use 0 to switch it off.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """The protections of one run; those that are None are off.

    Example:
        >>> Protection(ewc=EwcSettings(), replay=ReplaySettings(ratio=0.2)).names
        ('ewc', 'replay')
    """

    ewc: EwcSettings | None = None
    l2sp: L2spSettings | None = None
    replay: ReplaySettings | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that are on, in a fixed order."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)

    @property
    def needs_old_data(self) -> bool:
        """Whether anything here learns from old examples."""
        return self.ewc is not None or self.replay is not None


PROTECTIONS: dict[str, type[Any]] = {"ewc": EwcSettings, "l2sp": L2spSettings, "replay": ReplaySettings}


def protection_named(names: list[str], where: str) -> Protection:
    """The protections of those names with their default settings.

    Raises:
        PlanError: a name is unknown or given twice.

    Example:
        >>> protection_named(["replay"], "--approaches").replay
        ReplaySettings(ratio=0.1, sampler='uniform', memory=None, distill=0.0)
    """
    for name in names:
        if name not in PROTECTIONS:
            raise PlanError(f"{where}: unknown protection '{name}'; {did_you_mean(name, PROTECTIONS)}")
        if names.count(name) > 1:
            raise PlanError(f"{where}: protection '{name}' is named twice; name it once.")
    return Protection(**{name: PROTECTIONS[name]() for name in names})


def _check_strength(name: str, strength: float | None) -> None:
    if strength is not None and not strength >= 0:
        raise PlanError(f"{name}.strength={strength} is negative; use 0 to switch the pull off.")
