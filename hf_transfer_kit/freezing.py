"""Frozen parts of a model in training: no gradients, and no statistics that move either."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from hf_transfer_kit.blocks import Blocks


def keep_in_eval(model: nn.Module, modules: Iterable[nn.Module]) -> RemovableHandle | None:
    """Keeps `modules` in eval mode while `model` trains; the Trainer calls model.train() before every step.

    Frozen layers then give the same output for the same input, and batch norm keeps the statistics of pre-training,
    which are better than those of a small batch and do not depend on how batches are spread over processes.

    Returns:
        What ends it, by `.remove()`; None where there is nothing to keep.
    """
    frozen = list(modules)

    def switch_off(module: nn.Module, args: tuple[Any, ...]) -> None:
        for part in frozen:
            part.training = False

    return model.register_forward_pre_hook(switch_off) if frozen else None


class Freezer:
    """Freezes all but some of the parameters given to it; the rest of the model is left alone.

    A batch norm is frozen with its own parameters, or, where these are none of the given ones, with those of its unit:
    it then normalises by its running statistics and does not update them. Dropout stays on.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> from hf_transfer_kit.blocks import find_blocks
        >>> model = BertModel(BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=2, num_attention_heads=1))
        >>> freezer = Freezer(model, dict(model.named_parameters()), find_blocks(model))
        >>> freezer.open_only({"pooler.dense.weight"})
        >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        ['pooler.dense.weight']
        >>> freezer.release()
        >>> all(parameter.requires_grad for parameter in model.parameters())
        True
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter], blocks: Blocks):
        self._model, self._parameters = model, dict(parameters)
        self._norms = _batch_norms(model, self._parameters, blocks)
        self._hook: RemovableHandle | None = None

    def open_only(self, names: Collection[str]) -> None:
        """Freezes every given parameter that is not in `names`."""
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(name in names)
            if name not in names:
                parameter.grad = None  # a gradient of zeros would still let weight decay and momentum move it
        if self._hook is not None:
            self._hook.remove()
        # A new hook each time: torch.compile, which looks at hooks only while it traces, then traces this one.
        self._hook = keep_in_eval(self._model, [norm for norm, owners in self._norms if owners.isdisjoint(names)])

    def release(self) -> None:
        """Opens all the given parameters."""
        self.open_only(self._parameters.keys())


def _batch_norms(
    model: nn.Module, parameters: Mapping[str, nn.Parameter], blocks: Blocks
) -> list[tuple[nn.Module, frozenset[str]]]:
    """Every batch norm, and the parameters it is frozen with."""
    norms: list[tuple[nn.Module, frozenset[str]]] = []
    for unit in blocks:
        of_unit = frozenset(name for name in unit.parameter_names if name in parameters)
        for name in unit.module_names:
            module = model.get_submodule(name)
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and of_unit:
                own = frozenset(f"{name}.{leaf}" for leaf, _ in module.named_parameters())
                norms.append((module, own.intersection(of_unit) or of_unit))
    return norms
