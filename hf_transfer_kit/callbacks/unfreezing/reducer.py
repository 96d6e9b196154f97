"""Makes DistributedDataParallel average exactly the gradients of what trains now.

DDP decides at construction which gradients it averages over processes. A parameter that was frozen then is never
averaged, and processes drift apart without a word once it is opened; one that is frozen later is waited for, or
travels as zeros. So the reducer, the part that holds this list, is made anew whenever the list changes, by the private
calls with which DDP itself does so when it is unpickled (`DistributedDataParallel.__setstate__`, torch 2.13).
"""

from torch.nn.parallel import DistributedDataParallel

from hf_transfer_kit.errors import UnsupportedSetupError

_NEEDED = ("_build_params_for_reducer", "_build_debug_param_to_name_mapping", "_ddp_init_helper")


def check_reducer(ddp: DistributedDataParallel) -> None:
    """Raises UnsupportedSetupError where what trains cannot change under `ddp`."""
    if ddp.static_graph:
        raise UnsupportedSetupError(
            "what trains changes during the run, but DDP was told that it never does; set ddp_static_graph=False in "
            "TrainingArguments."
        )
    if not _can_rebuild(ddp) and not ddp.find_unused_parameters:
        raise UnsupportedSetupError(
            "this version of DDP cannot be told that what trains changes during the run; set "
            "ddp_find_unused_parameters=True in TrainingArguments."
        )


def rebuild_reducer(ddp: DistributedDataParallel) -> None:
    """Has `ddp` average the gradients of all parameters that require them now, and of no others.

    Communication hooks are kept. Where it cannot be done, DDP goes on as it was made, which `check_reducer` has found
    to be right but slower: it looks for unused parameters and sends their gradients as zeros.
    """
    if not _can_rebuild(ddp):
        return
    hooks = list(ddp._comm_hooks)
    del ddp.reducer  # it takes its gradient hooks with it
    ddp.logger = None
    parameters, sparse = ddp._build_params_for_reducer()
    names = ddp._build_debug_param_to_name_mapping(parameters)
    ddp._ddp_init_helper(parameters, sparse, names, ddp.static_graph)
    ddp._has_rebuilt_buckets = False
    ddp._comm_hooks = []
    for hook, state in hooks:
        ddp.register_comm_hook(state, hook)


def _can_rebuild(ddp: DistributedDataParallel) -> bool:
    by_hand = getattr(ddp, "_use_python_reducer", False)  # torch.compile's own, whose gradient hooks nobody removes
    return all(hasattr(ddp, name) for name in _NEEDED) and not by_hand
