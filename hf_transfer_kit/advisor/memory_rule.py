"""Memory from the number of parameters alone: what is used where nothing better is known of a model."""

from collections.abc import Callable

from hf_transfer_kit.advisor.models import KnownModel

# A model and a method of `compare` -> MiB needed to train (or ask) it; None: not known.
MemoryOf = Callable[[KnownModel, str], float | None]

MIB = 2**20
FLOAT = 4  # bytes of a weight in fp32
TRAINED = 16  # bytes of a weight that AdamW trains: itself, its gradient, and two moments
AROUND = 200  # MiB for a small batch and what lies around the model
SHARE_TRAINED = {"full": 1.0, "gradual": 1.0, "scratch": 1.0, "top_layers": 0.2, "lora": 0.01}


def memory_by_parameters(model: KnownModel, method: str) -> float | None:
    """MiB to train `model` by `method`: 16 bytes a trained weight, 4 a frozen one, and 200 MiB; None: unknown size.

    Activations are counted as if the batch were small: a lower bound for long texts and large pictures.

    Example:
        >>> from hf_transfer_kit.advisor.models import known_models
        >>> round(memory_by_parameters(known_models()["bert"], "full"))  # 109.5 M x 16 bytes + 200 MiB
        1871
    """
    if model.parameters is None:
        return None
    share = SHARE_TRAINED.get(method, 0.0)
    return model.parameters * (share * TRAINED + (1 - share) * FLOAT) / MIB + AROUND


def memory_sum(model: KnownModel, method: str) -> str:
    """The same sum in words: "109M weights, of which 109M train (16 bytes each)"."""
    trained = round((model.parameters or 0) * SHARE_TRAINED.get(method, 0.0) / 1e6)
    total = round((model.parameters or 0) / 1e6)
    return f"{total:,}M weights, of which {trained:,}M train with gradient and AdamW state"
