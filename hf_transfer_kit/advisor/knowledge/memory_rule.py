"""The memory that a known model needs with a method: from a table, else from the number of its parameters."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from hf_transfer_kit.advisor.knowledge.memory_table import advised_batch, memory_table
from hf_transfer_kit.advisor.knowledge.models import KnownModel

# A model and a method of `compare` -> MiB needed to train (or ask) it; None: not known.
MemoryOf = Callable[[KnownModel, str], float | None]

MIB = 2**20
FLOAT = 4  # bytes of a weight in fp32
TRAINED = 16  # bytes of a weight that AdamW trains: itself, its gradient, and two moments
AROUND = 200  # MiB for a small batch and what lies around the model
SHARE_TRAINED = {"full": 1.0, "gradual": 1.0, "scratch": 1.0, "top_layers": 0.2, "lora": 0.01}


@runtime_checkable
class TellsItsSum(Protocol):
    """A `MemoryOf` that can say what it adds up."""

    def as_sum(self, model: KnownModel, method: str) -> str:
        """The parts and their sum; empty where nothing is known."""
        ...


def known_memory(model: KnownModel, method: str) -> float | None:
    """MiB that `model` needs with `method`, at the batch size that is advised; None: nothing is known of it.

    From memory.toml, where the model's architecture is known; else `memory_by_parameters`. For a machine without a
    GPU, which needs a little more: there the copy of the best weights counts, too.

    Example:
        >>> from hf_transfer_kit.advisor.knowledge.models import known_models
        >>> 2048 < known_memory(known_models()["bert"], "full") < 5000  # 109.5 M x 20 bytes, and activations
        True
    """
    entry = memory_table().get((model.key, method))
    return memory_by_parameters(model, method) if entry is None else entry.total(advised_batch(model, method))


def memory_by_parameters(model: KnownModel, method: str) -> float | None:
    """MiB to train `model` by `method`: 16 bytes a trained weight, 4 a frozen one, and 200 MiB; None: unknown size.

    Activations are counted as if the batch were small: a lower bound for long texts and large pictures.

    Example:
        >>> from hf_transfer_kit.advisor.knowledge.models import known_models
        >>> round(memory_by_parameters(known_models()["bert"], "full"))  # 109.5 M x 16 bytes + 200 MiB
        1871
    """
    if model.parameters is None:
        return None
    share = SHARE_TRAINED.get(method, 0.0)
    return model.parameters * (share * TRAINED + (1 - share) * FLOAT) / MIB + AROUND


def memory_sum(memory_of: MemoryOf, model: KnownModel, method: str) -> str:
    """What `memory_of` adds up for `model` and `method`; empty where it does not tell.

    Example:
        >>> from hf_transfer_kit.advisor.knowledge.models import known_models
        >>> memory_sum(memory_by_parameters, known_models()["bert"], "full")
        '109M weights, of which 109M train with gradient and AdamW state'
    """
    if isinstance(memory_of, TellsItsSum):
        return memory_of.as_sum(model, method)
    if memory_of is known_memory and (entry := memory_table().get((model.key, method))) is not None:
        return entry.as_sum(advised_batch(model, method))
    return _weights(model, method) if memory_of in (known_memory, memory_by_parameters) else ""


def _weights(model: KnownModel, method: str) -> str:
    trained = round((model.parameters or 0) * SHARE_TRAINED.get(method, 0.0) / 1e6)
    total = round((model.parameters or 0) / 1e6)
    return f"{total:,}M weights, of which {trained:,}M train with gradient and AdamW state"
