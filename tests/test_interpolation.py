import copy

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertModel, GPT2Config, GPT2LMHeadModel

from hf_transfer_kit.errors import ModelError, PlanError, UnsupportedSetupError
from hf_transfer_kit.interpolation import interpolate, interpolation_table, sweep_interpolation

SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 32}
TOKENS = torch.arange(12).reshape(2, 6)


def bert(seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BertForSequenceClassification(BertConfig(**SIZE, initializer_range=0.5, **settings)).eval()


def gpt2(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = GPT2Config(vocab_size=32, n_embd=16, n_layer=1, n_head=2, n_positions=8, initializer_range=0.5)
        return GPT2LMHeadModel(config).eval()


def with_lora(model, **settings):
    """A LoRA model as if trained: no weight of the adapter or of the modules saved in full is at its start."""
    defaults = {"r": 2, "lora_alpha": 8, "target_modules": ["query", "word_embeddings"], "lora_dropout": 0.5}
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(**defaults | settings)).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator))
    return adapted


def bits(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("alpha", [0, 0.0, 0.3, 0.5, 0.9, 1])
def test_weights_are_the_weighted_mean_and_both_models_stay(alpha):
    start, tuned = bert(0), bert(1)
    before = bits(start), bits(tuned)
    blend = interpolate(tuned, start, alpha)
    for name, tensor in blend.state_dict().items():
        expected = (1 - alpha) * before[0][name].double() + alpha * before[1][name].double()
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-6, atol=1e-6)
    assert_same(bits(start), before[0])
    assert_same(bits(tuned), before[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_ends_are_start_and_model_bit_for_bit(dtype):
    start, tuned = bert(0).to(dtype), bert(1).to(dtype)
    with torch.no_grad():
        tuned.classifier.bias[0], start.classifier.bias[1] = torch.inf, torch.inf  # 0 * inf would be NaN
    assert_same(bits(interpolate(tuned, start, 0)), bits(start))
    assert_same(bits(interpolate(tuned, start, 1.0)), bits(tuned))


def test_half_precision_is_rounded_once():
    start, tuned = nn.Linear(1, 1, bias=False).bfloat16(), nn.Linear(1, 1, bias=False).bfloat16()
    start.weight.data.fill_(256.0)
    tuned.weight.data.fill_(1.0)
    blend = interpolate(tuned, start, 0.3)
    assert blend.weight.item() == torch.tensor(0.7 * 256 + 0.3 * 1).bfloat16().item()


def test_running_statistics_move_and_counters_are_the_models():
    start, tuned = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    tuned.running_mean.fill_(4.0)
    tuned.running_var.fill_(3.0)
    tuned.num_batches_tracked.fill_(7)
    blend = interpolate(tuned, start, 0.5)
    assert blend.running_mean.tolist() == [2.0, 2.0] and blend.running_var.tolist() == [2.0, 2.0]
    assert blend.num_batches_tracked.item() == 7
    assert interpolate(tuned, start, 0).num_batches_tracked.item() == 7


def test_a_new_head_stays_and_one_of_another_shape_is_an_error():
    tuned, start = bert(1), bert(0, num_labels=5)
    with pytest.raises(ModelError, match=r"'classifier.weight' has shape \(2, 16\), in the start \(5, 16\)"):
        interpolate(tuned, start, 0.5)
    backbone = {name: tensor for name, tensor in start.state_dict().items() if not name.startswith("classifier")}
    blend = interpolate(tuned, backbone, 0.0)
    assert torch.equal(blend.classifier.weight, tuned.classifier.weight)
    assert torch.equal(blend.bert.pooler.dense.weight, start.bert.pooler.dense.weight)


@pytest.mark.parametrize("name_in_file", ["transformer.wte.weight", "lm_head.weight"])
def test_tied_weights_are_interpolated_once_under_any_of_their_names(name_in_file):
    start, tuned = gpt2(0), gpt2(1)
    state = {name: tensor for name, tensor in start.state_dict().items() if name not in (
        "transformer.wte.weight", "lm_head.weight")} | {name_in_file: start.lm_head.weight}  # fmt: skip
    blend = interpolate(tuned, state, 0.5)
    assert blend.lm_head.weight is blend.transformer.wte.weight
    expected = (start.lm_head.weight + tuned.lm_head.weight) / 2
    torch.testing.assert_close(blend.lm_head.weight, expected)


def test_a_folder_of_the_bare_backbone_leaves_the_head_and_draws_nothing(tmp_path):
    start, tuned = bert(0), bert(1)
    backbone = BertModel(start.config)
    backbone.load_state_dict(start.bert.state_dict())
    backbone.save_pretrained(tmp_path)
    state = torch.get_rng_state()
    blend = interpolate(tuned, tmp_path, 0.5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(blend.classifier.weight, tuned.classifier.weight)
    torch.testing.assert_close(blend.bert.pooler.dense.weight,
                               (start.bert.pooler.dense.weight + tuned.bert.pooler.dense.weight) / 2)  # fmt: skip
    without_head = {f"bert.{name}": tensor for name, tensor in start.bert.state_dict().items()}
    assert_same(bits(blend), bits(interpolate(tuned, without_head, 0.5)))


def test_a_folder_with_another_head_says_so(tmp_path):
    bert(0, num_labels=5).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"'classifier.bias' has shape \(2,\), in .* \(5,\)"):
        interpolate(bert(1), str(tmp_path), 0.5)


def test_a_plain_module_reads_safetensors_files(tmp_path):
    start, tuned = nn.Linear(2, 2), nn.Linear(2, 2)
    save_file(start.state_dict(), tmp_path / "model.safetensors")
    torch.testing.assert_close(interpolate(tuned, tmp_path, 0.5).weight, (start.weight + tuned.weight) / 2)


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"init_lora_weights": False}, {"lora_bias": True}])
def test_lora_interpolates_as_the_merged_models_do(settings):
    if settings.get("lora_bias"):
        settings = settings | {"target_modules": ["query"]}
    base = bert(0)
    tuned = with_lora(base, **settings)
    merged = copy.deepcopy(tuned).merge_and_unload()
    for alpha in (0, 0.3, 1):
        blend = interpolate(tuned, None, alpha)
        expected = interpolate(merged, base, alpha)
        assert_close = torch.testing.assert_close
        assert_close(copy.deepcopy(blend).merge_and_unload().state_dict(), expected.state_dict(), rtol=1e-5, atol=1e-5)
        assert_close(blend(TOKENS).logits, expected(TOKENS).logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(interpolate(tuned, None, 0)(TOKENS).logits, base(TOKENS).logits)
    assert_same(bits(interpolate(tuned, None, 1)), bits(tuned))


def test_modules_trained_in_full_beside_lora_move_from_their_originals():
    base = bert(0)
    tuned = with_lora(base, modules_to_save=["classifier"])
    trained = tuned.base_model.model.classifier.modules_to_save["default"].weight
    blend = interpolate(tuned, None, 0.25)
    head = blend.base_model.model.classifier.modules_to_save["default"].weight
    torch.testing.assert_close(head, 0.75 * base.classifier.weight + 0.25 * trained)
    assert torch.equal(interpolate(tuned, None, 0)(TOKENS).logits, base(TOKENS).logits)


def test_an_adapter_that_is_no_scalable_sum_is_refused():
    base = bert(0)
    for settings in ({"use_dora": True, "target_modules": ["query"]}, {"bias": "all"}, {"init_lora_weights": "pissa"}):
        with pytest.raises(UnsupportedSetupError, match="merge_and_unload"):
            interpolate(with_lora(base, **settings), None, 0.5)
    other = get_peft_model(bert(0), IA3Config(target_modules=["query"], feedforward_modules=[]))
    with pytest.raises(UnsupportedSetupError, match="adapter of type IA3"):
        interpolate(other, None, 0.5)
    with pytest.raises(UnsupportedSetupError, match="give start=None"):
        interpolate(with_lora(base), base, 0.5)
    merged = with_lora(base)
    merged.merge_adapter()
    with pytest.raises(UnsupportedSetupError, match="unmerge_adapter"):
        interpolate(merged, None, 0.5)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_outside_is_refused(alpha):
    with pytest.raises(PlanError, match="0 is the start, 1 the fine-tuned model"):
        interpolate(nn.Linear(1, 1), nn.Linear(1, 1), alpha)


def test_a_start_that_is_missing_or_of_another_model_is_refused(tmp_path):
    with pytest.raises(PlanError, match="start=None is for LoRA"):
        interpolate(bert(), None, 0.5)
    with pytest.raises(ModelError, match="no weight in common"):
        interpolate(bert(), {"module.weight": torch.zeros(1)}, 0.5)
    with pytest.raises(ModelError, match="holds no safetensors"):
        interpolate(nn.Linear(1, 1), tmp_path, 0.5)
    with pytest.raises(ModelError, match="cannot be loaded"):
        interpolate(bert(), tmp_path, 0.5)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot be read"):
        interpolate(nn.Linear(1, 1), tmp_path, 0.5)


def test_quantised_weights_are_refused():
    model = nn.Linear(2, 2)
    model.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.int8), requires_grad=False)
    with pytest.raises(UnsupportedSetupError, match="'weight' is quantised"):
        interpolate(model, nn.Linear(2, 2), 0.5)


def test_a_sweep_scores_the_models_of_interpolate_in_one_further_copy():
    start, tuned = bert(0), bert(1).train()
    before, seen = bits(tuned), []

    def evaluate(model):
        assert not model.training
        seen.append(id(model))
        logits = model(TOKENS).logits
        with torch.no_grad():
            model.classifier.weight.zero_()  # what evaluate leaves behind must not reach the next row
        return {"old": logits.sum(), "new": logits[0, 0]}

    rows = sweep_interpolation(tuned, start, evaluate, alphas=(1, 0, 0.5))

    assert [row.alpha for row in rows] == [1, 0, 0.5] and len(set(seen)) == 1
    for row in rows:
        logits = interpolate(tuned, start, row.alpha).eval()(TOKENS).logits
        assert row.scores == {"old": logits.sum().item(), "new": logits[0, 0].item()}
    assert tuned.training
    assert_same(bits(tuned), before)


def test_eleven_alphas_unless_told_otherwise_and_a_table_to_read():
    start, tuned = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    start.weight.data.fill_(1.0)
    tuned.weight.data.fill_(2.0)
    rows = sweep_interpolation(tuned, start, lambda model: {"a long name": model.weight.item()})
    assert [row.alpha for row in rows] == pytest.approx([i / 10 for i in range(11)])
    table = interpolation_table(rows).splitlines()
    assert table[0] == "alpha  a long name" and table[4] == " 0.30       1.3000" and len(table) == 12
    assert interpolation_table([]) == "alpha"


def test_a_sweep_of_nothing_or_with_changing_names_is_refused():
    start, tuned = nn.Linear(1, 1), nn.Linear(1, 1)
    with pytest.raises(PlanError, match="alphas is empty"):
        sweep_interpolation(tuned, start, lambda model: {}, alphas=())
    names = iter(["old", "new"])
    with pytest.raises(PlanError, match=r"'new'.* before .*'old'"):
        sweep_interpolation(tuned, start, lambda model: {next(names): 1.0}, alphas=(0, 1))
