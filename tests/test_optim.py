"""Discriminative learning rates, checked by hand, by the size of AdamW's first step, and by a resumed run."""

from collections import Counter

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    ResNetConfig,
    ResNetForImageClassification,
    Trainer,
    TrainingArguments,
)

from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.errors import ModelError, PlanError
from hf_transfer_kit.optim import discriminative_lr, parameter_groups

BERT = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=8,
    max_position_embeddings=8,
    num_labels=3,
)


def bert() -> BertForSequenceClassification:
    torch.manual_seed(0)
    return BertForSequenceClassification(BERT)


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, n_positions=8))


def resnet() -> ResNetForImageClassification:
    return ResNetForImageClassification(ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 2]))


def lora_bert() -> nn.Module:
    return get_peft_model(bert(), LoraConfig(task_type="SEQ_CLS", r=2))


def rates(groups: list[dict]) -> dict[str, float]:
    return {group["name"]: group["lr"] for group in groups}


def group_of(model: nn.Module, groups: list[dict], name: str) -> dict:
    (found,) = [group for group in groups if any(p is model.get_parameter(name) for p in group["params"])]
    return found


def test_the_rate_halves_per_block_downwards_and_the_new_head_has_its_own():
    groups = parameter_groups(bert(), 8e-5, decay=0.5, head_lr=1e-3)
    plain = {name: rate for name, rate in rates(groups).items() if "no decay" not in name}
    assert plain == {"stem": 1e-5, "block 0": 2e-5, "block 1": 4e-5, "block 2": 8e-5, "new": 1e-3}
    assert {name.removesuffix(" (no decay)"): rate for name, rate in rates(groups).items()} == plain


def test_a_first_step_moves_every_weight_by_the_rate_of_its_unit():
    # With equal gradients the first step of Adam is lr * g / (|g| + eps), that is lr, whatever the gradient.
    model = bert().double()
    optimizer = discriminative_lr(model, 1e-2, decay=0.5, head_lr=0.3, weight_decay=0.0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 5.0)
    optimizer.step()
    expected = {0: 1e-2 / 8, 1: 1e-2 / 4, 2: 1e-2 / 2, 3: 1e-2, 4: 0.3}
    for name, depth in find_blocks(model).depths().items():
        step = before[name] - model.get_parameter(name)
        torch.testing.assert_close(step, torch.full_like(step, expected[depth]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("build", [bert, gpt2, resnet, lora_bert])
def test_every_trainable_parameter_is_in_exactly_one_group(build):
    model = build()
    counts = Counter(id(p) for group in parameter_groups(model, 1e-4) for p in group["params"])
    assert counts == {id(p): 1 for p in model.parameters() if p.requires_grad}


def test_decay_of_one_and_equal_rates_leave_one_rate():
    assert set(rates(parameter_groups(bert(), 3e-4, decay=1, head_lr=3e-4)).values()) == {3e-4}


def test_weight_decay_spares_biases_and_norms_of_any_shape_and_scales():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm, self.conv_norm = nn.Linear(4, 4), nn.LayerNorm((2, 4)), nn.BatchNorm2d(4)
            self.bias, self.scale = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(4))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Layer() for _ in range(2))

    model = Model()
    groups = parameter_groups(model, 1e-4, weight_decay=0.1)
    decayed = {n for n, _ in model.named_parameters() if group_of(model, groups, n)["weight_decay"] == 0.1}
    assert decayed == {"layers.0.linear.weight", "layers.1.linear.weight"}
    assert {group["weight_decay"] for group in groups} == {0.1, 0.0}


def test_frozen_parameters_are_left_out():
    model = bert()
    for unit in find_blocks(model).below(1):
        for parameter in unit.parameters(model):
            parameter.requires_grad_(False)
    assert list(rates(parameter_groups(model, 1e-4))) == ["block 2", "block 2 (no decay)", "new", "new (no decay)"]


def test_a_model_that_is_all_frozen_is_refused():
    with pytest.raises(PlanError, match="no parameter of BertForSequenceClassification has requires_grad=True"):
        discriminative_lr(bert().requires_grad_(False), 1e-4)


def test_adapters_have_the_rate_of_their_block_and_the_saved_classifier_that_of_the_head():
    model = lora_bert()
    groups = parameter_groups(model, 8e-4, decay=0.5, head_lr=1e-2)
    for i, rate in enumerate([2e-4, 4e-4, 8e-4]):
        adapters = [n for n, _ in model.named_parameters() if "lora_" in n and f".layer.{i}." in n]
        assert adapters and {group_of(model, groups, name)["lr"] for name in adapters} == {rate}
    assert rates(groups)["new"] == 1e-2


def test_missing_keys_of_a_checkpoint_name_the_new_head_and_the_pooler_keeps_the_rate_of_the_top_block(tmp_path):
    BertModel(BERT).save_pretrained(tmp_path)
    model, info = BertForSequenceClassification.from_pretrained(tmp_path, num_labels=5, output_loading_info=True)
    groups = parameter_groups(model, 1e-4, decay=0.5, head_lr=1e-2, new_parameters=info["missing_keys"])
    assert rates(groups)["head"] == rates(groups)["block 2"] == 1e-4
    fast = {name for name, _ in model.named_parameters() if group_of(model, groups, name)["lr"] == 1e-2}
    assert fast == {"classifier.weight", "classifier.bias"}


def test_new_parameters_may_lie_in_any_unit_and_hold_second_names_of_tied_weights():
    model = gpt2()
    new = ["transformer.h.0.mlp.c_fc.weight", "lm_head.weight"]
    groups = parameter_groups(model, 1e-4, head_lr=1e-2, new_parameters=new)
    assert [tuple(p.shape) for g in groups if g["name"] == "new" for p in g["params"]] == [(8, 32)]
    assert group_of(model, groups, "transformer.wte.weight")["name"] == "stem"


def test_given_blocks_are_used_instead_of_found_ones():
    model = bert()
    halves = find_blocks(model, ["bert.encoder.layer.0", "bert.encoder.layer.2"])
    groups = parameter_groups(model, 1e-4, decay=0.5, blocks=halves)
    assert group_of(model, groups, "bert.encoder.layer.1.output.dense.weight")["lr"] == 5e-5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "^lr=0.0 must be > 0"),
        ({"lr": float("nan")}, "^lr=nan must be > 0"),
        ({"lr": 1e-4, "head_lr": -1.0}, "^head_lr=-1.0 must be > 0"),
        ({"lr": 1e-4, "decay": 0.0}, r"^decay=0.0 must lie in \(0, 1\]"),
        ({"lr": 1e-4, "decay": 1.1}, r"^decay=1.1 must lie in \(0, 1\]"),
        ({"lr": 1e-4, "weight_decay": -0.1}, "^weight_decay=-0.1 is negative"),
        ({"lr": 1e-4, "new_parameters": ["clasifier.bias"]}, r"'clasifier.bias'; did you mean 'classifier.bias'\?"),
    ],
)
def test_wrong_settings_are_answered_with_the_way_out(settings, message):
    with pytest.raises(PlanError, match=message):
        discriminative_lr(bert(), **settings)


def test_a_model_without_blocks_is_refused():
    with pytest.raises(ModelError, match="no block list found for Linear"):
        discriminative_lr(nn.Linear(2, 2), 1e-4)


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path):
    generator = torch.Generator().manual_seed(0)
    rows = [
        {"input_ids": torch.randint(20, (4,), generator=generator), "labels": torch.tensor(i % 3)} for i in range(16)
    ]

    def train(stop_after: int, resume: bool) -> nn.Module:
        model = bert()
        arguments = TrainingArguments(
            tmp_path, max_steps=4, save_steps=2, per_device_train_batch_size=4, use_cpu=True, disable_tqdm=True
        )
        optimizer = discriminative_lr(model, 1e-2, decay=0.5, head_lr=1e-1)
        trainer = Trainer(model, arguments, train_dataset=rows, optimizers=(optimizer, None))
        trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stop_after}") if resume else None)
        return model

    unbroken, resumed = train(4, resume=False), train(2, resume=True)
    for name, parameter in unbroken.named_parameters():
        assert torch.equal(parameter, resumed.get_parameter(name)), name
    assert not torch.equal(unbroken.classifier.weight, bert().classifier.weight)
