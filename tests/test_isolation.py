import random

import numpy as np
import pytest
import torch
from torch import nn

from hf_transfer_kit.isolation import undisturbed, undisturbed_randomness


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_what_follows_draws_the_same_numbers():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with undisturbed_randomness():
        inside = draws()

    assert inside == expected
    assert draws() == expected


def test_modes_flags_and_gradients_come_back_one_by_one():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.BatchNorm1d(2))
    model.train()
    model[2].eval()  # a frozen batch norm inside a model in training
    model[0].bias.requires_grad_(False)
    model[0].weight.grad = torch.ones(2, 2)

    with pytest.raises(ZeroDivisionError), undisturbed(model):
        assert not any(module.training for module in model.modules())
        assert model[0].weight.grad is None
        model(torch.rand(4, 2)).sum().backward()
        model.requires_grad_(False)
        raise ZeroDivisionError

    assert [module.training for module in model] == [True, True, False]
    assert [parameter.requires_grad for parameter in model[0].parameters()] == [True, False]
    assert torch.equal(model[0].weight.grad, torch.ones(2, 2))
    assert model[2].weight.grad is None
    assert model[2].running_mean.tolist() == [0.0, 0.0]
