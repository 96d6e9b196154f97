"""The model families the advisor knows, from models.toml, and the slates that say which of them fit which task."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from hf_transfer_kit.advisor.advice import ModelAdvice
from hf_transfer_kit.advisor.knowledge.conditions import Condition
from hf_transfer_kit.advisor.knowledge.rule_table import read_table
from hf_transfer_kit.plan.specs import short_model_name

LARGE = 300_000_000  # parameters; transformers above it do not answer in real time


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model to start from.

    Fields:
        key: short name: "resnet-50".
        name, hub_id, family, parameters, licence, why: as of `ModelAdvice`.
        kind: "encoder", "cnn", "vision_transformer", "language_model", ...
        kit: `transfer-kit run` can classify with it or ask it.
        large: too large for real time although nobody has published its parameters.
        top_blocks: blocks that "the top layers" are.
        head_width: inputs of its new head, where the guides name it.
        table: what a guide's table says of it, word for word; rule: the rule it stands in.
    """

    key: str
    name: str
    family: str
    kind: str
    licence: str
    kit: bool
    why: str
    hub_id: str | None = None
    parameters: int | None = None
    large: bool = False
    top_blocks: int = 2
    head_width: int | None = None
    table: str | None = None
    rule: str | None = None

    @property
    def is_large_transformer(self) -> bool:
        """Whether answers in real time rule it out."""
        return self.large or (self.kind != "cnn" and (self.parameters or 0) > LARGE)

    @property
    def reads_text(self) -> bool:
        """Whether its input is text alone."""
        return self.kind in ("encoder", "language_model", "text_to_text")

    @property
    def can_train(self) -> bool:
        """Whether its weights are at hand; an API can only be asked."""
        return self.hub_id is not None or self.kind != "language_model"

    def as_advice(self, memory_mib: float | None) -> ModelAdvice:
        """The model as the advice shows it, with the memory it needs."""
        quoted = f" The guide's table: {self.table}." if self.table else ""
        return ModelAdvice(
            name=self.name, hub_id=self.hub_id, family=self.family, parameters=self.parameters, licence=self.licence,
            memory_mib=None if memory_mib is None else round(memory_mib, 1), why=self.why + quoted,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """The candidates for one kind of task, the first one first, and the rules behind them."""

    when: Condition
    models: tuple[KnownModel, ...]
    rules: tuple[str, ...]


@cache
def known_models() -> Mapping[str, KnownModel]:
    """All models by key.

    Example:
        >>> known_models()["mobilenet"].table
        'MobileNetV2: 3.4M params, top-5 90.1%'
    """
    return {key: KnownModel(key=key, **entry) for key, entry in read_table("models.toml").items()}


@cache
def slates() -> tuple[Slate, ...]:
    """All slates; the first one that holds counts."""
    return tuple(
        Slate(
            when=Condition.of(entry["when"]), rules=tuple(entry["rules"]),
            models=tuple(known_models()[key] for key in entry["models"]),
        )
        for entry in read_table("slates.toml")["slate"]
    )  # fmt: skip


@lru_cache(maxsize=256)
def model_named(name: str) -> KnownModel:
    """The model a person names; one that the advisor does not know has no family but its own name."""
    for model in known_models().values():
        if name.lower() in (model.key, (model.hub_id or "").lower(), (model.hub_id or "").lower().rpartition("/")[2]):
            return model
    return KnownModel(
        key=name, name=short_model_name(name), hub_id=name, family=name, kind="unknown", licence="see its card",
        kit=True, why="The model you want to start from.",
    )  # fmt: skip
