from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hf_transfer_kit.callbacks.unfreezing.warm_up import WarmUp

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.1, weight_decay=0.1),
    "adamw fused": lambda params: torch.optim.AdamW(params, lr=0.1, fused=True),
    "adafactor": lambda params: torch.optim.Adafactor(params, lr=0.1),
}


def step(optimizer, parameters):
    for index, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, index + 1.0)
    optimizer.step()


def test_the_updates_grow_as_by_hand():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    warm_up = WarmUp(optimizer, 3)
    places = []
    for number in range(10, 16):  # opened at step 10
        warm_up.prepare(number, [(10, [weight])])
        weight.grad = torch.tensor([-1.0])
        optimizer.step()
        places.append(weight.item())

    assert places == [0.25, 0.75, 1.5, 2.5, 3.5, 4.5]  # 1/4, 2/4, 3/4, then whole


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_any_optimizer_makes_the_same_share_of_its_step_and_keeps_its_state(make):
    plain = [nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))]
    warmed = [nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))]
    first, second = make(plain), make(warmed)
    WarmUp(second, 3).prepare(0, [(0, warmed[1:])])

    step(first, plain)
    step(second, warmed)

    assert torch.equal(warmed[0], plain[0])
    torch.testing.assert_close(warmed[1] - 1, (plain[1] - 1) / 4)
    for one, other in zip(first.state.values(), second.state.values(), strict=True):
        for name, value in one.items():
            assert value is None or torch.equal(torch.as_tensor(value), torch.as_tensor(other[name]))


def test_each_parameter_counts_from_its_own_opening():
    early, late = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([early, late], lr=1.0)
    WarmUp(optimizer, 3).prepare(6, [(4, [early]), (6, [late])])

    step(optimizer, [early, late])

    assert (early.item(), late.item()) == (-0.75, -0.5)


def test_a_skipped_step_scales_nothing():
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    warm_up = WarmUp(SimpleNamespace(optimizer=optimizer), 1)  # as accelerate wraps it
    warm_up.prepare(0, [(0, [weight])])
    with torch.no_grad():
        weight.zero_()  # by anything but a step
    warm_up.prepare(1, [(0, [weight])])

    step(optimizer, [weight])

    assert weight.item() == -1


def test_nothing_is_left_after_removal():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    warm_up = WarmUp(optimizer, 3)
    warm_up.prepare(0, [(0, [weight])])

    warm_up.remove()
    step(optimizer, [weight])

    assert weight.item() == -1
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
