"""Evidence: what was measured on the person's own data, as facts beside those that were told."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.values import read_json, to_mapping, write_json, written_from_mapping

FORMAT, VERSION = "hf_transfer_kit.evidence", 1
FILE = "evidence.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Accuracy of a frozen candidate on its best layer, or of a control, with the 95% interval.

    Fields:
        name: of the model, or "majority", "TF-IDF", "raw pixels".
        layer: the best one; None for a control.
        last_layer: accuracy there.
        level: it cannot be told from the most accurate one.
        negative_transfer: frozen, or in its upper layers, it is no better than the simplest control.
    """

    name: str
    accuracy: float
    low: float
    high: float
    layer: str | None = None
    last_layer: float | None = None
    level: bool = False
    negative_transfer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a ranking of frozen candidates means for the advice.

    Fields:
        data: what was measured on; rows: training rows that were looked at.
        model: to start from: the cheapest of the best; where none helps frozen, the most accurate, to be trained.
        frozen, similarity: as in `TaskFacts`; similarity None where there are too few rows to tell.
        sentence: the ranking's own.
        held_out: the model's layer on validation rows, which took no part; None where there are too few.
        candidates: in order; controls: what is there without a model.
        cautions: the gravest first; failures: candidates that could not be measured.
    """

    data: str
    rows: int
    model: str
    frozen: str | None
    similarity: str | None
    sentence: str
    candidates: tuple[Measured, ...]
    controls: tuple[Measured, ...]
    held_out: Measured | None = None
    cautions: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def added_to(self, facts: TaskFacts) -> TaskFacts:
        """The facts with what was measured: it stands above a similarity that was told, not above the model wanted."""
        similarity = self.similarity if self.frozen == "no_better" else facts.similarity or self.similarity
        base_model = facts.base_model or self.model
        return replace(facts, frozen=self.frozen, similarity=similarity, base_model=base_model)

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, with `format` and `version` first."""
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(self))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "evidence") -> "Evidence":
        """The evidence in `mapping`; raises FormatError where it is none."""
        return written_from_mapping(cls, mapping, name=FORMAT, version=VERSION, where=where)

    def save(self, path: Path) -> None:
        """Writes it as JSON, atomically."""
        write_json(path, self.to_mapping())

    @classmethod
    def load(cls, path: Path) -> "Evidence":
        """The evidence in a file; raises FormatError where it is none, or is not there."""
        return cls.from_mapping(read_json(path), str(path))
