"""What is compared on each data set at each number of training rows, and how long it trains."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.transfer.data_sets import DATA_SETS, IMAGE, TEXT, DataSet
from hf_transfer_kit.plan import (
    Approach,
    DataSpec,
    Features,
    FewShot,
    Full,
    Gradual,
    Lora,
    ModelSpec,
    Prototype,
    Scratch,
    TopLayers,
    Training,
    TransferPlan,
    ZeroShot,
)
from hf_transfer_kit.study.study import Study

ASKED: tuple[Approach, ...] = (ZeroShot(), FewShot(), Prototype())  # a model for pictures alone reads no label names
TRANSFERRED: tuple[Approach, ...] = (Features(), TopLayers(), Full(), Gradual(), Lora())
AT_MOST_SIZE: tuple[Approach, ...] = (Features(), TopLayers(), Full())  # what there was time for
SEVERAL_SEEDS, SEEDS = 256, 3  # up to so many rows, three seeds
LARGEST = 4096
EPOCHS = {(TEXT, 1024): 4, (TEXT, LARGEST): 3, (IMAGE, LARGEST): 3}  # at most; else the kit's default of 10
MAX_LENGTH = 32  # tokens; the longest text but one in a hundred has fewer


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """Everything at one number of training rows, once.

    Fields:
        round: units of an earlier round run first: one seed of each size but the largest, which comes with the second.
        seed: draws the rows, the start of new weights and the order of the batches.
    """

    round: int
    size: int
    place: int
    seed: int

    @property
    def data_set(self) -> DataSet:
        """What is learned from."""
        return DATA_SETS[self.place]

    @property
    def name(self) -> str:
        """For files: "snips-64-0"."""
        return f"{self.data_set.name}-{self.size}-{self.seed}"


def units() -> list[Unit]:
    """All of them in the order in which they run: an early stop leaves a smaller table that is whole."""
    return sorted(_units())


def _units() -> Iterator[Unit]:
    for place, data_set in enumerate(DATA_SETS):
        for size in data_set.sizes:
            for seed in range(SEEDS if size <= SEVERAL_SEEDS else 1):
                yield Unit(max(seed, int(size == LARGEST)), size, place, seed)


def training(unit: Unit) -> Training:
    """The kit's own loop, with fewer epochs where many rows would take too long."""
    return Training(epochs=EPOCHS.get((unit.data_set.kind, unit.size), Training().epochs))


def plans(unit: Unit, pool: Path, model: ModelSpec) -> dict[str, TransferPlan]:
    """The runs of `compare` with this size and seed, by the name of the approach; controls first."""
    asked = ASKED if unit.data_set.kind == TEXT else ()
    transferred = AT_MOST_SIZE if unit.size == LARGEST else TRANSFERRED
    study = Study(
        data=DataSpec(path=str(pool), max_length=MAX_LENGTH), models=(model,),
        approaches=(*asked, *transferred, Scratch()), training=training(unit), seeds=unit.seed + 1,
        train_sizes=(unit.size,),
    )  # fmt: skip
    return {plan.approach.name: plan for plan in study.plans().values() if plan.seed == unit.seed}
