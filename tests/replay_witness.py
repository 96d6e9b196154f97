"""What a Trainer collated and the gradient it had, for tests of replay; and that gradient by autograd alone."""

import torch
from tiny_training import weights
from transformers import TrainerCallback, default_data_collator

NEW, OLD = 0, 1  # rows say where they are from in a column that the model does not see


def marked(data, origin):
    """Rows of `make_data` with their position and origin in a column "mark"."""
    return [{**row, "mark": (origin, position)} for position, row in enumerate(data)]


class Recording:
    """A collator that keeps the marks of the rows of every batch, in `calls`."""

    def __init__(self):
        self.calls = []

    def __call__(self, rows):
        self.calls.append([row["mark"] for row in rows])
        return default_data_collator([{k: v for k, v in row.items() if k != "mark"} for row in rows])


class Witness(TrainerCallback):
    """Keeps the weights before step `step`, the summed gradient in it, and how many batches were collated by then."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, model, **kwargs):
        if state.global_step == self.step:
            self.weights = weights(model)

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        if state.global_step == self.step:
            self.gradient = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def expected_gradient(model, micro_batches, distilled, start_logits, old, new, strength):
    """The gradient of mean(task loss of micro-batches) + strength * mean squared difference of logits, by autograd.

    `micro_batches` and `distilled` hold marks; `start_logits` has a row for each row of `old`.
    """

    def batch(marks):
        rows = [(old if origin == OLD else new)[position] for origin, position in marks]
        return default_data_collator([{k: v for k, v in row.items() if k != "mark"} for row in rows])

    model.zero_grad()
    losses = [model(**batch(marks)).loss for marks in micro_batches]
    now = model(**batch(distilled)).logits
    before = torch.stack([start_logits[position] for _, position in distilled])
    (sum(losses) / len(losses) + strength * ((now - before) ** 2).mean()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
