"""Another model that knows the old task: load it, and say which of its parameters stand for which in training.

The previous task's model has a head of its own, a masked- or causal-language model another one; what they share with
the model in training is the pre-trained body. Its parameters carry the same names below `base_model_prefix`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.models import load, load_config
from hf_transfer_kit.plan import ModelSpec

# What PEFT and torch.compile put into the names of the parameters that they wrap.
_WRAPPINGS = re.compile(r"^base_model\.model\.|_orig_mod\.|base_layer\.|modules_to_save\.[^.]+\.")


def load_reference(name: str) -> nn.Module:
    """The model `name` (Hub name or folder), of the class that its configuration names, in float32.

    Raises:
        ModelError: not found, not a class of transformers, or without all of its weights.
    """
    import transformers

    spec = ModelSpec(name=name)
    architectures = load_config(spec).architectures or ["none"]
    architecture = getattr(transformers, architectures[0], None)
    if architecture is None:
        raise ModelError(
            f"reference_model '{name}': its config.json names the class {architectures[0]}, which transformers does "
            "not have; load the model yourself and pass it."
        )
    model, info = load(
        architecture.from_pretrained, spec, dtype=torch.float32, use_safetensors=True, output_loading_info=True
    )
    if info["missing_keys"]:
        raise ModelError(
            f"reference_model '{name}' lacks {len(info['missing_keys'])} weights of a {architectures[0]}, the first "
            f"is {sorted(info['missing_keys'])[0]}; without them it does not know the old task."
        )
    reference: nn.Module = model
    return reference


def counterparts(model: nn.Module, parameters: Mapping[str, nn.Parameter], reference: nn.Module) -> dict[str, str]:
    """{name in `parameters`: name in `reference`} for parameters of the body that both have in the same shape.

    Args:
        parameters: of `model`, by name.

    Raises:
        ModelError: there are none.
    """
    others = dict(reference.named_parameters())
    found = body_names(reference, others)
    pairs = {
        name: found[key]
        for key, name in body_names(model, parameters).items()
        if key in found and others[found[key]].shape == parameters[name].shape
    }
    if not pairs:
        raise ModelError(
            f"reference_model {type(reference).__name__} has no parameter in common with what trains in "
            f"{type(model).__name__} (here {next(iter(parameters))}, there {next(iter(others))}); take a model with "
            "the same pre-trained body."
        )
    return pairs


def body_names(model: nn.Module, names: Iterable[str]) -> dict[str, str]:
    """{name below the pre-trained body: name} for those of `names` in the body; all of them where it has no head."""
    base = _unwrapped(model)
    clean = {_WRAPPINGS.sub("", name): name for name in names}
    prefix = getattr(base, "base_model_prefix", "")
    if not prefix or not isinstance(getattr(base, prefix, None), nn.Module):
        return clean
    return {key[len(prefix) + 1 :]: name for key, name in clean.items() if key.startswith(f"{prefix}.")}


def outside_the_body(model: nn.Module, names: Iterable[str]) -> set[str]:
    """Those of `names` in the output layer of a classifier; a language model's belongs to what is pre-trained."""
    base = _unwrapped(model)
    if hasattr(base, "get_output_embeddings") and base.get_output_embeddings() is not None:
        return set()
    return set(names) - set(body_names(model, names).values())


def _unwrapped(model: Any) -> Any:
    """The model of transformers inside `torch.compile` and PEFT."""
    model = getattr(model, "_orig_mod", model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model
