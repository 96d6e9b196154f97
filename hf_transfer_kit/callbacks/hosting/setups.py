"""The setups in which callbacks cannot reach the weights: refused before the first step."""

from typing import Any

from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.tensor import DTensor

from hf_transfer_kit.errors import UnsupportedSetupError

_OWNERS = {  # who keeps its own copy of the weights
    DistributedType.DEEPSPEED: "DeepSpeed",
    DistributedType.MEGATRON_LM: "Megatron-LM",
    DistributedType.XLA: "XLA",
}


def refuse_unsupported(args: Any, model: nn.Module, callback: str) -> None:
    """Raises UnsupportedSetupError where `callback` could train on quietly without any effect."""
    state = AcceleratorState()
    advice = "use DDP or FSDP2, or take the callback out."
    if state.distributed_type in _OWNERS or getattr(args, "deepspeed", None):
        owner = _OWNERS.get(state.distributed_type, "DeepSpeed")
        raise UnsupportedSetupError(f"{callback} cannot work under {owner}, which owns the weights; {advice}")
    if state.distributed_type == DistributedType.FSDP:
        if getattr(state.fsdp_plugin, "fsdp_version", 1) < 2:
            raise UnsupportedSetupError(
                f"{callback} cannot work under FSDP 1, which flattens the weights; set fsdp_version: 2."
            )
    elif any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        raise UnsupportedSetupError(f"{callback} cannot work under tensor parallelism; {advice}")
