"""How important each weight is to an old task: estimated on its data, or taken from a saved estimate."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from hf_transfer_kit.anchor import Anchor, matching, normalised, whole
from hf_transfer_kit.callbacks.anchoring.reference import counterparts, load_reference
from hf_transfer_kit.callbacks.hosting.kept import load_tensors
from hf_transfer_kit.callbacks.hosting.labels import check_old_labels
from hf_transfer_kit.examples import some_examples
from hf_transfer_kit.fisher import estimate_fisher
from hf_transfer_kit.isolation import undisturbed_randomness

# What EWC calls them: what `estimate_fisher` does.
KINDS = {"fisher": "empirical", "sampled": "sampled", "exact": "exact", "mas": "mas", "reversed": "reversed"}
BATCH_SIZE = 8  # where no Trainer says one; the estimate does not depend on it


def estimated(
    model: nn.Module, names: Iterable[str], data: Any, *, kind: str, n_examples: int,
    collate_fn: Callable[[list[Any]], Any] | None, batch_size: int = BATCH_SIZE,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """The importance for `data` of the parameters `names` of `model`, of mean 1.

    Args:
        collate_fn: by default that of `data` where it is a DataLoader, else that of transformers.

    Raises:
        DataError: `model` cannot express a label, or the importance is zero everywhere or not finite.
    """
    with undisturbed_randomness():  # examples may be drawn or augmented at random
        examples = some_examples(data, n_examples)
        if kind != "mas":  # which needs no labels
            check_old_labels(model, examples, "EWC", "pass reference_model=..., a model that knows the old task")
        importance = estimate_fisher(
            model, examples, KINDS[kind], len(examples), collate_fn, batch_size=batch_size, parameters=list(names)
        )  # fmt: skip
    return normalised(importance)


def at_reference(
    given: nn.Module | str | Path, model: nn.Module, parameters: Mapping[str, nn.Parameter], data: Any,
    device: torch.device, **settings: Any,
) -> Anchor:  # fmt: skip
    """Weights and importance of another model, for those of `parameters` of `model` that it has, too.

    Args:
        settings: as `estimated`.

    Raises:
        ModelError: it cannot be loaded, or has none of them.
        DataError: as `estimated`.
    """
    reference = given if isinstance(given, nn.Module) else load_reference(str(given))
    names = counterparts(model, parameters, reference)
    home = next(reference.parameters()).device
    try:
        importance = estimated(reference.to(device), names.values(), data, **settings)
    finally:
        reference.to(home)
    weights = dict(reference.named_parameters())
    return Anchor(
        start={name: whole(weights[other]) for name, other in names.items()},
        importance={name: importance[other] for name, other in names.items()},
    )


def saved(given: Anchor | Mapping[str, torch.Tensor] | str | Path, parameters: Mapping[str, nn.Parameter]) -> Anchor:
    """A saved estimate for those of `parameters` that it names in their shape.

    Its own anchor where it has one, with the importance as it is; else the weights now, with an importance of mean 1.

    Raises:
        DataError: it fits none of them, or is zero everywhere or not finite.
        FormatError: the file cannot be read.
    """
    if isinstance(given, str | Path):
        tensors = load_tensors(Path(given))
        given = Anchor.from_tensors(tensors) if any(name.startswith("anchor.") for name in tensors) else tensors
    if isinstance(given, Anchor):
        return matching(given, parameters)
    fisher = {name.removeprefix("fisher."): tensor for name, tensor in given.items()}
    importance = matching(Anchor(start=fisher), parameters).start
    return Anchor(start={name: whole(parameters[name]) for name in importance}, importance=normalised(importance))


def collate_of(data: Any) -> Callable[[list[Any]], Any] | None:
    """The collator of a DataLoader; None for other data."""
    return data.collate_fn if isinstance(data, DataLoader) else None
