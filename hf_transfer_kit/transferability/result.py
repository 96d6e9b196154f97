"""Ranking: what frozen candidates promise on one data set; JSON in and out.

Scores are shares between 0 and 1 unless said otherwise. Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.records import ModelIdentity
from hf_transfer_kit.transferability.learning_curve import LearningCurve
from hf_transfer_kit.values import read_json, to_mapping, write_json, written_from_mapping

FORMAT = "hf_transfer_kit.ranking"
VERSION = 1
LARGE = 0.1  # of a gain in accuracy: one that may be larger has not been told from nothing


def no_gain(gain: Estimate | None) -> bool:
    """Whether a measured gain may be nothing and cannot be large; where it may be both there were too few rows."""
    return gain is not None and not gain.above_zero and gain.high <= LARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerScores:
    """What the estimators say of one layer.

    Fields:
        layer: its number, "0" being the stem's output, or "mean".
        width: of its features.
        ridge, knn: leave-one-out accuracy on training rows.
        h_score, log_me: without unit; never to be compared between data sets.
        mean_rank: of the four, among the layers of this model; 1 is best.
    """

    layer: str
    width: int
    ridge: float
    knn: float
    h_score: float
    log_me: float
    mean_rank: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPrice:
    """What using a candidate costs.

    Fields:
        ms_per_row: wall time of the pass for one example, milliseconds; of an earlier pass where `cached`.
        flops_per_row: floating-point operations for one example.
        parameters: of the model.
        estimator_seconds: processor time of all estimators on all layers.
        cached: True where the features were there from an earlier run.
    """

    ms_per_row: float
    flops_per_row: float
    parameters: int
    estimator_seconds: float
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One frozen pre-trained model.

    Fields:
        model: which weights.
        layers: bottom to top, the mean of the layers last.
        layer: the best by mean rank over the four estimators.
        accuracy: of ridge on that layer: what `features` may be expected to reach.
        last_layer: the same on the model's last layer.
        ranks: of each estimator among the candidates' best layers; 1 is best.
        mean_rank: of those.
        behind: accuracy of the most accurate candidate less this one's; None for that one itself.
        over_shallow, over_random: accuracy less that of TF-IDF or raw pixels, and less that of the best layer of the
            random copy; None where that was not measured.
        last_layer_over_shallow: of the last layer.
        price: what it costs.
    """

    model: ModelIdentity
    layers: tuple[LayerScores, ...]
    layer: str
    accuracy: Estimate
    last_layer: float
    ranks: dict[str, float]
    mean_rank: float
    behind: Estimate | None
    over_shallow: Estimate | None
    over_random: Estimate | None
    last_layer_over_shallow: Estimate | None
    price: PassPrice

    @property
    def tied(self) -> bool:
        """True where it cannot be told from the most accurate candidate."""
        return self.behind is None or not self.behind.above_zero

    @property
    def negative_transfer(self) -> bool:
        """True where the frozen model is not better than the shallow control, or than its random copy."""
        return no_gain(self.over_shallow) or no_gain(self.over_random)

    @property
    def unclear(self) -> bool:
        """True where there are too few rows to tell whether it is better than those."""
        gains = [gain for gain in (self.over_shallow, self.over_random) if gain is not None]
        return not self.negative_transfer and not all(gain.above_zero for gain in gains)

    @property
    def negative_upper_layers(self) -> bool:
        """True where only a lower layer helps: the last one is not better than the shallow control."""
        return not self.negative_transfer and no_gain(self.last_layer_over_shallow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What is there without a pre-trained model: "majority", "TF-IDF", "raw pixels"."""

    name: str
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCandidate:
    """A model that could not be measured, and why."""

    model: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Candidates in order: those that cannot be told from the most accurate one first, each group by mean rank.

    Fields:
        data: as it was given.
        rows, classes: training rows looked at, and their classes.
        candidates: in order.
        controls: majority and shallow.
        failures: candidates that could not be measured.
        agreement: Kendall's W of the four estimators on the candidates; None for fewer than three.
        advised: the cheapest candidate among the level ones; None where none helps.
        sentence: that in words.
        cautions: negative transfer, too few rows, leaks, disagreement; the gravest first.
        curve: of the advised candidate's layer (else the first one's); None where there are too few rows.
        leaked_test_rows: positions of test inputs that stand in training too; None where that was not looked for.
        seconds: of the whole ranking.
    """

    data: str
    rows: int
    classes: int
    candidates: tuple[Candidate, ...]
    controls: tuple[Control, ...]
    failures: tuple[FailedCandidate, ...] = ()
    agreement: float | None = None
    advised: str | None = None
    sentence: str = ""
    cautions: tuple[str, ...] = ()
    curve: LearningCurve | None = None
    leaked_test_rows: tuple[int, ...] | None = None
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def tied(self) -> tuple[str, ...]:
        """Names of the candidates that cannot be told from the most accurate one, that one included."""
        return tuple(candidate.model.name for candidate in self.candidates if candidate.tied)

    @property
    def first_choice(self) -> Candidate:
        """The advised candidate; where none helps, the first in order."""
        return next((each for each in self.candidates if each.model.name == self.advised), self.candidates[0])

    def to_mapping(self) -> dict[str, Any]:
        """The ranking as plain values, with `format` and `version` first."""
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(self))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "ranking") -> "Ranking":
        """The ranking in `mapping`.

        Raises:
            FormatError: not a ranking, of an unknown version, or with unknown, missing or wrong fields.
        """
        return written_from_mapping(cls, mapping, name=FORMAT, version=VERSION, where=where)

    def save(self, path: Path) -> None:
        """Writes the ranking as JSON, atomically."""
        write_json(path, self.to_mapping())

    @classmethod
    def load(cls, path: Path | str) -> "Ranking":
        """The ranking in a JSON file; raises FormatError as `from_mapping`."""
        return cls.from_mapping(read_json(Path(path)), where=str(path))
