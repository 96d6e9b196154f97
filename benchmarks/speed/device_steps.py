"""A training step in bf16, EWC's share of it, and what is left of it while blocks are frozen; on any device."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.speed.device_clock import peak_mib, seconds_in_turn
from hf_transfer_kit.anchor import Anchor, Pull, normalised, whole
from hf_transfer_kit.blocks import find_blocks

CLASSES, LEARNING_RATE, STRENGTH = 4, 2e-5, 100.0


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A model, a batch and how often. Fields: `layers` x `width` of a BERT, `rows` x `tokens` of a batch."""

    layers: int
    width: int
    vocabulary: int
    rows: int
    tokens: int
    repeats: int
    warm_up: int


LARGE_STEPS = Steps(layers=12, width=768, vocabulary=30522, rows=32, tokens=128, repeats=30, warm_up=10)
TINY_STEPS = Steps(layers=2, width=32, vocabulary=100, rows=2, tokens=8, repeats=3, warm_up=1)


def make_model(size: Steps, device: torch.device, dtype: torch.dtype) -> Any:
    """A BERT classifier with random weights, in training."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size.vocabulary, hidden_size=size.width, num_hidden_layers=size.layers,
        num_attention_heads=max(size.width // 64, 1), intermediate_size=4 * size.width,
    )  # fmt: skip
    config.num_labels = CLASSES
    model: Any = BertForSequenceClassification(config)
    return model.to(device, dtype).train()


def make_step(model: Any, size: Steps) -> tuple[Callable[[], None], torch.optim.Optimizer]:
    """Forward, backward and AdamW on one batch of random tokens; and its optimizer."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(size.vocabulary, (size.rows, size.tokens), generator=generator).to(model.device)
    labels = (torch.arange(size.rows) % CLASSES).to(model.device)
    mask = torch.ones_like(tokens)

    def step() -> None:
        model(input_ids=tokens, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, optimizer


def bf16_step(size: Steps, device: torch.device) -> dict[str, Any]:
    """Milliseconds and peak MiB of a step, weights and optimizer in float32 and in bf16."""
    found: dict[str, Any] = {"shape": vars(size)}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        step, _ = make_step(make_model(size, device, dtype), size)
        times = seconds_in_turn({name: step}, device, repeats=size.repeats, warm_up=size.warm_up)
        found[name] = {"milliseconds": milliseconds(times[name]), "peak_mib": peak_mib(step, device)}
        del step  # and with it model and optimizer, before the next one is measured
        gc.collect()
    found["times_faster"] = found["float32"]["milliseconds"] / found["bf16"]["milliseconds"]
    if found["bf16"]["peak_mib"]:
        found["share_of_memory"] = found["bf16"]["peak_mib"] / found["float32"]["peak_mib"]
    return found


def ewc(size: Steps, device: torch.device) -> dict[str, Any]:
    """Milliseconds of EWC's pull after a step of a bf16 model, and of the step."""
    model = make_model(size, device, torch.bfloat16)
    step, optimizer = make_step(model, size)
    step()  # moves every weight, and makes the optimizer's state
    generator = torch.Generator().manual_seed(0)
    parameters = dict(model.named_parameters())
    anchor = Anchor(
        start={name: whole(weight) for name, weight in parameters.items()},
        importance=normalised({name: torch.rand(p.shape, generator=generator) for name, p in parameters.items()}),
    )  # no importance is zero, so nothing can be skipped
    pull = Pull(anchor, parameters, strength=STRENGTH)
    sides = {"step": step, "pull": lambda: pull.apply(optimizer)}
    times = seconds_in_turn(sides, device, repeats=size.repeats, warm_up=size.warm_up)
    return {
        "milliseconds": {name: milliseconds(each) for name, each in times.items()},
        "share_of_a_step": median(times["pull"]) / median(times["step"]),
        "parameters": sum(weight.numel() for weight in parameters.values()),
    }


def freeze_below(model: Any, open_blocks: int) -> None:
    """Leaves the head and the upper `open_blocks` blocks to train."""
    for unit in find_blocks(model).below(open_blocks):
        for parameter in unit.parameters(model):
            parameter.requires_grad_(False)


def unfreezing(size: Steps, device: torch.device) -> dict[str, Any]:
    """Milliseconds of a bf16 step with everything, the upper half of the blocks, and the head alone open."""
    sides = {}
    for name, blocks in (("everything", None), ("half", size.layers // 2), ("head", 0)):
        model = make_model(size, device, torch.bfloat16)
        if blocks is not None:
            freeze_below(model, blocks)
        sides[name], _ = make_step(model, size)
    times = seconds_in_turn(sides, device, repeats=size.repeats, warm_up=size.warm_up)
    whole_step = median(times["everything"])
    return {
        "milliseconds": {name: milliseconds(each) for name, each in times.items()},
        "share_half": median(times["half"]) / whole_step,
        "share_head": median(times["head"]) / whole_step,
    }


def milliseconds(seconds: list[float]) -> float:
    """The middle one."""
    return round(1000 * median(seconds), 4)
