"""Comparison: what runs on one data set say about each other; JSON in and out.

`compare` makes it from records, `report` shows it. Scores are shares between 0 and 1; a "point" is 0.01 of accuracy.
Imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.old_result import OldDataSummary, OldResult, OldTextResult
from hf_transfer_kit.comparison.prompt_result import Crossover, Payback, PromptResult
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.plan import Training
from hf_transfer_kit.records import Cost, ModelIdentity
from hf_transfer_kit.values import read_json, to_mapping, write_json, written_from_mapping

FORMAT = "hf_transfer_kit.comparison"
VERSION = 1
CONTROLS = ("majority", "shallow")
PROMPTED = ("zero_shot", "few_shot", "prototype")  # answer without training a weight
FINE_TUNED = (
    "features",
    "top_layers",
    "full",
    "gradual",
    "lora",
    "prompt_tuning",
)  # train some, from pre-trained ones
PRETRAINED = (*PROMPTED, *FINE_TUNED)  # the approaches that stand on pre-trained weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well an arm answers the test items; means over its seeds.

    Fields:
        accuracy: share of right answers; interval by bootstrap over test items and seeds.
        macro_f1: mean F1 of the classes.
        calibration_error, calibrated_error: expected calibration error before and after temperature scaling.
    """

    accuracy: Estimate
    macro_f1: float
    calibration_error: float
    calibrated_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One method on one model at one number of training examples, over its seeds.

    Fields:
        name: for people, unique in a comparison: "features", with several models "features · mobilenet_v2".
        approach, protections: their names in the plan.
        model, remote: the model's name in the plan, None for the controls; True where another machine answers.
        train_size: examples to train on, or to draw those of a prompt from.
        labels_used: labelled examples it could learn or choose from: those of training and validation, fewer where a
            prompt looks at some only; 0: the arm is the same at every training size.
        seeds: those that finished, ascending.
        accuracies: one per seed.
        scores: on the whole test part.
        scores_without_leaked: on the test rows that are no copies of training or validation rows; None where none is.
        behind_best: accuracy of the best arm minus that of this one; None for the best arm.
        p_value: exact McNemar test against the best arm, over seeds and corrected over arms; None for the best arm.
        gain_over_control: accuracy minus that of the best control; None for controls and where there is none.
        gain_over_scratch: accuracy minus that of the same model from a random start; None where that was not measured.
        layer, last_layer: of frozen features: the layer read (of the first seed), and the leave-one-out accuracy of
            the last layer on training rows, mean over seeds; None for other approaches.
        still_improving: True where the last evaluation on validation was the best one in every run, so that more
            epochs may help.
        unreadable: answers that were none of the labels, of all runs together; they count as wrong.
        prompt: what was asked, of prompted arms.
        old, old_text: what it still knows of the old data; None without such data, for controls and a random start.
        cost: means over the seeds.
    """

    name: str
    approach: str
    protections: tuple[str, ...] = ()
    model: str | None = None
    remote: bool = False
    train_size: int
    labels_used: int
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    scores: Scores
    scores_without_leaked: Scores | None = None
    behind_best: Estimate | None = None
    p_value: float | None = None
    gain_over_control: Estimate | None = None
    gain_over_scratch: Estimate | None = None
    layer: str | None = None
    last_layer: float | None = None
    still_improving: bool = False
    unreadable: int = 0
    prompt: PromptResult | None = None
    old: OldResult | None = None
    old_text: OldTextResult | None = None
    cost: Cost

    @property
    def method(self) -> str:
        """Approach and protections: "full+ewc+replay"."""
        return "+".join([self.approach, *self.protections])

    @property
    def accuracy(self) -> float:
        """Mean share of right answers on the whole test part."""
        return self.scores.accuracy.value

    @property
    def is_control(self) -> bool:
        """True for majority class, TF-IDF and raw pixels."""
        return self.approach in CONTROLS

    @property
    def is_pretrained(self) -> bool:
        """True where the arm stands on pre-trained weights: neither a control nor a random start."""
        return self.approach in PRETRAINED

    @property
    def is_prompted(self) -> bool:
        """True where no weight is trained: the model is asked with a prompt."""
        return self.approach in PROMPTED

    @property
    def is_fine_tuned(self) -> bool:
        """True where weights are trained that stand on pre-trained ones: a head, some, or all of them."""
        return self.approach in FINE_TUNED


def typical_half_width(arms: Sequence[ArmResult]) -> float:
    """The median half width of the arms' accuracy intervals; it decides how many decimals all their accuracies get."""
    return median(arm.scores.accuracy.half_width for arm in arms)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Accuracy at one number of training examples; `labels_used` as of `ArmResult`."""

    train_size: int
    labels_used: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Accuracy of one arm over numbers of training examples, ascending; one point where it uses no labels."""

    name: str
    approach: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that did not finish: its name and the one line that says why."""

    run: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """The data the arms were compared on; `rows` per part, of the largest training size."""

    path: str
    config: str | None = None
    revision: str | None = None
    task: str
    label_names: tuple[str, ...]
    rows: dict[str, int]
    hashes: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How the numbers were made: what a reader needs to trust or repeat them.

    Fields:
        validation_share, test_share, split_seed: of the split, where the data had no such part.
        training: the loop of the trained approaches.
        resamples, level, calibration_bins: of the bootstrap, its intervals and the calibration error.
        versions, machine: of the runs; several values of one name are joined by " / ".
        command: the line that repeats the comparison; "" where it is not known.
        dollars_per_hour: price of this machine, to compare it with what is billed; None: not given.
    """

    validation_share: float
    test_share: float
    split_seed: int
    training: Training
    resamples: int
    level: float
    calibration_bins: int
    versions: dict[str, str]
    machine: dict[str, str]
    command: str = ""
    dollars_per_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a person decides from.

    Fields:
        verdict: one sentence; names a winner only where the interval of its lead excludes zero. With old data, it is
            about the mean of new and old accuracy.
        forgetting: one sentence, what is forgotten of the old data; "" without such data.
        prompting: one sentence, whether a prompt is enough: from how many labels on fine-tuning is better, and after
            how many predictions it pays back; "" where nothing was prompted or nothing fine-tuned.
        next_step: what would settle what the verdict leaves open, or "".
        verdict_without_leaked: the verdict on the test rows that are no copies; None where no row leaked.
        recommended: name of the arm to use.
        tied: names of the arms within the error of the best one, that one included; of the best mean with old data.
        more_test_items: how many more would about decide between the recommended arm and its rival; None where nothing
            is open, or where the two are exactly level.
        warnings: sentences, negative transfer first.
        crossover: of prompting and fine-tuning over training sizes; None where there is one size or one side.
        payback: what fine-tuning costs against the best prompt; None where 1000 predictions of one were not measured.
        old_data: what must not be forgotten; None where nothing was named.
        arms: at the largest training size, most accurate first.
        curves: over training sizes; empty where there is one size.
        models: exactly which weights the arms started from.
        checks: what the checks of the data found; None where they did not run.
        failures: runs that did not finish.
    """

    verdict: str
    forgetting: str = ""
    prompting: str = ""
    next_step: str = ""
    verdict_without_leaked: str | None = None
    recommended: str
    tied: tuple[str, ...]
    more_test_items: int | None = None
    warnings: tuple[str, ...] = ()
    arms: tuple[ArmResult, ...]
    curves: tuple[LearningCurve, ...] = ()
    crossover: Crossover | None = None
    payback: Payback | None = None
    data: DataSummary
    old_data: OldDataSummary | None = None
    measurement: Measurement
    models: tuple[ModelIdentity, ...] = ()
    checks: CheckReport | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def leaked(self) -> int:
        """How many test rows are copies of training or validation rows."""
        return len(self.checks.leaked_test_rows) if self.checks else 0

    def to_mapping(self) -> dict[str, Any]:
        """The comparison as plain values, with `format` and `version` first."""
        fields: dict[str, Any] = to_mapping(self)
        return {"format": FORMAT, "version": VERSION} | fields

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "comparison") -> "Comparison":
        """The comparison in `mapping`.

        Raises:
            FormatError: not a comparison, of an unknown version, or with unknown, missing or wrong fields.
        """
        return written_from_mapping(cls, mapping, name=FORMAT, version=VERSION, where=where)

    def save(self, path: Path) -> None:
        """Writes the comparison as JSON, atomically."""
        write_json(path, self.to_mapping())

    @classmethod
    def load(cls, path: Path | str) -> "Comparison":
        """The comparison in a JSON file; raises FormatError as `from_mapping`."""
        return cls.from_mapping(read_json(Path(path)), where=str(path))
