import pytest
import torch
from architectures import ARCHITECTURES, BATCH_NORM
from tiny_training import make_model
from torch import nn
from transformers import AutoModelForImageClassification

from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.freezing import Freezer, keep_in_eval


def resnet(name="resnet"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForImageClassification.from_config(ARCHITECTURES[name])


def batch_norms(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}


def moved(model):
    """The batch norms whose statistics a training forward pass changes."""
    before = {name: norm.running_mean.clone() for name, norm in batch_norms(model).items()}
    model.train()
    model(pixel_values=torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    return {name for name, norm in batch_norms(model).items() if not torch.equal(norm.running_mean, before[name])}


def test_only_the_given_parameters_are_touched():
    model = make_model()
    given = {name: p for name, p in model.named_parameters() if ".layer.0." in name}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("embeddings" not in name)
    freezer = Freezer(model, given, find_blocks(model))

    freezer.open_only(set())
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
        name for name, _ in model.named_parameters() if "embeddings" in name or name in given
    }
    freezer.release()
    assert all(p.requires_grad == ("embeddings" not in name) for name, p in model.named_parameters())


def test_frozen_parameters_have_no_gradient_left():
    model = make_model()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)

    Freezer(model, dict(model.named_parameters()), find_blocks(model)).open_only({"classifier.weight"})

    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["classifier.weight"]


@pytest.mark.parametrize("name", BATCH_NORM)
def test_batch_norms_move_where_their_unit_is_open_and_nowhere_else(name):
    model = resnet(name)
    blocks = find_blocks(model)
    freezer = Freezer(model, dict(model.named_parameters()), blocks)
    depth = len(blocks) // 2

    freezer.open_only({name for unit in blocks.top(depth) for name in unit.parameter_names})

    above = {name for unit in blocks.top(depth) for name in unit.module_names}
    assert moved(model) == above.intersection(batch_norms(model))
    freezer.release()
    assert moved(model) == batch_norms(model).keys()
    assert not model._forward_pre_hooks


def test_a_batch_norm_opens_with_its_own_parameters():
    model = resnet()
    blocks = find_blocks(model)
    one, *others = (name for name in blocks.units[1].module_names if name in batch_norms(model))
    assert others  # of the same unit

    Freezer(model, dict(model.named_parameters()), blocks).open_only({f"{one}.weight"})

    assert moved(model) == {one}


def test_a_batch_norm_without_trainable_parameters_opens_with_its_unit():
    model = resnet()
    blocks = find_blocks(model)
    norms = batch_norms(model)
    others = {n: p for n, p in model.named_parameters() if n.rpartition(".")[0] not in norms}
    freezer = Freezer(model, others, blocks)

    freezer.open_only(set(others).intersection(blocks.units[-2].parameter_names))

    assert moved(model) == set(norms).intersection(blocks.units[-2].module_names)


def test_batch_norms_of_units_without_given_parameters_are_left_alone():
    model = resnet()
    blocks = find_blocks(model)
    of_head = {name: model.get_parameter(name) for name in blocks.head.parameter_names}

    Freezer(model, of_head, blocks).open_only(set())

    assert moved(model) == batch_norms(model).keys()


def test_dropout_of_frozen_parts_stays_on():
    model = make_model(dropout=0.5).train()

    Freezer(model, dict(model.named_parameters()), find_blocks(model)).open_only(set())
    model(input_ids=torch.ones(1, 4, dtype=torch.long))

    assert all(module.training for module in model.modules())


def test_keeping_nothing_in_eval_mode_installs_nothing():
    model = make_model()

    assert keep_in_eval(model, []) is None
    assert not model._forward_pre_hooks


def test_kept_modules_train_again_after_removal():
    model = nn.Sequential(nn.BatchNorm1d(2))
    handle = keep_in_eval(model, model)
    model.train()(torch.ones(2, 2))
    assert not model[0].training

    handle.remove()
    model.train()(torch.ones(2, 2))
    assert model[0].training
