"""The memory of known models by method, from memory.toml, which `python -m benchmarks.memory.table` makes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache

from hf_transfer_kit.advisor.knowledge.models import KnownModel
from hf_transfer_kit.advisor.knowledge.rule_table import read_table
from hf_transfer_kit.memory.estimate import MIB, size
from hf_transfer_kit.plan import Training

TOKENS, FEW_SHOT_TOKENS = 128, 512  # of a text; of one with examples before it
PASS_TEXTS, PASS_IMAGES, PROMPTS = 32, 16, 16  # that the kit passes, or asks about, at once
LIBRARIES = 500  # MiB of a process with torch and transformers in it, before there is a model


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEntry:
    """What one model needs with one method, MiB.

    Fields:
        frozen: weights that do not train.
        trained: weights that do; beside each stand its gradient, two moments of AdamW, and a copy of the best so far.
        held: what does not grow with the batch.
        each: one example of a batch: activations, workspace, the example itself.
    """

    frozen: float = 0.0
    trained: float = 0.0
    held: float = 0.0
    each: float = 0.0

    def parts(self, batch: int) -> Mapping[str, float]:
        """MiB by what they are for.

        Example:
            >>> MemoryEntry(trained=10, each=2).parts(16)["optimizer"]
            20
        """
        return {
            "frozen weights": self.frozen, "trained weights": self.trained, "gradients": self.trained,
            "optimizer": 2 * self.trained, "best weights so far": self.trained,
            f"activations of {batch} examples": self.held + batch * self.each, "libraries": LIBRARIES,
        }  # fmt: skip

    def total(self, batch: int) -> float:
        """MiB for a batch of `batch` examples."""
        return sum(self.parts(batch).values())

    def as_sum(self, batch: int) -> str:
        """The parts that are there, and their sum.

        Example:
            >>> MemoryEntry(frozen=24, each=2).as_sum(16)
            'frozen weights 24 MiB + activations of 16 examples 32 MiB + libraries 500 MiB = 556 MiB'
        """
        shown = [f"{name} {size(mib * MIB)}" for name, mib in self.parts(batch).items() if mib]
        return " + ".join(shown) + f" = {size(self.total(batch) * MIB)}"

    @property
    def as_toml(self) -> str:
        """One line of the table."""
        numbers = {each.name: getattr(self, each.name) for each in fields(self)}
        return "{ " + ", ".join(f"{name} = {number:g}" for name, number in numbers.items() if number) + " }"


def advised_batch(model: KnownModel, method: str) -> int:
    """Examples in one batch of `method`, as the kit makes them."""
    if method == "features":
        return PASS_TEXTS if model.reads_text else PASS_IMAGES
    return PROMPTS if method in ("zero_shot", "few_shot") else Training().batch_size


@cache
def memory_table() -> Mapping[tuple[str, str], MemoryEntry]:
    """All lines, by key of the model and method."""
    return {
        (key, method): MemoryEntry(**entry)
        for key, methods in read_table("memory.toml").items()
        for method, entry in methods.items()
    }
