"""Between the start and the fine-tuned weights: one model that knows the new task and still the old ones.

    w(alpha) = (1 - alpha) * w_start + alpha * w_fine_tuned

No training; `sweep_interpolation` finds the alpha. Helps in task- and domain-incremental learning, where the start
already knows the old task through the same head.

Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), section 3 (arXiv:2109.01903).
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from hf_transfer_kit.errors import ModelError, PlanError, UnsupportedSetupError
from hf_transfer_kit.isolation import undisturbed_randomness

Start = nn.Module | Mapping[str, torch.Tensor] | str | Path | None
SWEPT = tuple(step / 10 for step in range(11))
KEEPS_THE_BASE = (True, False, "gaussian", "eva")  # ways to start a LoRA adapter that leave the weights under it alone


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolationScores:
    """What the model at `alpha` scored.

    Fields:
        alpha: 0 is the start, 1 the fine-tuned model.
        scores: by the names that `evaluate` gave them.
    """

    alpha: float
    scores: Mapping[str, float]


def interpolate(model: nn.Module, start: Start, alpha: float) -> nn.Module:
    """A new model with weights (1 - alpha) * start + alpha * model; both given ones stay as they are.

    Buffers of real numbers (batch norm statistics) are interpolated too, those of integers are the model's. Parameters
    that `start` does not have, such as a new head, are the model's. Weights that the model ties are interpolated once.
    At alpha 0 and 1 the weights equal those of `start` and `model` bit for bit.

    A LoRA model starts at the model under its adapter, `start=None`: the adapter is scaled by alpha, which is exact in
    the merged weights, and its `modules_to_save` are interpolated with their originals.

    Args:
        model: fine-tuned.
        start: what it was fine-tuned from: a model, a state dict, or a folder or Hub name with safetensors weights.
        alpha: in [0, 1].

    Raises:
        PlanError: `alpha` is out of range, or `start` is missing.
        ModelError: `start` cannot be read, shares no name with the model, or has a weight of another shape.
        UnsupportedSetupError: quantised weights, an adapter that is not plain LoRA, or `start` for a LoRA model.

    Example:
        >>> start, tuned = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        >>> _ = start.weight.data.fill_(1.0), tuned.weight.data.fill_(3.0)
        >>> interpolate(tuned, start, alpha=0.25).weight.item()
        1.5
    """
    pairs = _pairs(model, start)
    _check_alpha(alpha)
    blend = copy.deepcopy(model)
    _write(blend, pairs, alpha)
    return blend


def sweep_interpolation(
    model: nn.Module, start: Start, evaluate: Callable[[nn.Module], Mapping[str, float]],
    alphas: Sequence[float] = SWEPT,
) -> list[InterpolationScores]:  # fmt: skip
    """Scores of the models between `start` and `model`, one row for each alpha in the given order.

    Holds one further copy of the model, which takes the weights of one alpha after another.

    Args:
        model, start: as in `interpolate`.
        evaluate: gives scores by name, such as {"old": 0.9, "new": 0.7}; is called with the model in eval
            mode, without gradients.
        alphas: in [0, 1].

    Raises:
        PlanError: as `interpolate`; `alphas` is empty, or `evaluate` gives other names than before.
        ModelError, UnsupportedSetupError: as `interpolate`.

    Example:
        >>> start, tuned = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        >>> _ = start.weight.data.fill_(0.0), tuned.weight.data.fill_(1.0)
        >>> rows = sweep_interpolation(tuned, start, lambda model: {"new": model.weight.item()}, alphas=(0, 0.5, 1))
        >>> [row.scores["new"] for row in rows]
        [0.0, 0.5, 1.0]
    """
    if not alphas:
        raise PlanError("alphas is empty; leave it out for 0, 0.1, ..., 1.")
    for alpha in alphas:
        _check_alpha(alpha)
    pairs = _pairs(model, start)
    blend, rows = copy.deepcopy(model), list[InterpolationScores]()
    for alpha in alphas:
        _write(blend, pairs, alpha)
        with torch.no_grad():
            scores = {name: float(score) for name, score in evaluate(blend.eval()).items()}
        if rows and scores.keys() != rows[0].scores.keys():
            raise PlanError(f"evaluate gave {sorted(scores)} at alpha={alpha}, before {sorted(rows[0].scores)}.")
        rows.append(InterpolationScores(alpha=alpha, scores=scores))
    return rows


def interpolation_table(rows: Sequence[InterpolationScores]) -> str:
    """The rows of a sweep as text, to print.

    Example:
        >>> print(interpolation_table([InterpolationScores(alpha=0.5, scores={"old": 0.9, "new": 0.75})]))
        alpha       old       new
         0.50    0.9000    0.7500
    """
    names = list(rows[0].scores) if rows else []
    widths = [max(len(name), 8) for name in names]
    lines = ["alpha" + "".join(f"  {name:>{width}}" for name, width in zip(names, widths, strict=True))]
    for row in rows:
        scores = (f"  {row.scores[name]:>{width}.4f}" for name, width in zip(names, widths, strict=True))
        lines.append(f"{row.alpha:5.2f}" + "".join(scores))
    return "\n".join(lines)


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise PlanError(f"alpha={alpha} must lie in [0, 1]: 0 is the start, 1 the fine-tuned model.")


def _write(blend: nn.Module, pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]], alpha: float) -> None:
    """Gives `blend`, a copy of the model, the weights at `alpha`; those that have no start are the model's already."""
    targets = dict(_tensors(blend))
    with torch.no_grad():
        for name, (first, last) in pairs.items():
            target = targets[name]
            if alpha in (0, 1):  # exact also where a weight is infinite
                target.copy_(last if alpha else first)
                continue
            wide = torch.promote_types(target.dtype, torch.float32)
            target.copy_(torch.lerp(first.to(target.device, wide), last.to(wide), float(alpha)))


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers, tied ones once."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _pairs(model: nn.Module, start: Start) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Of each tensor that changes with alpha: at 0 and at 1."""
    if getattr(model, "peft_config", None):
        return _lora_pairs(model, start)
    if start is None:
        raise PlanError("start=None is for LoRA models; give the model, state dict or folder it was fine-tuned from.")
    given = _state_of(start, model)
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    names = _names(model)
    for name, tensor in _tensors(model):
        known = next((other for other in names[id(tensor)] if other in given), None)
        if isinstance(tensor, nn.Parameter) and not tensor.is_floating_point() and not tensor.is_complex():
            raise UnsupportedSetupError(f"'{name}' is quantised ({tensor.dtype}); give the model in full precision.")
        if known is None or not tensor.is_floating_point():
            continue
        if given[known].shape != tensor.shape:
            raise ModelError(
                f"'{name}' has shape {tuple(tensor.shape)}, in the start {tuple(given[known].shape)}; give the model "
                "it was fine-tuned from, or leave this weight out of the start to keep the fine-tuned one."
            )
        pairs[name] = (given[known].detach(), tensor.detach())
    if not pairs:
        raise ModelError(
            f"the start has no weight in common with {type(model).__name__}: '{next(iter(given), 'nothing')}' there, "
            f"'{next(iter(dict(model.named_parameters())), 'nothing')}' here; give both as the same class, unwrapped."
        )
    return pairs


def _names(model: nn.Module) -> dict[int, list[str]]:
    """Every name of every tensor: tied ones have several, and a file holds any one of them."""
    names: dict[int, list[str]] = {}
    for tensors in (model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)):
        for name, tensor in tensors:
            names.setdefault(id(tensor), []).append(name)
    return names


def _state_of(start: Start, model: Any) -> Mapping[str, torch.Tensor]:
    if isinstance(start, nn.Module):
        return start.state_dict()
    if isinstance(start, Mapping):
        return start
    if hasattr(model, "from_pretrained"):
        return _pretrained_state(str(start), model)
    files = sorted(Path(str(start)).expanduser().glob("*.safetensors"))
    if not files:
        raise ModelError(f"folder '{start}' holds no safetensors file; give the folder that the start was saved in.")
    try:
        return {name: tensor for file in files for name, tensor in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"'{start}' cannot be read as safetensors: {error}.") from error


def _pretrained_state(source: str, model: Any) -> Mapping[str, torch.Tensor]:
    """The weights of a saved model under the names that `model` has for them, without those it had to make up."""
    folder = Path(source).expanduser()
    try:
        with undisturbed_randomness():  # a missing head is drawn at random, and left out below
            loaded, found = type(model).from_pretrained(
                folder if folder.is_dir() else source, config=copy.deepcopy(model.config), use_safetensors=True,
                ignore_mismatched_sizes=True, output_loading_info=True,
            )  # fmt: skip
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"start '{source}' cannot be loaded: {str(error).partition(chr(10))[0]}") from error
    if found["mismatched_keys"]:
        name, there, here = min(found["mismatched_keys"])
        raise ModelError(
            f"'{name}' has shape {tuple(here)}, in '{source}' {tuple(there)}; give the model it was fine-tuned from."
        )
    missing = set(found["missing_keys"])
    return {name: tensor for name, tensor in loaded.state_dict().items() if name not in missing}


def _lora_pairs(model: Any, start: Start) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """B of each adapter, which is 0 at the start, and the modules that were trained in full."""
    from peft.tuners.lora import LoraLayer
    from peft.utils import ModulesToSaveWrapper

    if start is not None:
        raise UnsupportedSetupError(
            "a LoRA model starts at the model under its adapter: give start=None; for another start, first merge the "
            "adapter into the weights (merge_and_unload)."
        )
    for config in model.peft_config.values():
        _refuse_all_but_plain_lora(config)
    names, pairs = _names(model), dict[str, tuple[torch.Tensor, torch.Tensor]]()

    def add(first: torch.Tensor, last: torch.Tensor) -> None:
        pairs[names[id(last)][0]] = (first.detach(), last.detach())

    for module in model.modules():
        if isinstance(module, LoraLayer):
            if module.merged:
                raise UnsupportedSetupError("the adapter is merged into the weights; call unmerge_adapter() first.")
            for adapter in module.active_adapters:
                for up in (module.lora_B, module.lora_embedding_B):
                    for weight in _weights_of(up, adapter):
                        add(torch.zeros_like(weight), weight)
        if isinstance(module, ModulesToSaveWrapper):
            for adapter in module.active_adapters:
                originals = dict(_tensors(module.original_module))
                for name, tensor in _tensors(module.modules_to_save[adapter]):
                    if tensor.is_floating_point():
                        add(originals[name], tensor)
    return pairs


def _weights_of(layers: Any, adapter: str) -> list[torch.Tensor]:
    if adapter not in layers:
        return []
    return list(layers[adapter].parameters()) if isinstance(layers[adapter], nn.Module) else [layers[adapter]]


def _refuse_all_but_plain_lora(config: Any) -> None:
    kind = getattr(config.peft_type, "value", config.peft_type)
    odd = {
        f"an adapter of type {kind}": kind != "LORA",
        "DoRA": getattr(config, "use_dora", False),
        f"bias='{getattr(config, 'bias', 'none')}'": getattr(config, "bias", "none") != "none",
        "trainable tokens": getattr(config, "trainable_token_indices", None),
        f"init_lora_weights='{getattr(config, 'init_lora_weights', True)}'": (
            getattr(config, "init_lora_weights", True) not in KEEPS_THE_BASE
        ),
    }
    for what, used in odd.items():
        if used:
            raise UnsupportedSetupError(
                f"{what} is not a sum of the start and a scalable change; merge the adapter (merge_and_unload) and "
                "give the model it was fine-tuned from as start."
            )
