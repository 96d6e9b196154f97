"""The model an approach trains: which weights, where they start, which of them move, and how fast."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.approaches.head import output_parameters
from hf_transfer_kit.approaches.prompt_tuning import with_soft_prompt
from hf_transfer_kit.blocks import Blocks, find_blocks
from hf_transfer_kit.errors import PlanError, UnsupportedSetupError
from hf_transfer_kit.freezing import keep_in_eval
from hf_transfer_kit.optim import discriminative_lr
from hf_transfer_kit.plan import Full, Gradual, Lora, PromptTuning, Scratch, TopLayers


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A model ready to train.

    Fields:
        model: a classifier of the task, maybe with adapters.
        processor: its tokenizer or image processor.
        optimizer: over what trains.
        blocks: the units of `model`.
        open_blocks: how many top blocks train (all of them unless the approach is top_layers).
        virtual_tokens: vectors of a soft prompt, which the model reads before every text.
    """

    model: Any
    processor: Any
    optimizer: torch.optim.Optimizer
    blocks: Blocks
    open_blocks: int
    virtual_tokens: int = 0


def build(job: Job) -> Built:
    """The model of a job whose approach is trained, with its optimizer.

    Raises:
        ModelError: the model cannot be loaded, or its blocks cannot be found.
        PlanError: the approach does not fit the model.
    """
    from transformers import set_seed

    plan, approach = job.plan, job.plan.approach
    spec = job.start
    if spec is None or not isinstance(approach, TopLayers | Full | Gradual | Lora | PromptTuning | Scratch):
        raise PlanError(f"approach '{approach.name}' is not one that trains a model.")
    set_seed(plan.seed)  # the new head starts the same in every approach of one seed
    processor = job.task.load_processor(spec)
    pretrained = not isinstance(approach, Scratch)
    model, new = job.task.load_classifier(spec, job.data.label_names, processor, pretrained=pretrained)
    if job.old is not None:
        new = output_parameters(model)  # rows for new labels lie beside those for old ones
    if plan.training.dropout is not None:
        set_dropout(model, plan.training.dropout)
    if isinstance(approach, Lora | PromptTuning):
        return _with_adapters(job, model, processor, new)
    blocks = find_blocks(model, spec.blocks)
    open_blocks = min(approach.blocks, len(blocks)) if isinstance(approach, TopLayers) else len(blocks)
    if isinstance(approach, TopLayers):
        for unit in blocks.below(open_blocks):
            for parameter in unit.parameters(model):
                parameter.requires_grad_(False)
            keep_in_eval(model, unit.modules(model))
    if pretrained:
        keep_in_eval(model, _batch_norms(model))
    if isinstance(approach, Scratch):
        rate = approach.learning_rate or job.task.scratch_learning_rate
        rates = {"lr": rate, "head_lr": rate, "decay": 1.0}
    else:
        rate = approach.learning_rate or job.task.learning_rate
        head_rate = _head_rate(job, approach, rate) if open_blocks else approach.head_learning_rate
        rates = {"lr": rate, "head_lr": head_rate, "decay": approach.decay}
    new = new if pretrained else []  # from a random start no part is newer than another
    optimizer = discriminative_lr(
        model, **rates, weight_decay=plan.training.weight_decay, new_parameters=new, blocks=blocks
    )
    return Built(model=model, processor=processor, optimizer=optimizer, blocks=blocks, open_blocks=open_blocks)


def _head_rate(job: Job, approach: Any, rate: float) -> float:
    """The learning rate of the output layer: large where it is new; that of the body where it has learned old labels.

    Measured on CLINC150 (old: banking, new: travel; MiniLM, 300 examples each, one seed): at the body's rate `full`
    and `full+replay` learn new labels better (accuracy +0.03, +0.01) and keep more of the old ones (+0.07, +0.10).
    """
    new_rate: float = approach.head_learning_rate
    return new_rate if job.old is None else rate


def _with_adapters(job: Job, model: Any, processor: Any, new: list[str]) -> Built:
    """What peft adds to a frozen body, low-rank adapters or a soft prompt; the head trains as a whole."""
    approach, spec = job.plan.approach, job.start
    assert isinstance(approach, Lora | PromptTuning) and spec is not None  # noqa: S101  # `build` has looked
    heads = sorted({_head_module(model, name) for name in new})
    if isinstance(approach, PromptTuning):
        rate, head_rate = approach.learning_rate, approach.head_learning_rate
        adapted = with_soft_prompt(
            model, processor, approach, job.data.label_names, heads=heads, max_length=job.plan.data.max_length
        )
    else:
        rate = approach.learning_rate or 1e-3
        head_rate = _head_rate(job, approach, rate)
        adapted = _with_lora(model, approach, heads)
    adapted.peft_config["default"].base_model_name_or_path = spec.name
    keep_in_eval(adapted, _batch_norms(adapted))
    blocks = find_blocks(adapted)
    trained_heads = [n for n, p in adapted.named_parameters() if p.requires_grad and ".modules_to_save." in n]
    optimizer = discriminative_lr(
        adapted, rate, head_lr=head_rate, decay=1.0,
        weight_decay=job.plan.training.weight_decay, new_parameters=trained_heads, blocks=blocks,
    )  # fmt: skip
    return Built(
        model=adapted, processor=processor, optimizer=optimizer, blocks=blocks, open_blocks=len(blocks),
        virtual_tokens=approach.virtual_tokens if isinstance(approach, PromptTuning) else 0,
    )  # fmt: skip


def _with_lora(model: Any, approach: Lora, heads: list[str]) -> Any:
    """Low-rank adapters on every linear and plain convolution layer of the body."""
    from peft import LoraConfig, TaskType, get_peft_model

    targets = lora_targets(model, heads)
    if not targets:
        raise UnsupportedSetupError(f"{type(model).__name__} has no linear or convolution layer to adapt; use full.")
    exact = "|".join(re.escape(name) for name in targets)
    config = LoraConfig(
        r=approach.rank, lora_alpha=approach.alpha, lora_dropout=0.0, target_modules=f"^({exact})$",
        modules_to_save=heads, task_type=TaskType.SEQ_CLS if model.main_input_name == "input_ids" else None,
    )  # fmt: skip
    adapted = get_peft_model(model, config)
    show_geometry(adapted)
    return adapted


def lora_targets(model: nn.Module, heads: Iterable[str]) -> list[str]:
    """Names of the layers of the body that take an adapter: linear ones and ungrouped convolutions."""
    heads = tuple(heads)
    return [
        name
        for name, module in model.named_modules()
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
            or (isinstance(module, nn.Conv2d) and module.groups == 1))
        and not any(name == head or name.startswith(head + ".") for head in heads)
    ]  # fmt: skip


def show_geometry(adapted: nn.Module) -> None:
    """Gives adapted convolutions the attributes that MobileNet pads by, and that peft 0.21 hides."""
    from peft.tuners.lora.layer import Conv2d

    for module in adapted.modules():
        if isinstance(module, Conv2d):
            base = module.get_base_layer()
            module.stride, module.kernel_size, module.dilation = base.stride, base.kernel_size, base.dilation


def _head_module(model: Any, parameter: str) -> str:
    """The outermost module of the new head that owns `parameter`: "classifier" for "classifier.dense.weight"."""
    first = parameter.partition(".")[0]
    return parameter.rpartition(".")[0] if first == model.base_model_prefix else first


def set_dropout(model: nn.Module, probability: float) -> None:
    """Sets every dropout of `model`: of modules, and the plain numbers that attention layers keep."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = probability
        for name, value in vars(module).items():
            if isinstance(value, float) and ("dropout" in name or "drop_prob" in name):
                setattr(module, name, probability)


def _batch_norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
