"""The Fisher information against one plain loop over the examples, on many architectures and kinds of loss."""

import copy
import random

import numpy as np
import peft
import pytest
import torch
import transformers as hf
from architectures import IMAGE_MODELS, LLAMA_LIKE, TEXT_MODELS
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from hf_transfer_kit.errors import ModelError, PlanError
from hf_transfer_kit.fisher import estimate as estimate_module
from hf_transfer_kit.fisher import estimate_fisher

ROWS, CLASSES, LENGTH = 6, 3, 9
T5 = {"vocab_size": 32, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "pad_token_id": 0}
BART = {
    "vocab_size": 32, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 16,
    "init_std": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
}  # fmt: skip


def made(model_class, config, **settings):
    config = copy.deepcopy(config)
    for name, value in settings.items():
        setattr(config, name, value)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config)
        for parameter in model.parameters():  # no zero biases or scales of one, which would hide a wrong rule
            parameter.data += 0.05 * torch.randn_like(parameter)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return model


def padded_rows(seed=0, rows=ROWS, length=LENGTH):
    """Random tokens of varying number, padded on the right."""
    draw = np.random.default_rng(seed)
    masks = [(np.arange(length) < draw.integers(3, 8)).astype(int) for _ in range(rows)]
    return [
        {"input_ids": (draw.integers(3, 32, length) * mask).tolist(), "attention_mask": mask.tolist()}
        for mask in masks
    ]


def classified(rows=None):
    return [row | {"labels": i % CLASSES} for i, row in enumerate(rows or padded_rows())]


def tagged():
    """Every token has a label, but padding and each third token."""
    rows = padded_rows()
    ignored = [[not used or i % 3 == 2 for i, used in enumerate(row["attention_mask"])] for row in rows]
    return [
        row
        | {"labels": [-100 if skip else token % CLASSES for token, skip in zip(row["input_ids"], skips, strict=True)]}
        for row, skips in zip(rows, ignored, strict=True)
    ]


def continued():
    """Labels of a language model: the tokens themselves, not the padding."""
    return [row | {"labels": [token or -100 for token in row["input_ids"]]} for row in padded_rows()]


def translated():
    targets = [row["input_ids"] for row in padded_rows(seed=1)]
    return [row | {"labels": [t or -100 for t in target]} for row, target in zip(padded_rows(), targets, strict=True)]


def images():
    draw = torch.Generator().manual_seed(0)
    return [{"pixel_values": torch.randn(3, 32, 32, generator=draw), "labels": i % CLASSES} for i in range(ROWS)]


def regressed():
    return [row | {"labels": float(i) / 3} for i, row in enumerate(padded_rows())]


def multi_labelled():
    return [row | {"labels": [float(i % 2), 1.0, float(i % 3 == 0)]} for i, row in enumerate(padded_rows())]


def questions():
    return [row | {"start_positions": 1, "end_positions": i % 3} for i, row in enumerate(padded_rows())]


def lora_bert():
    model = made(hf.BertForSequenceClassification, TEXT_MODELS["bert"], num_labels=CLASSES)
    config = peft.LoraConfig(
        task_type="SEQ_CLS", r=2, target_modules=["query", "value", "word_embeddings"], lora_dropout=0.1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = peft.get_peft_model(model, config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "lora_embedding_A" in name:  # zero at the start, which would make all others zero
                parameter.data.normal_(std=0.2)
    return model


def bert(model_class=hf.BertForSequenceClassification, **settings):
    return made(model_class, TEXT_MODELS["bert"], **({"num_labels": CLASSES} | settings))


def make(name):
    """A model of that name and examples for it."""
    if name in TEXT_MODELS:
        settings = {"num_labels": CLASSES, "pad_token_id": 0}
        return made(hf.AutoModelForSequenceClassification.from_config, TEXT_MODELS[name], **settings), classified()
    if name in IMAGE_MODELS:
        settings = {"num_labels": CLASSES}
        return made(hf.AutoModelForImageClassification.from_config, IMAGE_MODELS[name], **settings), images()
    make_model, make_examples = {
        "gpt2, tied head": (lambda: made(hf.GPT2LMHeadModel, TEXT_MODELS["gpt2"]), continued),
        "llama, head": (lambda: made(hf.LlamaForCausalLM, hf.LlamaConfig(**LLAMA_LIKE)), continued),
        "bert, masked": (lambda: bert(hf.BertForMaskedLM), tagged),
        "bert, tokens": (lambda: bert(hf.BertForTokenClassification), tagged),
        "t5": (lambda: made(hf.T5ForConditionalGeneration, hf.T5Config(**T5, decoder_start_token_id=0)), translated),
        "bart": (lambda: made(hf.BartForConditionalGeneration, hf.BartConfig(**BART)), translated),
        "lora": (lora_bert, classified),
        "regression": (lambda: bert(num_labels=1), regressed),
        "multi-label": (lambda: bert(problem_type="multi_label_classification"), multi_labelled),
        "questions": (lambda: bert(hf.BertForQuestionAnswering, num_labels=2), questions),
    }[name]
    return make_model(), make_examples()


OTHERS = ["gpt2, tied head", "llama, head", "bert, masked", "bert, tokens", "t5", "bart", "lora", "regression",
          "multi-label", "questions"]  # fmt: skip
# Parameters without a rule: relative positions that all examples share, the embedding adapters of LoRA. And a loss of
# two logits.
ONE_BY_ONE = {"deberta-v2": 15, "mpnet": 1, "swin": 3, "t5": 2, "lora": 2, "questions": 1}


def by_one_loop(model, examples):
    """The definition, written down: each example alone, the model's own loss, its gradient squared, the mean."""
    model.eval()
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    totals = {name: torch.zeros_like(p) for name, p in wanted.items()}
    for example in examples:
        model.zero_grad()
        model(**hf.default_data_collator([example]))["loss"].backward()
        for name, p in wanted.items():
            if p.grad is not None:
                totals[name] += p.grad**2 / len(examples)
    model.zero_grad()
    return totals


def assert_equal_fishers(found, expected, tolerance=1e-6, rounding=1e-12):
    """Each tensor to `tolerance` of its own size; gradients that are zero but for rounding to that of the largest."""
    assert found.keys() == expected.keys()
    largest = max(float(tensor.abs().max()) for tensor in expected.values())
    for name, tensor in expected.items():
        error = float((found[name] - tensor).norm())
        assert error <= tolerance * float(tensor.norm()) + rounding * largest * tensor.numel() ** 0.5, (
            name,
            error,
            float(tensor.norm()),
        )


@pytest.fixture
def left_over(monkeypatch):
    """Names of the parameters computed one example at a time after the check; "the loss" where all of them are."""
    names, calls = set(), []
    add_one_by_one = estimate_module.add_one_by_one

    def noted(model, own_loss, batch, totals, power):
        calls.append(totals)
        names.update(totals if len(calls) > 1 else ())  # the first call is the check
        names.update(["the loss"] if own_loss.needs_single_examples else ())
        add_one_by_one(model, own_loss, batch, totals, power)

    monkeypatch.setattr(estimate_module, "add_one_by_one", noted)
    return names


def doubled(model, examples):
    """In float64, where a difference is no rounding."""

    def double(value):
        if isinstance(value, float):
            return torch.tensor(value, dtype=torch.float64)
        if isinstance(value, list) and isinstance(value[0], float):
            return torch.tensor(value, dtype=torch.float64)
        return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    return model.double(), [{name: double(value) for name, value in example.items()} for example in examples]


@pytest.mark.parametrize("name", [*TEXT_MODELS, *IMAGE_MODELS, *OTHERS])
def test_it_equals_one_loop_over_the_examples(name, left_over):
    model, examples = doubled(*make(name))

    fisher = estimate_fisher(model, examples, batch_size=4)

    assert_equal_fishers(fisher, by_one_loop(model, examples))
    assert len(left_over) == ONE_BY_ONE.get(name, 0)


@pytest.mark.parametrize("name", ["bert", "gpt2, tied head", "llama, head", "vit", "resnet"])
def test_it_equals_the_loop_in_single_precision_too(name):
    model, examples = make(name)
    assert_equal_fishers(estimate_fisher(model, examples, batch_size=4), by_one_loop(model, examples))


@pytest.mark.parametrize("kind", ["empirical", "sampled", "exact", "reversed", "mas"])
def test_the_batch_size_changes_nothing(kind):
    model, examples = make("bert")
    one, three, all_at_once = (estimate_fisher(model, examples, kind, batch_size=size) for size in (1, 3, 64))
    rounding = 1e-6 if kind == "mas" else 1e-12  # of a gradient, of its square
    assert_equal_fishers(three, one, rounding=rounding)
    assert_equal_fishers(all_at_once, one, rounding=rounding)


@pytest.mark.parametrize("kind", ["empirical", "sampled", "mas"])
def test_the_batch_size_changes_nothing_where_every_token_has_a_label(kind):
    model, examples = make("gpt2, tied head")
    one, four = (estimate_fisher(model, examples, kind, batch_size=size) for size in (1, 4))
    assert_equal_fishers(four, one)


@pytest.mark.parametrize("name", ["bert", "bert, tokens", "gpt2, tied head"])
@pytest.mark.parametrize("kind", ["empirical", "sampled", "mas"])
def test_padding_changes_nothing(name, kind):
    model, examples = make(name)
    filling = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    longer = [
        {key: value + [filling[key]] * 4 if isinstance(value, list) else value for key, value in example.items()}
        for example in examples
    ]
    assert_equal_fishers(estimate_fisher(model, longer, kind), estimate_fisher(model, examples, kind), 1e-5)


def test_it_is_not_the_square_of_a_batch():
    model, examples = make("bert")
    model.eval()
    model(**hf.default_data_collator(examples)).loss.backward()
    of_the_batch = model.classifier.weight.grad**2
    model.zero_grad()

    ratio = estimate_fisher(model, examples)["classifier.weight"].sum() / of_the_batch.sum()

    assert ratio > 1.5


class Linear(nn.Module):
    """Logistic regression as transformers would have it."""

    def __init__(self, inputs=2, classes=3):
        super().__init__()
        self.layer = nn.Linear(inputs, classes)
        with torch.no_grad():
            self.layer.weight.copy_(torch.linspace(-1, 1, inputs * classes).view(classes, inputs))
            self.layer.bias.zero_()

    def forward(self, x, labels=None):
        logits = self.layer(x)
        return {"loss": None if labels is None else nn.functional.cross_entropy(logits, labels), "logits": logits}


POINTS = [{"x": [1.0, 2.0], "labels": 0}, {"x": [-0.5, 1.0], "labels": 2}]


def by_hand(model, shares):
    """sum over examples and classes c of share(c) * ((p - onehot(c)) x^T)^2, a mean over examples."""
    total = torch.zeros(3, 2)
    for point in POINTS:
        x = torch.tensor(point["x"])
        p = torch.softmax(model.layer(x), -1).detach()
        for c, share in enumerate(shares(p, point["labels"])):
            total += share * torch.outer(p - torch.eye(3)[c], x) ** 2 / len(POINTS)
    return total


def test_logistic_regression_by_hand():
    model = Linear()
    exact, empirical = (estimate_fisher(model, POINTS, kind)["layer.weight"] for kind in ("exact", "empirical"))
    torch.testing.assert_close(exact, by_hand(model, lambda p, label: p))
    torch.testing.assert_close(empirical, by_hand(model, lambda p, label: torch.eye(3)[label]))


def test_many_draws_of_sampled_average_to_exact():
    model = Linear()
    exact = estimate_fisher(model, POINTS, "exact")["layer.weight"]

    draws = [
        estimate_fisher(model, POINTS * 200, "sampled", n_examples=400, seed=seed, batch_size=400) for seed in range(5)
    ]

    torch.testing.assert_close(sum(draw["layer.weight"] for draw in draws) / 5, exact, rtol=0.1, atol=0.01)
    assert not torch.equal(draws[0]["layer.weight"], draws[1]["layer.weight"])


def test_reversed_turns_the_logits_around():
    model, turned = Linear(), Linear()
    with torch.no_grad():
        turned.layer.weight.neg_()
    reverse, empirical = estimate_fisher(model, POINTS, "reversed"), estimate_fisher(turned, POINTS)
    torch.testing.assert_close(reverse["layer.weight"], empirical["layer.weight"])


def test_mas_is_the_mean_absolute_gradient_of_the_squared_norm_and_needs_no_labels():
    model, total = Linear(), torch.zeros(3, 2)
    for point in POINTS:
        x = torch.tensor(point["x"])
        total += (2 * torch.outer(model.layer(x), x)).abs().detach() / 2  # d ||Wx||^2 / dW = 2 (Wx) x^T

    importance = estimate_fisher(model, [{"x": point["x"]} for point in POINTS], "mas")["layer.weight"]

    torch.testing.assert_close(importance, total)


def test_mas_takes_labels_that_the_head_does_not_have():
    model, examples = make("bert")
    foreign = [example | {"labels": 99} for example in examples]
    assert_equal_fishers(estimate_fisher(model, foreign, "mas"), estimate_fisher(model, examples, "mas"))


def test_the_model_is_left_as_it_was():
    model, examples = make("resnet")
    model.train()
    model.resnet.embedder.eval()
    model.classifier[1].weight.requires_grad_(False)
    gradients = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    for name, p in model.named_parameters():
        p.grad = gradients[name].clone()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    flags = [p.requires_grad for p in model.parameters()]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)

    estimate_fisher(model, examples, "sampled")

    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == flags
    assert not any(module._forward_hooks for module in model.modules())
    for name, p in model.named_parameters():
        assert torch.equal(p.grad, gradients[name])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_an_error_leaves_no_hooks(monkeypatch):
    model, examples = make("bert")
    monkeypatch.setattr(estimate_module.BatchedPass, "add", lambda self, batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        estimate_fisher(model, examples)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.requires_grad for p in model.parameters())


def test_dropout_is_off():
    model, examples = make("bert")
    model.train()
    assert_equal_fishers(estimate_fisher(model, examples), by_one_loop(model, examples))


def test_named_parameters_count_though_they_are_frozen():
    model, examples = make("bert")
    whole = estimate_fisher(model, examples)
    names = ["bert.encoder.layer.0.output.dense.weight", "bert.embeddings.word_embeddings.weight"]
    for p in model.parameters():
        p.requires_grad_(False)

    some = estimate_fisher(model, examples, parameters=names)

    assert_equal_fishers(some, {name: whole[name] for name in names})
    assert all(tensor.abs().sum() > 0 for tensor in some.values())
    with pytest.raises(PlanError, match="no parameter of BertForSequenceClassification requires gradients"):
        estimate_fisher(model, examples)


def test_only_what_trains_is_measured_unless_named():
    model, examples = make("lora")
    fisher = estimate_fisher(model, examples)
    assert fisher.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(tensor.dtype == torch.float32 for tensor in fisher.values())


class Stream(IterableDataset):
    def __iter__(self):
        yield from classified()


def test_streams_and_loaders_are_as_good_as_lists():
    model, examples = make("bert")
    expected = estimate_fisher(model, examples)
    assert_equal_fishers(estimate_fisher(model, Stream()), expected)
    loader = DataLoader(examples, batch_size=2, shuffle=True, collate_fn=hf.default_data_collator)
    assert_equal_fishers(estimate_fisher(model, loader), expected)
    few = estimate_fisher(model, Stream(), n_examples=2)
    assert_equal_fishers(few, estimate_fisher(model, examples[:2]))


def test_columns_that_the_model_does_not_take_are_left_out():
    model, examples = make("bert")
    texts = [example | {"text": "good", "idx": 3, "tokens": ["a", "b"]} for example in examples]
    assert_equal_fishers(estimate_fisher(model, texts), estimate_fisher(model, examples))


def test_a_collator_with_padding_gives_the_same():
    model, examples = make("bert")
    short = [
        {
            name: value[: sum(row["attention_mask"])] if isinstance(value, list) else value
            for name, value in row.items()
        }
        for row in examples
    ]

    def collate(rows):
        length = max(len(row["input_ids"]) for row in rows)
        filled = [
            {
                name: value + [0] * (length - len(value)) if isinstance(value, list) else value
                for name, value in row.items()
            }
            for row in rows
        ]
        return hf.default_data_collator(filled)

    found = estimate_fisher(model, short, collate_fn=collate, batch_size=2)
    assert_equal_fishers(found, estimate_fisher(model, examples), 1e-5)


def test_an_example_without_any_label_adds_nothing():
    model, examples = make("bert, tokens")
    unlabelled = examples[0] | {"labels": [-100] * LENGTH}
    with_it, without = estimate_fisher(model, [*examples, unlabelled]), estimate_fisher(model, examples)
    scaled = {name: tensor * ROWS / (ROWS + 1) for name, tensor in without.items()}
    assert_equal_fishers(with_it, scaled)


def test_padding_that_is_not_hidden_has_no_gradient(left_over):
    model, examples = make("bert")
    seen = [{"input_ids": example["input_ids"], "labels": example["labels"]} for example in examples]
    fisher = estimate_fisher(model, seen)
    assert_equal_fishers(fisher, by_one_loop(model, seen), 1e-5)
    assert not fisher["bert.embeddings.word_embeddings.weight"][0].any()
    assert not left_over


class Bypassed(nn.Module):
    """A layer called twice, one whose weight is used past it, a bare parameter, examples after a list of rules."""

    def __init__(self):
        super().__init__()
        self.twice, self.past, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.bare = nn.Parameter(torch.randn(4))

    def forward(self, x, labels=None):
        x = torch.tanh(self.twice(torch.tanh(self.twice(x))) * self.bare)
        x = self.past(x) + x @ self.past.weight
        logits = self.head(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def rows_of_four():
    draw = np.random.default_rng(0)
    return [{"x": draw.normal(size=4).astype("float32"), "labels": i % 3} for i in range(ROWS)]


def test_weights_used_past_their_layer_are_found_out(left_over):
    torch.manual_seed(0)
    model = Bypassed()
    fisher = estimate_fisher(model, rows_of_four())
    assert_equal_fishers(fisher, by_one_loop(model, rows_of_four()))
    assert left_over == {"past.weight", "bare"}


class Routed(Bypassed):
    """An expert that sees some of the examples only."""

    def forward(self, x, labels=None):
        routed = x[:, 0] > 0
        moved = x.clone()
        moved[routed] = self.twice(x[routed])
        logits = self.head(moved)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_a_rule_that_fits_the_first_examples_only_is_found_out(left_over):
    torch.manual_seed(0)
    model, rows = Routed(), rows_of_four()
    for i, row in enumerate(rows):
        row["x"][0] = 1.0 if i < 4 else -1.0  # all of the check and of the first batch, one of the second

    fisher = estimate_fisher(model, rows, batch_size=3)

    assert_equal_fishers(fisher, by_one_loop(model, rows))
    assert {"twice.weight", "twice.bias"} <= left_over


class Mixing(Bypassed):
    """Examples that act on each other: batch normalisation without statistics."""

    def forward(self, x, labels=None):
        return super().forward(x - x.mean(0) / 2, labels)


def test_examples_that_act_on_each_other_are_taken_one_by_one():
    torch.manual_seed(0)
    model = Mixing()
    assert_equal_fishers(estimate_fisher(model, rows_of_four()), by_one_loop(model, rows_of_four()))


class Weighted(Bypassed):
    """A loss that is no plain mean."""

    def forward(self, x, labels=None):
        outputs = super().forward(x, labels)
        weights = torch.tensor([1.0, 5.0, 0.2])
        return outputs | {"loss": 2 * nn.functional.cross_entropy(outputs["logits"], labels, weight=weights) + 1}


def test_an_unknown_loss_is_left_to_the_model():
    torch.manual_seed(0)
    model = Weighted()
    assert_equal_fishers(estimate_fisher(model, rows_of_four()), by_one_loop(model, rows_of_four()))
    with pytest.raises(ModelError, match="no cross entropy of its logits; use 'empirical' or 'mas'"):
        estimate_fisher(model, rows_of_four(), "sampled")


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_nothing(reentrant):
    model, examples = make("bert")
    expected = estimate_fisher(model, examples)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.train()
    assert_equal_fishers(estimate_fisher(model, examples), expected)


class Checkpointed(Bypassed):
    """Checkpoints in eval mode too, which transformers does not."""

    def forward(self, x, labels=None):
        return torch.utils.checkpoint.checkpoint(super().forward, x, labels, use_reentrant=False)


def test_checkpointing_in_eval_mode_is_right_too():
    torch.manual_seed(0)
    model = Checkpointed()
    assert_equal_fishers(estimate_fisher(model, rows_of_four()), by_one_loop(model, rows_of_four()))


def test_a_compiled_model_has_the_names_of_the_bare_one():
    model, examples = make("bert")
    assert_equal_fishers(estimate_fisher(torch.compile(model), examples), estimate_fisher(model, examples))


@pytest.mark.parametrize("way", ["weights", "autocast"])
def test_half_precision_is_added_up_in_single(way, left_over):
    model, examples = make("bert")
    expected = by_one_loop(model, examples)
    if way == "weights":
        model.bfloat16()
    else:  # as accelerate does
        model.forward = torch.autocast("cpu", dtype=torch.bfloat16)(model.forward)

    fisher = estimate_fisher(model, examples)

    assert all(tensor.dtype == torch.float32 for tensor in fisher.values())
    for name in ("classifier.weight", "bert.encoder.layer.1.output.dense.weight"):
        torch.testing.assert_close(fisher[name].sum(), expected[name].sum(), rtol=0.05, atol=0)
    assert not left_over


def test_random_collators_draw_the_same_every_time():
    model, examples = make("bert, masked")

    def collate(rows):
        batch = hf.default_data_collator(rows)
        hidden = torch.rand(batch["input_ids"].shape) < 0.3
        return batch | {"labels": torch.where(hidden, batch["input_ids"], -100)}

    first, second = (estimate_fisher(model, examples, collate_fn=collate) for _ in range(2))
    assert_equal_fishers(first, second, 0.0)
