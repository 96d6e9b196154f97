"""What moves and what stays: frozen blocks, batch norms, dropout, adapters, and where each arm starts."""

import pytest
import torch
from architectures import ARCHITECTURES, BATCH_NORM
from torch import nn

from hf_transfer_kit.approaches.build import build, keep_in_eval, lora_targets, set_dropout
from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import Full, Lora, Majority, Scratch, TopLayers


def batch_of(job, built, rows: int = 4) -> dict[str, torch.Tensor]:
    encoded = job.task.encode(built.processor, job.inputs("train")[:rows], 64)
    return job.task.collate(built.processor, encoded)


def one_step(job, built) -> None:
    """One training step by hand, in train mode, as the Trainer does it."""
    built.model.train()
    labels = torch.tensor(job.labels("train")[:4])
    nn.functional.cross_entropy(built.model(**batch_of(job, built)).logits, labels).backward()
    built.optimizer.step()


def moved(before: dict[str, torch.Tensor], model: nn.Module) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}


def copy_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_the_top_blocks_and_the_head_move_in_top_layers(architecture, make_job):
    job = make_job(architecture, TopLayers(blocks=1))
    built = build(job)
    before = copy_of(built.model)
    one_step(job, built)
    changed = moved(before, built.model)
    open_names = {name for unit in built.blocks.top(1) for name in unit.parameter_names}
    assert changed and changed <= open_names  # neither frozen weights nor running statistics
    assert {name for name, p in built.model.named_parameters() if p.requires_grad} == open_names
    assert any(name in changed for name in built.blocks.head.parameter_names)
    assert any(name in changed for name in built.blocks.units[-2].parameter_names)


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "vit", "mobilenet v2"])
def test_what_lies_below_the_boundary_is_deterministic_whatever_the_dropout(architecture, make_job):
    job = make_job(architecture, TopLayers(blocks=1), dropout=0.5)
    built = build(job)
    seen = []
    first = built.model.get_submodule(built.blocks.top(1)[0].module)
    first.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append((args or tuple(kwargs.values()))[0].clone()), with_kwargs=True
    )
    built.model.train()
    logits = [built.model(**batch_of(job, built)).logits for _ in range(2)]
    assert torch.equal(seen[0], seen[1])
    if architecture != "mobilenet v2":  # has dropout before the classifier alone
        assert not torch.equal(logits[0], logits[1])  # the open blocks do drop


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_dropout_training_mode_answers_as_eval_mode(architecture, make_job):
    job = make_job(architecture, Full(), dropout=0.0)
    built = build(job)
    batch = batch_of(job, built)
    with torch.no_grad():
        built.model.train()
        train_mode = built.model(**batch).logits
        built.model.eval()
        torch.testing.assert_close(built.model(**batch).logits, train_mode)


def test_the_models_own_dropout_stays_where_the_plan_says_so(make_job):
    job = make_job("bert", Full(), dropout=None)
    built = build(job)
    built.model.train()
    batch = batch_of(job, built)
    assert built.model.bert.embeddings.dropout.p == 0.1
    assert not torch.equal(built.model(**batch).logits, built.model(**batch).logits)


def test_dropout_is_set_in_modules_and_in_plain_numbers():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention_dropout, self.drop_prob, self.scale = 0.1, 0.2, 0.3
            self.dropout = nn.Dropout(0.4)

    model = Attention()
    set_dropout(model, 0.25)
    assert (model.attention_dropout, model.drop_prob, model.dropout.p, model.scale) == (0.25, 0.25, 0.25, 0.3)


@pytest.mark.parametrize("architecture", BATCH_NORM)
@pytest.mark.parametrize("approach", [Full(), Lora(rank=2), Scratch()], ids=lambda approach: approach.name)
def test_running_statistics_move_from_a_random_start_and_only_then(architecture, approach, make_job):
    job = make_job(architecture, approach)
    built = build(job)
    before = copy_of(built.model)
    one_step(job, built)
    statistics = {name for name in moved(before, built.model) if "running_" in name}
    assert bool(statistics) == isinstance(approach, Scratch)


def test_keep_in_eval_holds_against_train_and_touches_nothing_else():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    keep_in_eval(model, [model[0]])
    model.train()
    model(torch.ones(1))
    assert (model[0].training, model[1].training) == (False, True)


def test_the_new_head_starts_the_same_in_every_approach_of_one_seed(make_job):
    full, lora = build(make_job("bert", Full())), build(make_job("bert", Lora(rank=2)))
    top, other = build(make_job("bert", TopLayers(blocks=1))), build(make_job("bert", Full(), seed=1))
    head = full.model.classifier.weight
    assert torch.equal(head, top.model.classifier.weight)
    assert torch.equal(head, lora.model.get_base_model().classifier.modules_to_save["default"].weight)
    assert not torch.equal(head, other.model.classifier.weight)


def test_a_random_start_shares_no_weight_with_the_pretrained_model(make_job):
    full, scratch = (build(make_job("bert", approach, seed=1)) for approach in (Full(), Scratch()))
    weights = {name: p for name, p in full.model.named_parameters() if p.ndim > 1}
    assert weights
    assert not any(torch.equal(p, scratch.model.get_parameter(name)) for name, p in weights.items())


def test_a_random_start_has_one_rate_and_pretrained_models_have_many(make_job):
    rates = {group["lr"] for group in build(make_job("bert", Scratch(learning_rate=3e-4))).optimizer.param_groups}
    assert rates == {3e-4}
    groups = build(make_job("bert", Full(decay=0.5))).optimizer.param_groups
    assert len({group["lr"] for group in groups}) == 5  # stem, three blocks (the top one's is the head's), new


def test_rates_of_the_task_are_used_where_the_plan_has_none(make_job):
    for architecture, rate in (("bert", 5e-5), ("vit", 1e-4)):
        groups = {group["name"]: group["lr"] for group in build(make_job(architecture, Full())).optimizer.param_groups}
        assert (groups["block 2"], groups["new"]) == (rate, 1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_adapters_sit_on_every_layer_of_the_body_and_the_head_trains_whole(architecture, make_job):
    job = make_job(architecture, Lora(rank=2))
    built = build(job)
    names = [name.removeprefix("base_model.model.") for name, _ in built.model.named_modules()]
    adapted = {name.removesuffix(".lora_A.default") for name in names if name.endswith(".lora_A.default")}
    body = build(make_job(architecture, Full()))
    head = [name for name in body.blocks.head.module_names if name.split(".")[0] != body.model.base_model_prefix]
    kinds = (nn.Linear, nn.Conv2d)
    layers = {n for n, m in body.model.named_modules() if isinstance(m, kinds) or type(m).__name__ == "Conv1D"}
    grouped = {n for n, m in body.model.named_modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    assert adapted == layers - grouped - set(head)
    assert len(adapted) >= len(body.blocks)
    trained = {name for name, p in built.model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or ".modules_to_save." in name for name in trained)
    assert any(".modules_to_save." in name for name in trained)
    before = copy_of(built.model)
    for _ in range(2):  # A has no gradient while B is zero
        one_step(job, built)
    changed = moved(before, built.model)
    assert changed <= trained
    assert any("lora_A" in name for name in changed) and any(".modules_to_save." in name for name in changed)


def test_layers_of_the_head_and_grouped_convolutions_take_no_adapter():
    model = nn.ModuleDict(
        {"body": nn.Linear(2, 2), "depthwise": nn.Conv2d(2, 2, 1, groups=2), "point": nn.Conv2d(2, 2, 1),
         "norm": nn.BatchNorm2d(2), "head": nn.Sequential(nn.Linear(2, 2)), "header": nn.Linear(2, 2)}
    )  # fmt: skip
    assert lora_targets(model, ["head"]) == ["body", "point", "header"]


@pytest.mark.parametrize("approach", [Full(), TopLayers(), Lora(), Scratch()], ids=lambda approach: approach.name)
@pytest.mark.parametrize("architecture", ["bert", "resnet"])
def test_label_names_stand_in_the_configuration(architecture, approach, make_job):
    job = make_job(architecture, approach)
    config = build(job).model.config
    assert tuple(config.id2label[i] for i in range(2)) == job.data.label_names
    assert config.label2id == {name: i for i, name in enumerate(job.data.label_names)}


def test_more_top_blocks_than_there_are_open_all_of_them_but_the_stem(make_job):
    built = build(make_job("bert", TopLayers(blocks=99)))
    assert built.open_blocks == 3
    frozen = {name for name, p in built.model.named_parameters() if not p.requires_grad}
    assert frozen == set(find_blocks(built.model).stem.parameter_names)


def test_zero_top_blocks_train_the_head_alone(make_job):
    built = build(make_job("bert", TopLayers(blocks=0)))
    trained = {name for name, p in built.model.named_parameters() if p.requires_grad}
    assert trained == set(find_blocks(built.model).head.parameter_names)


def test_a_pretrained_pooler_keeps_the_body_rate_and_only_new_weights_get_that_of_the_head(make_job):
    built = build(make_job("bert", Full(learning_rate=1e-5, head_learning_rate=1e-2)))
    rates = {id(p): group["lr"] for group in built.optimizer.param_groups for p in group["params"]}
    assert rates[id(built.model.bert.pooler.dense.weight)] == 1e-5
    assert rates[id(built.model.classifier.weight)] == 1e-2


def test_an_approach_that_trains_nothing_is_refused(make_job):
    with pytest.raises(PlanError, match="'majority' is not one that trains"):
        build(make_job("bert", Majority()))
