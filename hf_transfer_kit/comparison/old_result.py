"""What an arm still knows of the old data: values, as a comparison holds them. Imports no torch."""

from dataclasses import dataclass

from hf_transfer_kit.comparison.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class OldDataSummary:
    """The data that must not be forgotten.

    Fields:
        path, config, revision: as in the plan.
        label_names: of the old labels; empty for texts without labels.
        items: old test items, or texts.
        hashes: SHA-256 per part; of texts without labels under "texts".
    """

    path: str
    config: str | None = None
    revision: str | None = None
    label_names: tuple[str, ...] = ()
    items: int
    hashes: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OldResult:
    """How well an arm answers the test items of the old data; means over its seeds.

    Intervals are by bootstrap over old test items and seeds. Forgetting is accuracy before minus accuracy after
    (Chaudhry et al. 2018, arXiv:1801.10112, with two tasks); below 0: it got better.

    Fields:
        before, after: accuracy among all labels, old and new, of the model every arm starts from and of the arm.
        after_by_seed: one per seed.
        before_among_old, after_among_old: accuracy where the answers are limited to the old labels.
        forgetting: before - after.
        forgetting_among_old: the same among the old labels: what is lost even where the task is known.
        forgetting_by_head: the rest of `forgetting`: answers that are still known, but lose against a new label.
        average: mean of new and old accuracy, after.
        behind_best_average: that of the arm with the best one minus this one; None for that arm.
    """

    before: Estimate
    after: Estimate
    after_by_seed: tuple[float, ...]
    before_among_old: float
    after_among_old: float
    forgetting: Estimate
    forgetting_among_old: Estimate
    forgetting_by_head: Estimate
    average: Estimate
    behind_best_average: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldTextResult:
    """What an arm still makes of old texts without labels; means over its seeds.

    Fields:
        measure: "perplexity" (exp of the mean over texts; lower is better) or "probe" (share of the texts on which a
            fixed probe still reads the same; higher is better).
        before, after: of the model every arm starts from, and of the arm.
        after_by_seed: one per seed.
        worse: how much worse it got, in the unit of the measure; below 0: better. Bootstrap over texts and seeds.
    """

    measure: str
    before: float
    after: float
    after_by_seed: tuple[float, ...]
    worse: Estimate
