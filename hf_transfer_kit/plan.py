"""TransferPlan: everything that decides a run, as frozen dataclasses; YAML in and out.

One plan is one run: one data set, one model, one approach, one seed. `transfer-kit compare` is nothing but many plans.

    format: hf_transfer_kit.plan
    version: 1
    data: {path: reviews.csv}
    model: {name: distilbert-base-uncased}
    approach: {name: full, learning_rate: 5.0e-5}
    seed: 0

Unknown settings, wrong types and unknown versions are errors. Imports no torch.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from hf_transfer_kit.errors import FormatError, PlanError, did_you_mean
from hf_transfer_kit.values import check_format, from_mapping, to_mapping, write_text_atomically

FORMAT = "hf_transfer_kit.plan"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which examples to learn from.

    Fields:
        path: a Hub name, a CSV / TSV / JSON / JSONL / Parquet file, a folder of such files named by split, a folder of
            images by class, or a `save_to_disk` folder.
        config, revision: of a Hub data set.
        task: "text-classification" or "image-classification"; None: found from the columns.
        input_column, label_column: None: found from the columns.
        validation_share, test_share: share of the rows split off, stratified, where the data has no such part;
            in (0, 1).
        split_seed: seed of that split; the same for every run of a comparison.
        train_size: labelled training examples to use, stratified; None: all. Validation is then cut to as many.
        max_length: longest text in tokens; longer ones are cut.
        drop_empty: leave out rows with an empty input or no label instead of stopping.
        drop_rare: leave out classes with too few examples to split instead of stopping.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    task: str | None = None
    input_column: str | None = None
    label_column: str | None = None
    validation_share: float = 0.15
    test_share: float = 0.2
    split_seed: int = 0
    train_size: int | None = None
    max_length: int = 128
    drop_empty: bool = False
    drop_rare: bool = False

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise PlanError(f"{name}={getattr(self, name)} must lie between 0 and 1; use 0.2 for a fifth.")
        if self.validation_share + self.test_share >= 1:
            raise PlanError(
                f"validation_share={self.validation_share} and test_share={self.test_share} leave nothing to train "
                "on; their sum must be below 1."
            )
        if self.train_size is not None and self.train_size < 1:
            raise PlanError(f"train_size={self.train_size} must be >= 1; leave it out to use all examples.")
        if self.max_length < 2:
            raise PlanError(f"max_length={self.max_length} leaves no room for words; use 128.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which pre-trained model to start from.

    Fields:
        name: a Hub name, a local folder, or "demo" for the model of the demo.
        revision: branch, tag or commit of a Hub model.
        blocks: names of the model's blocks, bottom to top, where they cannot be found automatically.
    """

    name: str
    revision: str | None = None
    blocks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The training loop of the trained approaches (top_layers, full, lora, scratch).

    Fields:
        epochs: most passes over the training data.
        min_steps: with little data, pass more often until there are this many optimizer steps (Mosbach et al. 2021,
            arXiv:2006.04884: few examples need more passes, not fewer).
        patience: evaluations on validation without improvement before stopping.
        batch_size: examples per optimizer step, over all processes and accumulated micro-batches.
        accumulation: micro-batches per optimizer step; saves memory, changes no result.
        weight_decay: of AdamW, not applied to biases and norms.
        warmup_share: share of the steps over which the rates rise from 0.
        dropout: probability used everywhere in the model; None: the model's own. 0 makes a run independent of how its
            batches are spread over processes and micro-batches.
        precision: "auto" (bf16 where the GPU has it, else fp32), "fp32" or "bf16".
        checkpoint_seconds: shortest time between two checkpoints, which follow evaluations; short runs write none.
        gradient_checkpointing: recompute activations in the backward pass; less memory, more time.
        report_to: experiment trackers of the Trainer: "trackio", "tensorboard", "wandb".
    """

    epochs: int = 10
    min_steps: int = 100
    patience: int = 2
    batch_size: int = 16
    accumulation: int = 1
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    dropout: float | None = 0.0
    precision: str = "auto"
    checkpoint_seconds: float = 60.0
    gradient_checkpointing: bool = False
    report_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise PlanError(f"training.{name}={getattr(self, name)} must be >= 1; leave it out for the default.")
        if self.batch_size % self.accumulation:
            raise PlanError(
                f"training.batch_size={self.batch_size} cannot be cut into accumulation={self.accumulation} equal "
                "micro-batches; choose a divisor."
            )
        for name in ("min_steps", "weight_decay", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"training.{name}={getattr(self, name)} must be >= 0; use 0 to switch it off.")
        if not 0 <= self.warmup_share < 1:
            raise PlanError(f"training.warmup_share={self.warmup_share} must lie in [0, 1); use 0.1.")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise PlanError(f"training.dropout={self.dropout} must lie in [0, 1), or be null for the model's own.")
        if self.precision not in ("auto", "fp32", "bf16"):
            options = did_you_mean(self.precision, ["auto", "fp32", "bf16"])
            raise PlanError(f"training.precision='{self.precision}' is unknown; {options}")


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
        head_learning_rate: of the new head.
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
        head_learning_rate: of the new head.
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
class Lora:
    """Low-rank adapters beside frozen weights (Hu et al. 2021, arXiv:2106.09685), through peft.

    Fields:
        rank: of each adapter, >= 1.
        alpha: scale; the update is alpha / rank * B A.
        learning_rate: of the adapters.
        head_learning_rate: of the new head.
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


Approach = Majority | Shallow | Features | TopLayers | Full | Lora | Scratch
CONTROLS: tuple[type[Any], ...] = (Majority, Shallow)
DETERMINISTIC: tuple[type[Any], ...] = (Majority, Shallow, Features)  # the seed only draws their subset of examples
APPROACHES: dict[str, type[Any]] = {
    cls.name: cls for cls in (Majority, Shallow, Features, TopLayers, Full, Lora, Scratch)
}


def approach_from_mapping(mapping: Any, where: str) -> Approach:
    """The approach a mapping such as `{name: lora, rank: 4}` describes; a bare name means its defaults."""
    settings = {"name": mapping} if isinstance(mapping, str) else dict(mapping) if isinstance(mapping, dict) else {}
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in APPROACHES:
        raise PlanError(f"{where}: unknown approach '{name}'; {did_you_mean(str(name), APPROACHES)}")
    approach: Approach = from_mapping(APPROACHES[name], settings, f"{where} ({name})")
    return approach


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPlan:
    """One run: data, model, approach, training loop, seed.

    Fields:
        model: None only for the controls, which need none.
        seed: of the weights' start, the order of the examples and the training subset.

    Raises:
        PlanError: a setting is wrong, or an approach that needs a model has none.

    Example:
        >>> plan = TransferPlan(data=DataSpec(path="reviews.csv"), approach=Majority())
        >>> TransferPlan.from_yaml(plan.to_yaml()) == plan
        True
    """

    data: DataSpec
    approach: Approach
    model: ModelSpec | None = None
    training: Training = field(default_factory=Training)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model is None and not isinstance(self.approach, CONTROLS):
            raise PlanError(f"approach '{self.approach.name}' needs a model; add 'model: {{name: ...}}'.")
        if self.seed < 0:
            raise PlanError(f"seed={self.seed} is negative; use 0.")

    def to_mapping(self) -> dict[str, Any]:
        """The plan as plain values, with `format` and `version` first."""
        settings = {"name": self.approach.name} | to_mapping(self.approach)
        plan: dict[str, Any] = {"format": FORMAT, "version": VERSION} | to_mapping(self) | {"approach": settings}
        return plan

    @classmethod
    def from_mapping(cls, mapping: Any, where: str = "plan") -> "TransferPlan":
        """The plan in `mapping`.

        Raises:
            FormatError: not a plan, or of an unknown version.
            PlanError: an unknown, missing or wrong setting.
        """
        settings = check_format(mapping, name=FORMAT, version=VERSION, where=where)
        if "approach" not in settings:
            raise PlanError(f"{where}: setting 'approach' is missing; add 'approach: {{name: features}}'.")
        approach = approach_from_mapping(settings.pop("approach"), f"{where}: approach")
        placeholder = from_mapping(_PlanWithoutApproach, settings, where)
        parts = {f.name: getattr(placeholder, f.name) for f in dataclasses.fields(placeholder)}
        return cls(approach=approach, **parts)

    def to_yaml(self) -> str:
        """The plan as YAML text."""
        return yaml.safe_dump(self.to_mapping(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str, where: str = "plan") -> "TransferPlan":
        """The plan in YAML text; raises as `from_mapping`."""
        try:
            mapping = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
            # PyYAML lets more than its own errors pass: ValueError for the date 2025-02-30, say.
            raise FormatError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error
        return cls.from_mapping(mapping, where)

    @classmethod
    def load(cls, path: Path | str) -> "TransferPlan":
        """The plan in a YAML file; raises as `from_mapping`."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"plan '{path}' cannot be read: {error}.") from error
        return cls.from_yaml(text, where=str(path))

    def save(self, path: Path) -> None:
        """Writes the plan as a YAML file, atomically."""
        write_text_atomically(path, self.to_yaml())

    def digest(self) -> str:
        """16 hexadecimal digits that change when any setting changes."""
        text = json.dumps(self.to_mapping(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlanWithoutApproach:
    """What `TransferPlan.from_mapping` reads by annotation; the approach is a union and is read by its name."""

    data: DataSpec
    model: ModelSpec | None = None
    training: Training = field(default_factory=Training)
    seed: int = 0
