"""The ordered blocks of any model: stem, block 0..n-1, head.

    stem      what runs before the first block: embeddings, patch projection, first convolution
    block i   one step of the chain: a transformer layer, a residual unit, a convolution of VGG
    head      what runs after the last block: final norm, pooler, classifier, lm_head

Freezing, layer-wise learning rates and cached activations all need this order, so it is found here and nowhere else.
Three rules place every parameter, by name and order of registration, never by value or shape:

1. The blocks are the children of the outermost `nn.ModuleList` or uniform `nn.Sequential`: two or more, all with
   parameters. Children that are stages (ResNet, ConvNeXt, Swin) are opened up into their own layers.
2. A parameter inside a block belongs to that block, one outside to the block before it: the downsampling between two
   stages goes with the last block of the lower one. So the input of a block is always exactly what the units below it
   produce, and a cut between two units is a cut in the computation. The head begins where the last list ends.
3. Wherever they are registered, embeddings belong to the stem, and modules outside the pre-trained body to the head; a
   short table below holds the other exceptions. A tied weight counts once, under the first of its names: the `lm_head`
   of GPT-2 is its `wte`, so it is in the stem.

One model is one chain. An encoder-decoder is the encoder, then the decoder. Parallel towers (CLIP) have no one order.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from hf_transfer_kit.errors import ModelError, PlanError, did_you_mean

# Modules registered on the wrong side of the blocks (transformers 5.23), some only in the class named.
_RUNS_FIRST = ("layernorm_embedding", "DebertaV2Encoder.LayerNorm", "DebertaV2Encoder.conv")
_RUNS_LAST = ("pooler", "OPTDecoder.final_layer_norm", "OPTDecoder.project_out")
# One set of weights applied many times: there is no lower and upper part, so the whole encoder is the only block.
_SHARES_LAYERS = ("AlbertTransformer",)
# Modules whose list holds pieces of a block: MobileNetV1 lists depthwise and pointwise convolutions one by one.
_LAYERS_PER_BLOCK = {"MobileNetV1Model": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One step of the order: the stem, a block, or the head. Holds names only, so it outlives copies of the model.

    Fields:
        name: "stem", "block 0", "block 1", ..., "head".
        module: name of the module the block begins with, nearly always the whole block; its input is what the units
            below produce. None for stem and head, which are not one module.
        module_names: every module of the unit, children included.
        parameter_names: as in `model.named_parameters()`; may be empty for stem and head.
    """

    name: str
    module: str | None
    module_names: tuple[str, ...]
    parameter_names: tuple[str, ...]

    def modules(self, model: nn.Module) -> list[nn.Module]:
        """The modules of this unit in `model`; set `.training` on each to switch the unit to eval mode."""
        return [model.get_submodule(name) for name in self.module_names]

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """The parameters of this unit in `model`."""
        return [model.get_parameter(name) for name in self.parameter_names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """All units of a model, bottom to top; every named parameter is in exactly one of them.

    Fields:
        units: stem, the blocks, head. Iterating over a `Blocks` gives the same.
    """

    units: tuple[Unit, ...]

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units)

    def __len__(self) -> int:
        """The number of blocks, without stem and head."""
        return len(self.units) - 2

    @property
    def stem(self) -> Unit:
        """The unit below the first block."""
        return self.units[0]

    @property
    def head(self) -> Unit:
        """The unit above the last block: the new output layer of a classifier, and often a final norm or a pooler."""
        return self.units[-1]

    def top(self, k: int) -> tuple[Unit, ...]:
        """The last `k` blocks and the head, bottom to top.

        Raises:
            PlanError: the model has fewer than `k` blocks, or `k` is negative.
        """
        if not 0 <= k <= len(self):
            raise PlanError(f"{k} top blocks were asked for, but the model has {len(self)}; use 0 to {len(self)}.")
        return self.units[len(self) + 1 - k :]

    def below(self, k: int) -> tuple[Unit, ...]:
        """The units that `top(k)` leaves out: the stem and the lower blocks; raises as `top`."""
        return self.units[: len(self.units) - len(self.top(k))]

    def depths(self) -> dict[str, int]:
        """The height of every parameter, by name: 0 in the stem, 1..n in the blocks, n + 1 in the head."""
        return {name: depth for depth, unit in enumerate(self.units) for name in unit.parameter_names}


def find_blocks(model: nn.Module, blocks: Sequence[str] | None = None) -> Blocks:
    """The ordered units of `model`.

    Args:
        blocks: names of the block modules, bottom to top, where they cannot be found; `*` stands for any text without
            a dot, its matches come in the order of registration, and those without parameters are left out.

    Raises:
        ModelError: no chain of blocks was found, or a name in `blocks` matches nothing, or lies inside another block.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=2, num_attention_heads=1)
        >>> [unit.name for unit in find_blocks(BertModel(config))]
        ['stem', 'block 0', 'block 1', 'head']
        >>> [unit.module for unit in find_blocks(BertModel(config), ["encoder.layer.*"]).top(1)]
        ['encoder.layer.1', None]
    """
    return _partition(model, _detect(model) if blocks is None else _match(model, blocks))


def _partition(model: nn.Module, chain: list[str]) -> Blocks:
    """Gives every module and parameter to its unit; `chain` names the blocks, bottom to top."""
    depths = _depths_of_modules(model, chain)
    # A container that holds blocks belongs to no unit.
    modules = {name: depth for name, depth in depths.items() if not any(_is_inside(block, name) for block in chain)}
    parameters = {name: depths[name.rpartition(".")[0]] for name, _ in model.named_parameters()}
    titles = ["stem", *(f"block {i}" for i in range(len(chain))), "head"]
    units = [
        Unit(
            name=title,
            module=module,
            module_names=tuple(name for name, where in modules.items() if where == depth),
            parameter_names=tuple(name for name, where in parameters.items() if where == depth),
        )
        for depth, (title, module) in enumerate(zip(titles, [None, *chain, None], strict=True))
    ]
    return Blocks(units=tuple(units))


def _depths_of_modules(model: nn.Module, chain: list[str]) -> dict[str, int]:
    """The depth of every module, by rules 2 and 3."""
    depth_of_block = {name: depth for depth, name in enumerate(chain, start=1)}
    exceptions = _exceptions(model, chain)
    last = [name for name, _ in model.named_modules() if name in depth_of_block][-1]
    parent = last.rpartition(".")[0]
    end = parent if isinstance(model.get_submodule(parent), nn.ModuleList | nn.Sequential) else last
    depths: dict[str, int] = {}
    current = 0  # depth of a module that is in no block
    for name, _ in model.named_modules():
        block, exception = _enclosing(name, depth_of_block), _enclosing(name, exceptions)
        if block is not None:
            current = depth_of_block[block]
        elif last in depths and not _is_inside(name, end):
            current = len(chain) + 1
        depths[name] = current if block is not None or exception is None else exceptions[exception]
    return depths


def _exceptions(model: nn.Module, chain: list[str]) -> dict[str, int]:
    """The depth of the modules that rule 3 takes out of the order of registration."""
    depths = {}
    for owner_name, owner in model.named_modules():
        body = _join(
            owner_name, getattr(owner, "base_model_prefix", "")
        )  # in transformers, name of the pre-trained part
        has_body = body != owner_name and all(_is_inside(block, body) for block in chain)
        for child, module in owner.named_children():
            name, aliases = _join(owner_name, child), {child, f"{type(owner).__name__}.{child}"}
            if isinstance(module, nn.Embedding) or aliases.intersection(_RUNS_FIRST):
                depths[name] = 0
            elif aliases.intersection(_RUNS_LAST) or (has_body and name != body):
                depths[name] = len(chain) + 1
    return depths


def _detect(model: nn.Module) -> list[str]:
    """The names of the blocks by rule 1."""
    for name, module in model.named_modules():
        if type(module).__name__ in _SHARES_LAYERS:
            return [name]
    stacks = _outermost_lists(model, least=2) or _outermost_lists(model, least=1)
    numbered = len({re.sub(r"\d+$", "", stack) for stack in stacks}) == 1  # one, or layer1 to layer4 of a timm ResNet
    if numbered or (stacks and getattr(getattr(model, "config", None), "is_encoder_decoder", False)):
        return [block for stack in stacks for block in _open_list(model, stack)]
    if chain := _convolution_chain(model):
        return chain
    found = f"{len(stacks)} block lists without one order ({', '.join(stacks[:3])})" if stacks else "no block list"
    raise ModelError(f"{found} found for {type(model).__name__}; pass blocks=[...] (names of modules, bottom to top).")


def _outermost_lists(module: nn.Module, least: int, prefix: str = "") -> list[str]:
    """Names of the block lists of `least` children or more that lie in no other, in the order of registration."""
    found = []
    for child_name, child in module.named_children():
        name, parts = _join(prefix, child_name), list(child.children())
        # A Sequential around one layer is an output layer, as in ResNet, not a model of one block.
        is_list = isinstance(child, nn.ModuleList) or (_is_uniform_list(child) and least > 1)
        if is_list and len(parts) >= least and all(map(_has_parameters, parts)):
            found.append(name)
        else:
            found += _outermost_lists(child, least, name)
    return found


def _open_list(model: nn.Module, name: str) -> list[str]:
    """The blocks in the list `name`, stages among them opened up."""
    children = [_join(name, child) for child, _ in model.get_submodule(name).named_children()]
    step = _LAYERS_PER_BLOCK.get(type(model.get_submodule(name.rpartition(".")[0])).__name__, 1)
    return [block for child in children[::step] for block in _open_stage(model, child)]


def _open_stage(model: nn.Module, name: str) -> list[str]:
    """The layers of a stage in order, or `name` itself where it is no stage."""
    module = model.get_submodule(name)
    if _is_uniform_list(module):
        return _open_list(model, name)
    is_stage = type(module).__name__.endswith("Stage")
    lists = [_join(name, child) for child, part in module.named_children() if is_stage and _is_uniform_list(part)]
    return [block for child in lists for block in _open_list(model, child)] or [name]


def _convolution_chain(model: nn.Module) -> list[str]:
    """The blocks of a timm network: its parts but the first, as attributes (Inception) or in a mixed list (VGG)."""
    wrappers = [name for name, module in model.named_modules() if type(module).__name__.startswith("TimmWrapper")]
    if not wrappers:
        return []
    trunk_name = _join(wrappers[0], "timm_model")
    trunk: Any = model.get_submodule(trunk_name)
    classifier = trunk.get_classifier()  # of every timm model: its output layer, Identity where it has none
    parts: list[tuple[str, nn.Module]] = []
    for name, child in trunk.named_children():
        opened = type(child) is nn.Sequential  # a subclass, such as the transition of DenseNet, is a part of its own
        parts += [(_join(name, n), part) for n, part in child.named_children()] if opened else [(name, child)]
    # Weights have two dimensions or more: a batch norm alone is no block, it goes with the convolution before it.
    chain = [name for name, part in parts if any(weight.ndim > 1 for weight in part.parameters())]
    chain = [name for name in chain if all(module is not classifier for module in trunk.get_submodule(name).modules())]
    return [block for name in chain[1:] for block in _open_stage(model, _join(trunk_name, name))]


def _match(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """The names of the blocks that the user gave."""
    if isinstance(patterns, str) or not patterns:
        raise ModelError(f"blocks={patterns!r} is no list of names; pass for example blocks=['encoder.layer.*'].")
    names = [name for name, module in model.named_modules() if name and _has_parameters(module)]
    chain: list[str] = []
    for pattern in patterns:
        level = [name for name in names if name.count(".") == pattern.count(".")]
        found = [name for name in level if all(map(fnmatchcase, name.split("."), pattern.split(".")))]
        if not found:
            near = {re.sub(r"\b\d+\b", "*", name) for name in names if name.count(".") <= pattern.count(".")}
            problem = f"blocks: '{pattern}' matches no module with parameters in {type(model).__name__}"
            raise ModelError(f"{problem}; {did_you_mean(pattern, near)}")
        chain += found
    for name in chain:
        if chain.count(name) > 1:
            raise ModelError(f"blocks: module '{name}' is named twice; name every block once.")
        if outer := [other for other in chain if _is_inside(name, other)]:
            raise ModelError(f"blocks: module '{name}' lies inside '{outer[0]}'; leave one of them out.")
    return chain


def _is_uniform_list(module: nn.Module) -> bool:
    """Whether `module` is a list whose children are all of one class and have parameters."""
    parts = list(module.children())
    one_class = isinstance(module, nn.ModuleList | nn.Sequential) and len({type(part) for part in parts}) == 1
    return one_class and all(map(_has_parameters, parts))


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _is_inside(name: str, other: str) -> bool:
    return name != other and (other == "" or name.startswith(other + "."))


def _enclosing(name: str, others: dict[str, int]) -> str | None:
    """The one of `others` that is `name` or contains it."""
    while name not in others and name:
        name = name.rpartition(".")[0]
    return name if name in others else None


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
