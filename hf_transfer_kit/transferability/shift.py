"""Whether other inputs are like the training rows, as one model's layer sees them; labels play no part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.comparison.estimate import Estimate, accuracy_of
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.metrics import bootstrap_accuracies
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.transferability.candidate_features import candidate_features
from hf_transfer_kit.transferability.domain_distance import DomainDistance, proxy_a_distance
from hf_transfer_kit.transferability.out_of_distribution import USUAL, out_of_distribution
from hf_transfer_kit.transferability.row_choice import other_rows, training_rows
from hf_transfer_kit.values import to_mapping, written_from_mapping

FORMAT = "hf_transfer_kit.shift"
VERSION = 1
OFTEN = 2 * (1 - USUAL)  # share of inputs outside from which the data are called other; test parts often have 8%
FAR = 1.0  # proxy A-distance: three of four inputs are told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How other inputs differ from the training rows.

    Fields:
        data: the other inputs, as they were given.
        model, layer: whose features were compared.
        distance: proxy A-distance, 0 to 2.
        outside: share of the other inputs further from the training rows than 95% of those are from each other.
    """

    data: str
    model: str
    layer: str
    distance: DomainDistance
    outside: Estimate

    @property
    def sentence(self) -> str:
        """In words."""
        distance, outside = self.distance.distance.value, self.outside.value
        start = f"{self.data}: proxy A-distance {distance:.2f} of 2, {outside:.0%} of the inputs far from training"
        if self.outside.low > OFTEN or distance > FAR:
            return f"{start} (about {1 - USUAL:.0%} is usual): other data; do not expect the same accuracy there."
        return f"{start}: like the training data."

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, with `format` and `version` first."""
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(self))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "shift") -> "Shift":
        """The shift in `mapping`; raises FormatError where it is none."""
        return written_from_mapping(cls, mapping, name=FORMAT, version=VERSION, where=where)


def measure_shift(
    data: DataSpec, other: DataSpec, model: ModelSpec, layer: str, *, max_rows: int = 1000, seed: int = 0
) -> Shift:
    """How the inputs of `other` (its first part; labels are not needed) differ from the training rows of `data`.

    Args:
        layer: name of the layer, as in `Candidate.layer`.
        max_rows, seed: as of a ranking, whose features are used again.

    Raises:
        DataError: the data cannot be read, or `other` has no inputs of the same kind.
        PlanError: the model has no such layer.
    """
    loaded = load_data(data)
    ours = training_rows(loaded, data, max_rows, data.max_length, seed)
    theirs = other_rows(other, loaded, data.max_length, max_rows, seed)
    first, second = (candidate_features(rows, model, random_seed=None)[0] for rows in (ours, theirs))
    if layer not in first.names:
        raise PlanError(f"layer '{layer}' of '{model.name}' does not exist; it has {', '.join(first.names)}.")
    training, queries = first.named(layer), second.named(layer)
    distances = out_of_distribution(training, queries)
    far = (distances.scores > distances.threshold)[None]
    return Shift(
        data=other.path,
        model=model.name,
        layer=layer,
        distance=proxy_a_distance(training, queries, seed),
        outside=accuracy_of(far, bootstrap_accuracies([far], seed=seed)[0]),
    )
