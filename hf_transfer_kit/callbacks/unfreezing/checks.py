"""What can go wrong with gradual unfreezing, found before the first step."""

import warnings
from collections.abc import Collection
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from hf_transfer_kit.blocks import Blocks
from hf_transfer_kit.callbacks.hosting.host import Host
from hf_transfer_kit.callbacks.unfreezing.reducer import check_reducer
from hf_transfer_kit.callbacks.unfreezing.schedule import Schedule
from hf_transfer_kit.callbacks.unfreezing.timing import Pace, Plateau, first_steps
from hf_transfer_kit.errors import PlanError, UnsupportedSetupError

_MOST_GRAPHS = 8  # torch._dynamo.config.recompile_limit: after these, torch.compile runs a model without compiling


def check_schedule(args: Any, state: Any, schedule: Schedule, pace: Pace, plateau: Plateau | None) -> None:
    """Warns if the training ends before the last phase.

    Raises:
        PlanError: phases end by a metric of evaluation, but nothing is evaluated.
    """
    phases = schedule.phases
    bounded = all(phase.epochs is not None for phase in phases[:-1])
    if plateau is not None and not bounded and plateau.metric.startswith("eval_") and args.eval_strategy == "no":
        raise PlanError(
            f"plateau: '{plateau.metric}' is never measured, so nothing would open; set eval_strategy='epoch' in "
            "TrainingArguments."
        )
    begun = sum(start < state.max_steps for start in first_steps(schedule, pace))
    if bounded and plateau is None and begun < len(phases):
        closed = [name for phase in phases[begun:] for name in phase.opens]
        total = pace.epoch_at(state.max_steps)
        warnings.warn(
            f"{len(closed)} of {sum(len(phase.opens) for phase in phases)} blocks never open, as training ends after "
            f"{total:g} epochs ({state.max_steps} steps): {', '.join(closed)}. For equal shares set "
            f"epochs_per_block={total / len(phases):.2g}, or train longer.",
            stacklevel=2,
        )


def check_setup(host: Host, schedule: Schedule) -> None:
    """Warns if torch.compile will give up.

    Raises:
        UnsupportedSetupError: DDP cannot follow, or opened blocks would get no gradients.
    """
    ddp = host.ddp()
    if ddp is not None:
        check_reducer(ddp)
    reads_text = getattr(host.model, "main_input_name", "input_ids") == "input_ids"  # sentence-transformers has none
    if not reads_text and any(map(_drops_gradients, host.model.modules())):
        # Of text models, transformers makes the embeddings' output require gradients, which is the remedy (5.23).
        raise UnsupportedSetupError(
            "reentrant activation checkpointing gives no gradients to blocks above frozen ones; set "
            "activation_checkpointing_kwargs={'use_reentrant': False} in TrainingArguments "
            "(gradient_checkpointing_kwargs before transformers 5.23)."
        )
    if getattr(host.args, "torch_compile", False) and len(schedule.phases) > _MOST_GRAPHS:
        warnings.warn(
            f"torch.compile compiles each of {len(schedule.phases)} phases anew and gives up after {_MOST_GRAPHS}; "
            "open several blocks per phase with `schedule`.",
            stacklevel=2,
        )


def check_head(model: nn.Module, blocks: Blocks, opened: Collection[str]) -> None:
    """Warns if the output layer stays frozen because it is tied to the embeddings.

    Raises:
        PlanError: what opens first has no part in the loss.
    """
    if isinstance(model, nn.Sequential) and all(".pooler." in name for name in opened):  # of sentence-transformers
        raise PlanError(
            f"{type(model).__name__} has no head, and its pooler gets no gradient, so nothing would train at first; "
            "use start_blocks=2 to begin with the top block."
        )
    output = model.get_output_embeddings() if isinstance(model, PreTrainedModel) else None
    weight = getattr(output, "weight", None)
    name = next((name for name, parameter in model.named_parameters() if parameter is weight), None)
    if name in blocks.stem.parameter_names and name not in opened:
        warnings.warn(
            f"the output layer of {type(model).__name__} is tied to '{name}' in the stem and opens with it; to train "
            "it from the start, name it in the first phase of a `schedule`.",
            stacklevel=2,
        )


def _drops_gradients(module: nn.Module) -> bool:
    """Whether `module` is checkpointed in the way that needs an input that requires gradients."""
    settings = getattr(getattr(module, "_gradient_checkpointing_func", None), "keywords", {})
    return bool(getattr(module, "gradient_checkpointing", False) and settings.get("use_reentrant"))
