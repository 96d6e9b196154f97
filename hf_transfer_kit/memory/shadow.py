"""Shadows: models of transformers whose tensors have shape and type but no memory, built from a configuration alone.

A shadow is built on torch's meta device and then moved onto fake tensors, which go through the shape rules of the
kernels for real ones on the CPU: a shadow takes the same path (flash attention, say, which keeps no attention matrix)
and keeps the same tensors for the backward pass. A model of seven billion parameters takes a few seconds.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hf_transfer_kit.approaches.build import lora_targets, set_dropout, show_geometry
from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.freezing import keep_in_eval
from hf_transfer_kit.models import load_config
from hf_transfer_kit.plan import Lora, ModelSpec, PromptTuning, Scratch, TopLayers

IMAGE_SIDE, TEXT_LENGTH = 224, 128  # where neither the caller nor the configuration says
LABEL_TOKENS = 16  # of a label's name, beside an image
LANGUAGE_HEADS = (  # ends of the class names in a configuration, and the auto class that builds them
    (("ForCausalLM", "LMHeadModel"), "AutoModelForCausalLM"),
    (("ForMaskedLM",), "AutoModelForMaskedLM"),
    (("ForConditionalGeneration",), "AutoModelForSeq2SeqLM"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is to be estimated; fields as the arguments of `estimate_memory`."""

    approach: Any
    batch: int
    length: int | None
    precision: str
    n_classes: int
    accumulation: int
    gradient_checkpointing: bool
    rows: int
    evaluation_batch: int | None
    gpu: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A model without memory, and what it reads.

    Fields:
        name: for messages.
        model: with `requires_grad` set as the approach trains it.
        length: tokens, or pixels of the side.
        boundary: name of the lowest trained block where there are frozen ones below it.
        virtual_tokens: vectors of a soft prompt, which the model reads in place of so many tokens.
    """

    name: str
    model: Any
    length: int
    boundary: str | None = None
    virtual_tokens: int = 0

    @property
    def reads_images(self) -> bool:
        """Whether its input is pixels."""
        return bool(self.model.main_input_name == "pixel_values")

    def inputs(self, batch: int) -> dict[str, torch.Tensor]:
        """One batch; to be called in the fake mode of the model."""
        config = self.model.config
        if hasattr(config, "vision_config") and hasattr(config, "text_config"):
            names = torch.zeros(2, LABEL_TOKENS, dtype=torch.long)
            return {"pixel_values": _pixels(config.vision_config, batch, self.length), "input_ids": names}
        if self.reads_images:
            return {"pixel_values": _pixels(config, batch, self.length)}
        if self.virtual_tokens:
            tokens, width = self.virtual_tokens + self.length, self.model.get_input_embeddings().weight.shape[1]
            return {
                "inputs_embeds": torch.zeros(batch, tokens, width, requires_grad=True),
                "attention_mask": torch.ones(batch, tokens, dtype=torch.long),
            }
        inputs = {name: torch.ones(batch, self.length, dtype=torch.long) for name in ("input_ids", "attention_mask")}
        if config.is_encoder_decoder:
            inputs["decoder_input_ids"] = torch.zeros(batch, LABEL_TOKENS, dtype=torch.long)
        return inputs

    def bytes_of(self, trained: bool) -> int:
        """Of the weights that train, or of all others with the buffers; what is shared counts once."""
        tensors = [p for p in self.model.parameters() if p.requires_grad == trained]
        tensors += [] if trained else list(self.model.buffers())
        return sum({id(tensor): tensor.nbytes for tensor in tensors}.values())


def configuration(model: Any) -> Any:
    """A copy of the configuration that `model` is or names; raises ModelError where it cannot be read."""
    return copy.deepcopy(load_config(model) if isinstance(model, ModelSpec) else model)


def classifier(model: Any, setup: Setup) -> Shadow:
    """The shadow of what `setup.approach` trains.

    Raises:
        ModelError: the configuration is of a model that cannot classify, or has no blocks that can be found.
        PlanError: the approach does not fit the model.
    """
    config = configuration(model)
    config.num_labels = setup.n_classes
    text = config.get_text_config()
    text.pad_token_id = getattr(text, "pad_token_id", None) or 0  # GPT-2 and Llama look for it in their inputs
    name = _auto_class(config, ("AutoModelForSequenceClassification", "AutoModelForImageClassification"))
    built, approach = _built(name, config, torch.float32), setup.approach
    length, boundary = _length(built, setup.length), None
    set_dropout(built, 0.0)
    if isinstance(approach, Lora):
        built = _with_lora(built, approach)
    elif isinstance(approach, PromptTuning):
        _freeze_but(built, _heads(built))
    elif isinstance(approach, TopLayers):
        boundary = _freeze_below(built, approach, model.blocks if isinstance(model, ModelSpec) else None)
    if not isinstance(approach, Scratch):
        keep_in_eval(built, [m for m in built.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)])
    virtual_tokens = approach.virtual_tokens if isinstance(approach, PromptTuning) else 0
    return Shadow(name=_name(model), model=built, length=length, boundary=boundary, virtual_tokens=virtual_tokens)


def body(model: Any, setup: Setup) -> Shadow:
    """The shadow of the model without a head, in fp32; nothing trains."""
    config = configuration(model)
    built = _built(_auto_class(config, ("AutoModel",)), config, torch.float32)
    return Shadow(name=_name(model), model=built.requires_grad_(False), length=_length(built, setup.length))


def asked(model: Any, setup: Setup) -> Shadow:
    """The shadow of the model as it is asked with prompts."""
    config = configuration(model)
    wanted = [
        auto
        for ends, auto in LANGUAGE_HEADS
        if any(each.endswith(ends) for each in config.architectures or ())
        and (auto == "AutoModelForSeq2SeqLM") == bool(getattr(config, "is_encoder_decoder", False))
    ]
    dtype = torch.bfloat16 if setup.precision == "bf16" else torch.float32
    built = _built(_auto_class(config, (*wanted[:1], "AutoModel")), config, dtype)
    return Shadow(name=_name(model), model=built.requires_grad_(False), length=_length(built, setup.length))


def onto_fake_tensors(model: nn.Module) -> None:
    """Gives `model`, from the meta device, the tensors of the fake mode that is on; shared weights stay shared."""
    made: dict[int, tuple[Any, Any]] = {}
    for module in model.modules():
        own = [*module.named_parameters(recurse=False, remove_duplicate=False)]
        for name, old in [*own, *module.named_buffers(recurse=False, remove_duplicate=False)]:
            if id(old) not in made:
                new = torch.empty_like(old, device="cpu")
                is_parameter = isinstance(old, nn.Parameter)
                made[id(old)] = old, nn.Parameter(new, requires_grad=old.requires_grad) if is_parameter else new
            setattr(module, name, made[id(old)][1])


def _auto_class(config: Any, names: Sequence[str]) -> str:
    """The first of `names` that has a model for `config`."""
    import transformers

    for name in names:
        if type(config) in getattr(transformers, name)._model_mapping:
            return name
    raise ModelError(
        f"a {type(config).__name__.removesuffix('Config')} model cannot do this task; choose a model made for this "
        "kind of input."
    )


def _built(auto_class: str, config: Any, dtype: torch.dtype) -> Any:
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, auto_class).from_config(config, dtype=dtype)
    if model.main_input_name not in ("input_ids", "pixel_values"):
        raise ModelError(f"{type(model).__name__} reads {model.main_input_name}; give a model of texts or images.")
    return model.eval()


def _length(model: Any, asked_for: int | None) -> int:
    config = model.config
    if model.main_input_name == "pixel_values" or hasattr(config, "vision_config"):
        side = getattr(getattr(config, "vision_config", config), "image_size", None) or IMAGE_SIDE
        return asked_for or int(side if isinstance(side, int) else side[0])
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or 0
    length = asked_for or TEXT_LENGTH
    return min(length, positions) if positions > 0 else length  # longer texts are cut


def _pixels(config: Any, batch: int, side: int) -> torch.Tensor:
    return torch.zeros(batch, getattr(config, "num_channels", 3), side, side)


def _name(model: Any) -> str:
    named = model.name if isinstance(model, ModelSpec) else getattr(model, "name_or_path", "")
    return named or type(model).__name__.removesuffix("Config")


def _heads(model: Any) -> list[str]:
    """Names of the outermost modules with parameters beside the pre-trained body."""
    parts = dict(model.named_children())
    others = [name for name in parts if name != model.base_model_prefix and [*parts[name].parameters()]]
    return others if model.base_model_prefix in parts else []


def _freeze_but(model: Any, heads: Sequence[str]) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.partition(".")[0] in heads)


def _freeze_below(model: Any, approach: TopLayers, blocks: Any) -> str | None:
    """Freezes what `top_layers` does not train; returns the lowest trained block where the kit can cut there."""
    found = find_blocks(model, blocks)
    count = min(approach.blocks, len(found))
    for unit in found.below(count):
        for parameter in unit.parameters(model):
            parameter.requires_grad_(False)
        keep_in_eval(model, unit.modules(model))
    return found.top(count)[0].module if count < len(found) else None


def _with_lora(model: Any, approach: Lora) -> Any:
    from peft import LoraConfig, get_peft_model

    heads = _heads(model)
    targets = "|".join(re.escape(name) for name in lora_targets(model, heads))
    settings = LoraConfig(r=approach.rank, target_modules=f"^({targets})$", modules_to_save=heads)
    with torch.device("meta"):
        adapted = get_peft_model(model, settings)
    show_geometry(adapted)
    return adapted
