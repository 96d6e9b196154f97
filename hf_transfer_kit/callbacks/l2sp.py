"""L2-SP: pull the weights back to where fine-tuning started.

    penalty = strength / 2 * sum_i (w_i - w_i^start)^2

applied after the optimizer's step in closed form, w <- (w + c w^start) / (1 + c) with c = learning rate * strength
(see `anchor`): stable for any strength, untouched by clipping, loss scaling, accumulation and the number of processes.

Source: Li, Grandvalet & Davoine 2018, "Explicit Inductive Bias for Transfer Learning" (arXiv:1802.01483).
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from hf_transfer_kit.anchor import Anchor, whole
from hf_transfer_kit.callbacks.anchoring.anchored import AnchoredCallback, Mode
from hf_transfer_kit.callbacks.anchoring.reference import outside_the_body
from hf_transfer_kit.callbacks.hosting.host import Host
from hf_transfer_kit.errors import PlanError


class L2SP(AnchoredCallback):
    """Pulls every trainable weight of the pre-trained body to its start value after each optimizer step.

    Args:
        strength: weight of the penalty, >= 0, in loss units per squared weight; 0 does nothing at all. The default is
            mild for AdamW at the rates of fine-tuning: weights move freely by up to about 1 / strength, whatever the
            rate. SGD moves by the gradient and needs less: try 0.1 (benchmarks/ewc_step).
        mode: "decoupled" pulls by learning rate * strength, for any optimizer; "exact" divides the pull as Adam
            divides gradients, which then finds the minimum of loss + penalty, and needs Adam, AdamW or SGD.
        free: patterns of parameter names that are not pulled, such as "classifier.*". By default the output layer of a
            classifier, which is new in fine-tuning (the paper gives it plain L2: the Trainer's weight_decay); `()`
            pulls everything.

    Raises:
        PlanError: a setting is wrong, or no parameter is left to pull.
        UnsupportedSetupError: the weights are not where a callback can reach them (DeepSpeed, FSDP 1).
        OutputError: a resumed run has lost its anchor.

    Helps in: task- and domain-incremental learning, a little: it knows nothing of the old task. Not alone in
        class-incremental learning (van de Ven & Tolias 2019, arXiv:1904.07734).
    Cost: one copy of every pulled weight; each step reads both once. Logs `l2sp_penalty`.
    Multi-GPU: the same on every process, without communication. DDP and FSDP 2; DeepSpeed and FSDP 1 are refused.
    Resume: the start weights lie in `<output_dir>/hf_transfer_kit/l2sp.safetensors`, written once at step 0.

    Example:
        >>> trainer = Trainer(model, args, train_dataset=data, callbacks=[L2SP()])  # doctest: +SKIP
    """

    name = "l2sp"

    def __init__(
        self, strength: float = 100.0, mode: Mode = "decoupled", *, free: Sequence[str] | None = None
    ) -> None:
        super().__init__(strength, mode)
        self.free = free

    def _anchor(self, host: Host, parameters: Mapping[str, nn.Parameter]) -> Anchor:
        if self.free is None:
            free = outside_the_body(host.model, parameters)
        else:
            free = {name for name in parameters if any(fnmatchcase(name, pattern) for pattern in self.free)}
        if not parameters.keys() - free:
            raise PlanError(
                f"L2SP: every trainable parameter of {type(host.model).__name__} is free, so nothing would be pulled; "
                "take the callback out, or pass free=() to pull the output layer, too."
            )
        return Anchor(start={name: whole(parameter) for name, parameter in parameters.items() if name not in free})
