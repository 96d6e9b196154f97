"""A random copy has the shape of the model and nothing of what it has learned."""

import pytest
import torch
from architectures import ARCHITECTURES
from transformers import AutoModel

from hf_transfer_kit.transferability.random_copy import random_copy


def pretrained(name):
    torch.manual_seed(7)
    return AutoModel.from_config(ARCHITECTURES[name]).eval()


def test_the_shapes_are_the_same_and_the_weights_are_not():
    model = pretrained("bert")
    copy = random_copy(model, batches=(), seed=0)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}

    assert {name: tensor.shape for name, tensor in copy.state_dict().items()} == shapes
    assert not torch.equal(copy.encoder.layer[0].output.dense.weight, model.encoder.layer[0].output.dense.weight)
    assert not copy.training


def test_a_seed_is_one_copy_and_leaves_the_state_of_torch_alone():
    model = pretrained("bert")
    before = torch.random.get_rng_state()
    first, again, other = (random_copy(model, batches=(), seed=seed).state_dict() for seed in (0, 0, 1))

    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("name", ["resnet", "mobilenet v2"])
def test_batch_norm_knows_the_inputs(name):
    batch = {"pixel_values": torch.randn(8, 3, 32, 32) * 5 + 3}
    copy = random_copy(pretrained(name), [batch], seed=0)
    norm = next(module for module in copy.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        copy(**batch)

    assert not norm.training
    assert seen[0].mean(dim=(0, 2, 3)).abs().max() < 0.05  # normalised by statistics of these very inputs
    assert (seen[0].var(dim=(0, 2, 3)) - 1).abs().max() < 0.05
