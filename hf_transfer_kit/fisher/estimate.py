"""The diagonal Fisher information of a model on some examples."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hf_transfer_kit.errors import PlanError, UnsupportedSetupError, did_you_mean
from hf_transfer_kit.examples import some_examples
from hf_transfer_kit.fisher.batches import Batch, Batches, collator_for, seed_all, taken_by
from hf_transfer_kit.fisher.hooks import BatchedPass
from hf_transfer_kit.fisher.own_loss import KINDS, OwnLoss, find_own_loss
from hf_transfer_kit.fisher.per_example import add_one_by_one
from hf_transfer_kit.isolation import undisturbed

Totals = dict[str, torch.Tensor]


def estimate_fisher(
    model: nn.Module, data: Any, kind: str = "empirical", n_examples: int = 256,
    collate_fn: Callable[[list[Any]], Any] | None = None, *, batch_size: int = 16,
    parameters: Iterable[str] | None = None, seed: int = 0,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """The diagonal of the Fisher information: for every weight, how much the loss on `data` hangs on it.

        F_i = mean over examples n of (d loss_n / d w_i)^2

    `loss_n` is what the model loses on example n alone: cross entropy of its label, mean over its own labelled tokens
    for language models, squared error, binary cross entropy. Squaring the gradient of a whole batch instead, as many
    implementations do, is a different number (van de Ven 2025). The result does not depend on `batch_size`.

    Args:
        model: in any mode; it is measured in eval mode, without dropout, and left as it was, random numbers included.
        data: what the Trainer takes as train_dataset, map-style or iterable, or a DataLoader.
        kind: which labels and which measure:
            "empirical": the labels in `data`.
            "sampled": labels drawn from the model's own distribution, one draw per example or token: an unbiased
                estimate of the true Fisher (Kunstner et al. 2019 on why this differs from "empirical").
            "exact": the expectation over all classes, for classifiers of up to 1000; a backward pass for each class.
            "reversed": "empirical" with the logits negated, which keeps confident examples from vanishing (EWC-DR).
            "mas": memory aware synapses, which needs no labels: the mean of |d ||output||^2 / d w_i|, an absolute
                value and no square; the output is the logits, or the last hidden states of a model without a head; of
                an output per token the mean over the tokens that are not padding.
        n_examples: how many at most, drawn without replacement; of an iterable the first ones.
        collate_fn: list of examples -> keyword arguments of the model; default that of the DataLoader, else
            `transformers.default_data_collator` on the columns that the model takes.
        batch_size: examples in one pass; a matter of speed and memory only.
        parameters: names of parameters as in `model.named_parameters()`, frozen ones too; default: all that require
            gradients.
        seed: of the draw of examples and labels.

    Returns:
        {parameter name: float32 tensor of the parameter's shape, on its device}, the same on all processes.

    Raises:
        PlanError: a setting or a parameter name is unknown.
        DataError: no examples, no labels, or a collator that makes no row of each example.
        ModelError: the model gives no loss, or none that `kind` can be computed from.
        UnsupportedSetupError: the parameters are sharded (FSDP2, tensor parallelism).

    Cost: about one forward and backward pass over the examples. Each layer's rule is first checked against plain
    autograd on two examples; parameters without a fitting rule are computed one example at a time, about three times
    as slow. Memory: three tensors of each parameter's size besides the result, for that check.

    Multi-GPU: call it on every process of a group; each takes its share of the examples and all get the sum. No
    wrapper of gradients is touched.

    Source: Kirkpatrick et al. 2017 (arXiv:1612.00796); Kunstner et al. 2019 (arXiv:1905.12558); van de Ven 2025
    (arXiv:2502.11756). "reversed": arXiv:2603.18596. "mas": Aljundi et al. 2018 (arXiv:1711.09601).

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
        >>> model = BertForSequenceClassification(config)
        >>> fisher = estimate_fisher(model, [{"input_ids": [1, 2], "label": 0}, {"input_ids": [3, 4], "label": 1}])
        >>> fisher["classifier.weight"].shape
        torch.Size([2, 4])
    """
    _check(kind, n_examples, batch_size)
    model = _unwrapped(model)
    totals = _zeros(model, parameters)
    collate = collator_for(model, data, collate_fn)
    with undisturbed(model), torch.compiler.set_stance("force_eager"):
        seed_all(seed)
        examples = some_examples(data, n_examples, seed)
        rank, processes = _place()
        batches = Batches(
            examples=examples[rank::processes], positions=range(len(examples))[rank::processes], collate=collate,
            batch_size=batch_size, seed=seed, device=next(iter(totals.values())).device,
            always={"use_cache": False} if "use_cache" in taken_by(model)[0] else {},
        )  # fmt: skip
        _add_up(model, batches, kind, totals)
    for total in totals.values():
        if processes > 1:
            distributed.all_reduce(total)
        total /= len(examples)
    return totals


def _add_up(model: nn.Module, batches: Batches, kind: str, totals: Totals) -> None:
    """Adds this process's examples to `totals`: all in batches where that is right, else one by one."""
    first = next(iter(batches), None)
    if first is None:
        return  # more processes than examples
    own_loss = find_own_loss(model, _prepared(first, kind, model).fullest(2), kind, batches.seed)
    power = 1 if kind == "mas" else 2

    def passes() -> Iterable[Batch]:
        for batch in batches:
            batch = _prepared(batch, kind, model)
            yield from batch.one_by_one() if own_loss.needs_single_examples else (batch,)

    right = _right_in_batches(model, own_loss, next(iter(passes())).fullest(2), totals, power)
    with BatchedPass(model, own_loss, {name: totals[name] for name in right}, power) as batched:
        for batch in passes() if right else ():
            batched.add(batch)
    rest = {name: total for name, total in totals.items() if name not in right or name in batched.failed}
    for total in rest.values():
        total.zero_()
    for batch in passes() if rest else ():
        add_one_by_one(model, own_loss, batch, rest, power)


def _right_in_batches(model: nn.Module, own_loss: OwnLoss, batch: Batch, totals: Totals, power: int) -> set[str]:
    """The parameters for which a batched pass agrees with plain autograd, one example at a time.

    This finds what no list of layers can: weights that are used past their layer, examples that act on each other, an
    attention mask that does not hide the padding.
    """
    expected, found = ({name: torch.zeros_like(total) for name, total in totals.items()} for _ in range(2))
    add_one_by_one(model, own_loss, batch, expected, power)
    with BatchedPass(model, own_loss, found, power) as batched:
        try:
            batched.add(batch)
        except RuntimeError:  # the model does not bear the hooks
            return set()
    on_cpu = all(total.is_cpu for total in totals.values())
    close = 0.1 if batched.half else 1e-3 if on_cpu else 1e-2  # a GPU may round to TF32
    # Gradients that are zero but for rounding, such as those of attention's key biases, cannot agree.
    nothing = (
        close / 100 * max(float(total.pow(1 / power).norm() / total.numel() ** 0.5) for total in expected.values())
    )
    right = set()
    for name, total in expected.items():
        gradient = total.pow(1 / power)
        error = float((found[name].pow(1 / power) - gradient).norm())
        if error <= close * float(gradient.norm()) + nothing * gradient.numel() ** 0.5 and name not in batched.failed:
            right.add(name)
    return right


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, out of DDP and torch.compile."""
    while True:
        if isinstance(model, DistributedDataParallel):
            model = model.module
        elif "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        else:
            return model


def _prepared(batch: Batch, kind: str, model: nn.Module) -> Batch:
    """Without labels for "mas": they may name classes that this head does not have."""
    if kind != "mas" or getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return batch
    inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
    return Batch(inputs=inputs, positions=batch.positions)


def _zeros(model: nn.Module, names: Iterable[str] | None) -> Totals:
    """A float32 tensor for every parameter asked for."""
    known = dict(model.named_parameters())
    names = [name for name, parameter in known.items() if parameter.requires_grad] if names is None else list(names)
    for name in names:
        if name not in known:
            raise PlanError(f"{type(model).__name__} has no parameter '{name}'; {did_you_mean(name, known)}")
        if not known[name].is_floating_point():
            raise PlanError(f"'{name}' is quantised and has no gradient; leave it out of parameters=[...].")
        if hasattr(known[name], "device_mesh"):
            raise UnsupportedSetupError(
                f"'{name}' is sharded; estimate the Fisher before FSDP or TP takes the model, and pass it on: "
                "EWC(fisher=estimate_fisher(model, old_data))."
            )
    if not names:
        raise PlanError(f"no parameter of {type(model).__name__} requires gradients; name some in parameters=[...].")
    return {name: torch.zeros_like(known[name], dtype=torch.float32, requires_grad=False) for name in names}


def _place() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _check(kind: str, n_examples: int, batch_size: int) -> None:
    if kind not in KINDS:
        raise PlanError(f"kind='{kind}' is unknown; {did_you_mean(kind, KINDS)}")
    if n_examples < 1:
        raise PlanError(f"n_examples={n_examples} leaves nothing to measure; use 256.")
    if batch_size < 1:
        raise PlanError(f"batch_size={batch_size} must be at least 1; it is a matter of speed only, so use 16.")
