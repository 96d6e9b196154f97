"""Extra passes through a model in training that leave no trace."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def undisturbed_randomness() -> Iterator[None]:
    """Gives Python's, numpy's and torch's random numbers back as they were, so that what follows draws the same."""
    python, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Puts `model` in eval mode; afterwards every module's mode, every parameter's `requires_grad` and `grad` and all
    random states are as before.

    Gradients computed inside are thrown away; those that were there stay.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train()
        >>> with undisturbed(model):
        ...     model.training
        False
        >>> model.training
        True
    """
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    with undisturbed_randomness():
        try:
            for parameter, _, _ in flags:
                parameter.grad = None
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode  # not .train(mode), which would reach into its children
            for parameter, required, gradient in flags:
                parameter.requires_grad_(required)
                parameter.grad = gradient
