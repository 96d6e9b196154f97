"""What a comparison says of prompts: values, as it holds them. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptResult:
    """What a prompted arm asked, and what its choices are worth; means over its seeds. None: not tried, or not known.

    Fields:
        name: of the prompt: "built-in", or a file.
        text: the prompt itself, as YAML that can be used again; of the first seed.
        demonstrations: labelled examples in each prompt.
        calibration: the one that was used: "none", "contextual" or "batch".
        uncalibrated, contextual, batch: accuracy on the test items without calibration and with either.
        worst_order, best_order: accuracy on validation of the worst and the best order of the examples.
    """

    name: str
    text: str = ""
    demonstrations: float | None = None
    calibration: str = ""
    uncalibrated: float | None = None
    contextual: float | None = None
    batch: float | None = None
    worst_order: float | None = None
    best_order: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """From how many labels on fine-tuning beats prompting, up to the most that were measured; 95% interval.

    A number of labels is 0 where fine-tuning is ahead from the fewest measured on, and None where prompting is still
    ahead with the most: the true one may then lie anywhere beyond.

    Fields:
        prompting, trained: the arms that meet there, each the best of its side.
        labels: the estimate.
        low, high: its interval.
        first, last: the fewest and the most labels at which both sides are known.
    """

    prompting: str
    trained: str
    labels: float | None
    low: float | None
    high: float | None
    first: int
    last: int

    @property
    def ahead(self) -> str:
        """Who is certainly ahead over all that was measured: "prompting", "training", or "undecided"."""
        if self.low is None:
            return "prompting"
        return "training" if self.high == 0 else "undecided"

    @property
    def is_open(self) -> bool:
        """True where the interval reaches over both ends, so that nothing is known."""
        return self.low == 0 and self.high is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payback:
    """What a fine-tuned arm costs against the best prompt: once, and per 1000 predictions.

    Fields:
        prompting, trained: names of the two arms.
        unit: "seconds" of this machine, or "dollars".
        one_off: what the fine-tuned arm costs more before its first prediction; below 0: less.
        saved: what it saves on 1000 predictions; below 0: it costs more.
        saved_uncached: the same where the prompt is read again for every prediction.
        equal, equal_uncached: True where the predictions of the two cost as much: within a tenth of each other, or by
            the same number of operations.
        missing: what has to be known to compare the two, and is not; the numbers are then 0. "" where nothing is.
    """

    prompting: str
    trained: str
    unit: str = "seconds"
    one_off: float = 0.0
    saved: float = 0.0
    saved_uncached: float = 0.0
    equal: bool = False
    equal_uncached: bool = False
    missing: str = ""
