"""How far the advice is from the best approach, and what it costs against running them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean

from benchmarks.transfer.data_sets import DATA_SETS
from benchmarks.transfer.measure import Measured

NOT_A_CHOICE = ("majority",)
ALWAYS = ("features", "full", "lora")  # what an advisor has to be better than


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One data set at one number of training rows, over its seeds.

    Fields:
        accuracy: of each approach, mean over the seeds it ran with.
        best: name of the most accurate one, the shallow control included; chosen on test, so a little flattered.
        methods, by_rules: what was advised with each seed, measured and by the rules alone.
        advised_accuracy, rules_accuracy: of the plan so advised; of the approach of that name, None where it was not
            run at this size.
        cost_share: processor time of asking and of running the plan, as a share of running every approach once.
    """

    data_set: str
    size: int
    seeds: int
    accuracy: dict[str, float]
    best: str
    methods: tuple[str, ...]
    by_rules: tuple[str, ...]
    advised_accuracy: float
    rules_accuracy: float | None
    cost_share: float

    @property
    def regret(self) -> float:
        """Points of accuracy that the advised plan is behind the best approach; below 0 where it is ahead."""
        return 100 * (self.accuracy[self.best] - self.advised_accuracy)

    @property
    def rules_regret(self) -> float | None:
        """The same for the rules alone."""
        return None if self.rules_accuracy is None else 100 * (self.accuracy[self.best] - self.rules_accuracy)

    def regret_of(self, approach: str) -> float | None:
        """Of always taking `approach`; None where it was not run at this size."""
        found = self.accuracy.get(approach)
        return None if found is None else 100 * (self.accuracy[self.best] - found)


def cells(found: Sequence[Measured]) -> list[Cell]:
    """Units of one data set and size together, in the order of `DATA_SETS` and of size."""
    names = [data_set.name for data_set in DATA_SETS]

    def place(unit: Measured) -> tuple[int, int]:
        return names.index(unit.data_set), unit.size

    return [cell_of(list(units)) for _, units in groupby(sorted(found, key=place), key=place)]


def cell_of(units: Sequence[Measured]) -> Cell:
    """The cell of units that differ in their seeds."""
    names = dict.fromkeys(name for unit in units for name in unit.arms)
    reached = {name: mean(u.arms[name].accuracy for u in units if name in u.arms) for name in names}
    spent = {name: mean(u.arms[name].cpu_seconds for u in units if name in u.arms) for name in names}
    rules = [unit.arms[unit.advice.by_rules].accuracy for unit in units if unit.advice.by_rules in unit.arms]
    return Cell(
        data_set=units[0].data_set, size=units[0].size, seeds=len(units), accuracy=reached,
        best=max((name for name in names if name not in NOT_A_CHOICE), key=reached.__getitem__),
        methods=tuple(unit.advice.method for unit in units), by_rules=tuple(unit.advice.by_rules for unit in units),
        advised_accuracy=mean(unit.advised.accuracy for unit in units),
        rules_accuracy=mean(rules) if len(rules) == len(units) else None,
        cost_share=mean(u.advice.cpu_seconds + u.advised.cpu_seconds for u in units) / sum(spent.values()),
    )  # fmt: skip


def mean_over(found: Sequence[Cell], value: Callable[[Cell], float | None]) -> float | None:
    """Mean over the cells that have it; None where none has."""
    known = [number for cell in found if (number := value(cell)) is not None]
    return mean(known) if known else None
