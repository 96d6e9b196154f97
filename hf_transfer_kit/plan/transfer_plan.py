"""TransferPlan: everything that decides one run; YAML in and out."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hf_transfer_kit.errors import FormatError, PlanError
from hf_transfer_kit.plan.approaches import CONTROLS, PROTECTABLE, Approach, approach_from_mapping
from hf_transfer_kit.plan.protection import Protection
from hf_transfer_kit.plan.specs import DataSpec, ModelSpec, Training
from hf_transfer_kit.values import check_format, from_mapping, to_mapping, write_text_atomically

FORMAT = "hf_transfer_kit.plan"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPlan:
    """One run: data, model, approach, training loop, seed.

    Fields:
        model: None only for the controls, which need none.
        seed: of the weights' start, the order of the examples and the training subset.
        old_data: what must not be forgotten. The model learns it first, unless it already knows it; every approach
            starts from there, with a head over old and new labels, and is scored on both.
        protection: against forgetting it.

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
    old_data: DataSpec | None = None
    protection: Protection = field(default_factory=Protection)

    def __post_init__(self) -> None:
        self._check_protection()
        if self.model is None and not isinstance(self.approach, CONTROLS):
            raise PlanError(f"approach '{self.approach.name}' needs a model; add 'model: {{name: ...}}'.")
        if self.seed < 0:
            raise PlanError(f"seed={self.seed} is negative; use 0.")

    @property
    def method(self) -> str:
        """Approach and protections: "full+ewc+replay"."""
        return "+".join([self.approach.name, *self.protection.names])

    def repeats(self, other: "TransferPlan") -> bool:
        """Whether it asks for the same run; limits of a remote model may differ."""
        return self._without_limits() == other._without_limits()

    def _without_limits(self) -> "TransferPlan":
        return self if self.model is None else dataclasses.replace(self, model=self.model.without_limits())

    def _check_protection(self) -> None:
        names = self.protection.names
        if names and not isinstance(self.approach, PROTECTABLE):
            able = ", ".join(approach.name for approach in PROTECTABLE)
            raise PlanError(f"approach '{self.approach.name}' takes no protection ('{names[0]}'); use one of {able}.")
        if self.protection.needs_old_data and self.old_data is None:
            raise PlanError(f"'{self.method}' protects old data, but none is given; add old_data (--old-data).")

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

    def save(self, path: Path | str) -> None:
        """Writes the plan as a YAML file, atomically."""
        write_text_atomically(Path(path), self.to_yaml())

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
    old_data: DataSpec | None = None
    protection: Protection = field(default_factory=Protection)
