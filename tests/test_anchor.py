import pytest
import torch
from torch import nn

from hf_transfer_kit import anchor as anchor_module
from hf_transfer_kit.anchor import Anchor, Pull, matching, normalised, whole
from hf_transfer_kit.errors import DataError


def parameter(values, **settings):
    return nn.Parameter(torch.tensor(values, **settings))


def pulled(weight, optimizer, *, start, importance=None, **settings):
    importance = None if importance is None else {"w": importance}
    pull = Pull(Anchor(start={"w": start}, importance=importance), {"w": weight}, **settings)
    pull.apply(optimizer)
    return pull


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_pull_is_the_closed_form_by_hand():
    weight = parameter([[3.0, 3.0, 3.0]])
    pulled(weight, torch.optim.SGD([weight], lr=0.5), start=torch.ones(1, 3), strength=2.0)
    assert weight.tolist() == [[2.0, 2.0, 2.0]]  # c = 0.5 * 2 = 1: (3 + 1 * 1) / (1 + 1)


def test_each_weight_is_pulled_by_its_own_importance():
    weight, importance = parameter([3.0, 3.0, 3.0]), torch.tensor([0.0, 1.0, 3.0])
    pulled(weight, torch.optim.SGD([weight], lr=0.5), start=torch.ones(3), importance=importance, strength=2.0)
    assert weight.tolist() == [3.0, 2.0, 1.5]  # c = 0, 1, 3


def test_the_penalty_is_the_formula():
    weight = parameter([3.0, 5.0])
    pull = Pull(
        Anchor(start={"w": torch.ones(2)}, importance={"w": torch.tensor([0.5, 1.5])}), {"w": weight}, strength=10.0
    )
    assert pull.penalty() == 10 / 2 * (0.5 * 2**2 + 1.5 * 4**2)


def test_every_parameter_is_pulled_by_the_learning_rate_of_its_group():
    slow, fast = parameter([3.0]), parameter([3.0])
    optimizer = torch.optim.SGD([{"params": [slow], "lr": 0.0}, {"params": [fast], "lr": 1.0}])
    start = {"slow": torch.ones(1), "fast": torch.ones(1)}
    Pull(Anchor(start=start), {"slow": slow, "fast": fast}, strength=1.0).apply(optimizer)
    assert (slow.item(), fast.item()) == (3.0, 2.0)


def test_a_frozen_parameter_stays_where_it_is():
    weight = parameter([3.0]).requires_grad_(False)
    pulled(weight, torch.optim.SGD([weight], lr=1.0), start=torch.ones(1), strength=1.0)
    assert weight.item() == 3.0


OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=5e-2),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=2e-2, momentum=0.9),
    "nesterov": lambda weights: torch.optim.SGD(weights, lr=2e-2, momentum=0.9, nesterov=True),
    "dampening": lambda weights: torch.optim.SGD(weights, lr=2e-2, momentum=0.9, dampening=0.5),
    "adam": lambda weights: torch.optim.Adam(weights, lr=5e-3),
    "fused adam": lambda weights: torch.optim.Adam(weights, lr=5e-3, fused=True),
}


@pytest.mark.parametrize("strength", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_ends_at_the_minimum_of_loss_and_penalty(name, strength):
    curvature, target, start = (random(12, seed=seed).double() + 0.5 for seed in range(3))
    importance = torch.logspace(-6, 2, 12, dtype=torch.float64)
    best = (curvature * target + strength * importance * start) / (curvature + strength * importance)
    weight = nn.Parameter(start.clone())
    optimizer = OPTIMIZERS[name]([weight])
    anchor = Anchor(start={"w": start}, importance={"w": importance})
    pull = Pull(anchor, {"w": weight}, strength=strength, exact="adam" in name)

    for _ in range(1000):
        optimizer.zero_grad()
        (curvature * (weight - target).square()).sum().div(2).backward()
        optimizer.step()
        pull.apply(optimizer)

    torch.testing.assert_close(weight.detach(), best, atol=1e-5, rtol=0)


def test_the_second_moments_are_those_of_the_step_just_made():
    weight = parameter([4.0, -2.0])
    optimizer = torch.optim.AdamW([weight], lr=0.5, betas=(0.9, 0.99), eps=1e-3, weight_decay=0.0)
    for _ in range(3):
        weight.grad = torch.tensor([0.3, 2.0])
        optimizer.step()
    before = weight.detach().clone()

    pulled(weight, optimizer, start=torch.zeros(2), strength=3.0, exact=True)

    pull = 0.5 * 3.0 / (torch.tensor([0.3, 2.0]) + 1e-3)  # of gradients that stay the same, sqrt(v) is the gradient
    torch.testing.assert_close(weight.detach(), before / (1 + pull))


def test_weights_without_importance_keep_every_bit():
    weight = nn.Parameter(random(1000))
    importance = torch.zeros(1000)
    importance[0] = 1.0
    before = weight.detach().clone()
    pulled(weight, torch.optim.SGD([weight], lr=0.1), start=random(1000, seed=1), importance=importance, strength=1e6)
    assert weight[0] != before[0]
    assert torch.equal(weight[1:], before[1:])


@pytest.mark.parametrize("exact", [False, True])
def test_rows_without_importance_can_be_skipped(exact, monkeypatch):
    start, importance = random(60, 5, seed=1), random(60, 5, seed=2)
    importance[::2] = 0.0
    importance[:20] = 0.0
    weights = [nn.Parameter(random(60, 5)) for _ in range(2)]
    for weight, dense in zip(weights, [importance, importance + 1e-30], strict=True):
        optimizer = torch.optim.Adam([weight], lr=0.1)
        weight.grad = random(60, 5, seed=3)
        optimizer.step()
        pull = pulled(weight, optimizer, start=start, importance=dense, strength=10.0, exact=exact)
        torch.testing.assert_close(pull.importance()["w"], importance)
        expected = 10 / 2 * (importance * (weight - start).square()).sum()
        assert pull.penalty() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(*weights, rtol=1e-6, atol=0)


def test_long_and_short_pieces_give_the_same(monkeypatch):
    weights = [nn.Parameter(random(33, 7)) for _ in range(2)]
    for weight, piece in zip(weights, [2**16, 10], strict=True):
        monkeypatch.setattr(anchor_module, "PIECE", piece)
        optimizer = torch.optim.SGD([weight], lr=0.1)
        pulled(weight, optimizer, start=random(33, 7, seed=1), importance=random(33, 7, seed=2), strength=5.0)
    assert torch.equal(*weights)


def test_weights_in_another_memory_order_are_pulled_as_well():
    plain = nn.Parameter(random(4, 3, 2, 2))
    turned = nn.Parameter(random(4, 3, 2, 2).to(memory_format=torch.channels_last))
    for weight in (plain, turned):
        optimizer = torch.optim.SGD([weight], lr=0.1)
        pulled(
            weight, optimizer, start=random(4, 3, 2, 2, seed=1), importance=random(4, 3, 2, 2, seed=2), strength=5.0
        )
    assert torch.equal(plain, turned)


def test_half_precision_weights_are_pulled_in_float32():
    start, importance = random(500, seed=1), random(500, seed=2)
    weight = nn.Parameter(random(500).bfloat16())
    share = 0.3 * importance / (1 + 0.3 * importance)
    expected = weight.detach().float() + share * (start.bfloat16().float() - weight.detach().float())
    pulled(weight, torch.optim.SGD([weight], lr=0.1), start=start, importance=importance, strength=3.0)
    assert torch.equal(weight.detach(), expected.bfloat16())


def test_importance_has_a_mean_of_one_over_all_weights():
    scaled = normalised({"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([[10.0]])})
    assert scaled["a"].tolist() == [0.25, 0.5, 0.75]
    assert scaled["b"].tolist() == [[2.5]]


@pytest.mark.parametrize(
    ("importance", "said"),
    [
        ({"a": torch.zeros(3), "b": torch.zeros(2)}, "zero for all 2 parameters"),
        ({"a": torch.ones(3), "b": torch.tensor([1.0, float("nan")])}, "'b' is not finite"),
        ({"a": torch.tensor([float("inf")])}, "'a' is not finite"),
        ({"a": torch.tensor([-1.0, 3.0])}, "'a' is not finite, or negative"),
    ],
)
def test_importance_that_says_nothing_is_an_error(importance, said):
    with pytest.raises(DataError, match=said):
        normalised(importance)


def test_an_anchor_comes_back_from_its_tensors():
    anchor = Anchor(start={"a.b": torch.ones(2)}, importance={"a.b": torch.zeros(2)})
    again = Anchor.from_tensors(anchor.to_tensors())
    assert torch.equal(again.start["a.b"], anchor.start["a.b"])
    assert torch.equal(again.importance["a.b"], anchor.importance["a.b"])
    assert Anchor.from_tensors(Anchor(start={"a": torch.ones(2)}).to_tensors()).importance is None


def test_what_has_another_shape_or_name_is_free():
    anchor = Anchor(start={"a": torch.ones(2), "b": torch.ones(3), "c": torch.ones(1)})
    parameters = {"a": parameter([1.0, 2.0]), "b": parameter([1.0]), "d": parameter([1.0])}
    assert list(matching(anchor, parameters).start) == ["a"]
    with pytest.raises(DataError, match="fits none of the 1 trainable parameters"):
        matching(anchor, {"d": parameters["d"]})


def test_a_copy_does_not_follow_the_weights():
    weight = parameter([1.0])
    copy = whole(weight)
    weight.data += 1
    assert copy.tolist() == [1.0]
    assert not copy.requires_grad
