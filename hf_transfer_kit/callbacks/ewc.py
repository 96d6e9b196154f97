"""Elastic weight consolidation: pull each weight to where the old task had it, as strongly as the old task needs it.

    penalty = strength / 2 * sum_i F_i (w_i - w_i^old)^2

F is the diagonal Fisher information of the old task, scaled to a mean of 1. The pull follows the optimizer's step in
closed form, w <- (w + c w^old) / (1 + c) with c = learning rate * strength * F (see `anchor`): stable for any
strength, untouched by clipping, loss scaling, accumulation and the number of processes.

Source: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks" (arXiv:1612.00796); over a
sequence of tasks Schwarz et al. 2018, "Progress & Compress", section 3.2 (arXiv:1805.06370).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hf_transfer_kit.anchor import Anchor, matching, whole
from hf_transfer_kit.callbacks.anchoring.anchored import AnchoredCallback, Mode
from hf_transfer_kit.callbacks.anchoring.importance import KINDS, at_reference, collate_of, estimated, saved
from hf_transfer_kit.callbacks.anchoring.trainer_loss import of_trainer
from hf_transfer_kit.callbacks.hosting.host import Host
from hf_transfer_kit.errors import PlanError, did_you_mean


class EWC(AnchoredCallback):
    """Protects an old task: pulls every trainable weight to its old value, as strongly as it is important there.

    Args:
        data: examples of the old task, as the Trainer would take them, with labels.
        strength: weight of the penalty, >= 0, in loss units per squared weight of mean importance; 0 does nothing. The
            default was the best of nine decades for AdamW on permuted digits, where 10 to 10000 come close; with
            all-MiniLM-L6-v2 and a new domain of CLINC150, 1 to 100 cost little of the new task (benchmarks/ewc_step).
        importance: "fisher" (empirical, at the true labels), "sampled" (one label drawn from the model), "exact" (all
            labels), "mas" (squared outputs, needs no labels; Aljundi et al. 2018) or "reversed" (EWC-DR).
        n_examples: how many examples at most the importance is the mean over.
        fisher: instead of `data`, a saved estimate: a mapping as `estimate_fisher` gives it, or a safetensors file of
            one, for the weights as training begins; or the `ewc.safetensors` of an earlier run, with its own anchor.
        reference_model: the model that knows the old task, or its name; by default the model in training. Importance
            and anchor are taken from it for the parameters of the pre-trained body that both have; all others are
            free. The masked- or causal-language model of the checkpoint itself protects what pre-training taught.
        collate_fn: makes batches of `data`; by default that of `data` where it is a DataLoader, else the Trainer's.
        mode: "decoupled" pulls by learning rate * strength * F, for any optimizer; "exact" divides the pull as Adam
            divides gradients, which then finds the minimum of loss + penalty, and needs Adam, AdamW or SGD.

    Raises:
        PlanError: a setting is wrong.
        DataError: the head cannot express an old label, or the importance is zero everywhere or not finite.
        ModelError: the reference model cannot be loaded, or has nothing in common with the one in training.
        UnsupportedSetupError: the weights are not where a callback can reach them (DeepSpeed, FSDP 1).
        OutputError: a resumed run has lost its anchor.

    Helps in: task- and domain-incremental learning. In class-incremental learning not alone (van de Ven & Tolias 2019,
        arXiv:1904.07734): no penalty shows the head old and new classes side by side; add Replay.
    Cost: two copies of the weights, one pass forward and backward over `n_examples` before the first step; each step
        reads weights and copies once. Logs `ewc_penalty`.
    Multi-GPU: importance is summed over processes; the pull is the same on each, without communication. DDP; FSDP 2
        with `fisher` or `reference_model` (sharded weights have no estimate); DeepSpeed and FSDP 1 are refused.
    Resume: anchor and importance lie in `<output_dir>/hf_transfer_kit/ewc.safetensors`, written once at step 0.

    Example:
        >>> trainer = Trainer(model, args, train_dataset=new, callbacks=[EWC(old)])  # doctest: +SKIP
    """

    name = "ewc"

    def __init__(
        self, data: Any = None, strength: float = 100.0,
        importance: str = "fisher", *, n_examples: int = 256,
        fisher: Anchor | Mapping[str, torch.Tensor] | str | Path | None = None,
        reference_model: nn.Module | str | Path | None = None, collate_fn: Callable[[list[Any]], Any] | None = None,
        mode: Mode = "decoupled",
    ) -> None:  # fmt: skip
        super().__init__(strength, mode)
        if (data is None) == (fisher is None):
            raise PlanError("EWC needs either the old task's data or a saved estimate; pass EWC(data) or fisher=....")
        if fisher is not None and reference_model is not None:
            raise PlanError("EWC: a saved estimate (fisher=...) needs no reference_model; pass one of them.")
        if importance not in KINDS:
            raise PlanError(f"EWC importance={importance!r} is unknown; {did_you_mean(str(importance), KINDS)}")
        if n_examples < 1:
            raise PlanError(f"EWC n_examples={n_examples} must be 1 or more; 256 is usually enough.")
        self.data, self.importance, self.n_examples, self.collate_fn = data, importance, n_examples, collate_fn
        self.fisher, self.reference_model = fisher, reference_model

    def after_task(
        self, model: nn.Module, data: Any, gamma: float = 1.0, *, collate_fn: Callable[[list[Any]], Any] | None = None
    ) -> "EWC":
        """The callback for the next task's Trainer, once `model` has learned the task of `data`: online EWC.

        Its importance is gamma * (importance so far) + (importance for `data`, scaled to a mean of 1); its anchor is
        the weights now. A strength so means the same for each task, and gamma < 1 lets old tasks fade.

        Raises:
            PlanError: `gamma` is negative, or this callback has neither trained nor a saved estimate.
            DataError: as `EWC`; or `model` has none of the parameters that were anchored.

        Example:
            >>> next_ewc = ewc.after_task(model, new_data, gamma=0.9)  # doctest: +SKIP
        """
        if not (math.isfinite(gamma) and gamma >= 0):
            raise PlanError(f"EWC.after_task gamma={gamma} must be 0 or more; 1 keeps every task in full.")
        parameters, before = dict(model.named_parameters()), self._importance_so_far(model)
        names = [name for name, parameter in parameters.items() if parameter.requires_grad or name in before]
        of_trainer = None if self._host is None else self._host.collate
        collate = collate_fn or collate_of(data) or self.collate_fn or of_trainer
        total = estimated(model, names, data, kind=self.importance, n_examples=self.n_examples, collate_fn=collate)
        for name, importance in before.items():
            total[name] += gamma * importance.to(total[name].device)
        return EWC(
            strength=self.strength, importance=self.importance, n_examples=self.n_examples, mode=self.mode,
            fisher=Anchor(start={name: whole(parameters[name]) for name in total}, importance=total),
            collate_fn=self.collate_fn,
        )  # fmt: skip

    def _importance_so_far(self, model: nn.Module) -> Mapping[str, torch.Tensor]:
        """That of the parameters that `model` has, too, in the same shape."""
        parameters = dict(model.named_parameters())
        if self._pull is not None:
            return matching(Anchor(start=self._pull.importance()), parameters).start
        if self.fisher is not None:
            return saved(self.fisher, parameters).importance or {}
        if self.strength == 0:
            return {}
        raise PlanError(
            "EWC.after_task: this EWC has neither trained nor a saved estimate, so there is nothing to add to; call "
            "it after trainer.train(), or make EWC(fisher=...)."
        )

    def _anchor(self, host: Host, parameters: Mapping[str, nn.Parameter]) -> Anchor:
        if self.fisher is not None:
            return saved(self.fisher, parameters)
        collate, size = self.collate_fn or collate_of(self.data) or host.collate, host.args.per_device_train_batch_size
        how: dict[str, Any] = {"kind": self.importance, "n_examples": self.n_examples, "collate_fn": collate}
        if self.reference_model is not None:
            return at_reference(
                self.reference_model, host.model, parameters, self.data, host.args.device, batch_size=size, **how
            )

        def estimate(model: nn.Module, names: Iterable[str]) -> dict[str, torch.Tensor]:
            return estimated(model, names, self.data, batch_size=size, **how)

        importance = of_trainer(host.trainer, host.model, estimate, parameters)
        return Anchor(start={name: whole(parameters[name]) for name in importance}, importance=importance)
