"""The fast paths against one full forward pass per text and label, on tiny random models of many architectures."""

import copy
import random
from functools import cache

import numpy as np
import pytest
import torch
import transformers as hf

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.label_scoring import label_paths, tree_attention
from hf_transfer_kit.prompting.label_scoring.label_check import in_float32, telling_labels
from hf_transfer_kit.prompting.label_scoring.label_scorer import LabelScorer, plain_log_scores

TOKENS = {"vocab_size": 96, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.2}
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 96}
LLAMA = TOKENS | SHAPE | {"num_key_value_heads": 2, "intermediate_size": 48}
WINDOW = LLAMA | {"head_dim": 8, "sliding_window": 12}  # shorter than the prefix
ONE_OF_EACH = ["sliding_attention", "full_attention"]
GPT = TOKENS | {"n_embd": 32, "n_layer": 2, "n_head": 4}

TRIE = {
    "llama": hf.LlamaConfig(**LLAMA),
    "qwen2": hf.Qwen2Config(**LLAMA),
    "qwen3": hf.Qwen3Config(**LLAMA, head_dim=8),
    "mistral": hf.MistralConfig(**WINDOW),
    "gemma3": hf.Gemma3TextConfig(**WINDOW, layer_types=ONE_OF_EACH),
    "phi3": hf.Phi3Config(**LLAMA),
    "gpt2": hf.GPT2Config(**GPT, n_positions=96),
    "gpt_neox": hf.GPTNeoXConfig(**TOKENS, **SHAPE, intermediate_size=48),
    "opt": hf.OPTConfig(**TOKENS, **SHAPE, ffn_dim=48, word_embed_proj_dim=32, init_std=0.2),
    "olmo2": hf.Olmo2Config(**LLAMA),
    "mixtral": hf.MixtralConfig(**LLAMA, num_local_experts=4, num_experts_per_tok=2),
}
OTHERS = {
    "bloom": (hf.BloomConfig(**TOKENS, hidden_size=32, n_layer=2, n_head=4), "rows"),  # positions by distance alone
    "gpt_neo": (
        hf.GPTNeoConfig(
            **TOKENS, hidden_size=32, num_layers=2, num_heads=4, intermediate_size=48, window_size=12,
            max_position_embeddings=96, attention_types=[[["global", "local"], 1]],
        ),
        "rows",  # a window in the attention itself
    ),
    "lfm2": (hf.Lfm2Config(**LLAMA, layer_types=["conv", "full_attention"]), "rows"),
    "mamba": (hf.MambaConfig(**TOKENS, hidden_size=32, num_hidden_layers=2, state_size=4), "plain"),
}  # fmt: skip


@cache
def make_model(name, attention="sdpa", dtype=torch.float32):
    torch.manual_seed(0)
    config = copy.deepcopy(TRIE[name] if name in TRIE else OTHERS[name][0])  # models of one config share its settings
    return hf.AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval().to(dtype)


_random = random.Random(0)


def tokens(count):
    return [_random.randrange(3, 96) for _ in range(count)]


PREFIX = tokens(30)
LONG = tokens(5)
LABELS = [LONG, tokens(1), tokens(2), LONG[:3], LONG[:3] + tokens(2), tokens(3), tokens(4), LONG[:3]]  # equal, nested
TEXTS = [PREFIX + tokens(count) for count in (1, 3, 5, 5, 9, 4)]
ODD = [list(PREFIX), tokens(6), PREFIX[:10] + tokens(3), PREFIX[:1]]  # equal to the prefix, or not beginning with it


def fitted(model, labels=LABELS, prefix=PREFIX, **options):
    scorer = LabelScorer(model, **options)
    scorer.fit(labels, prefix)
    return scorer


def largest_error(model, scores, contexts, labels=LABELS):
    return np.abs(scores.log_scores - plain_log_scores(model, contexts, labels).numpy()).max()


def evaluated_tokens(model, call):
    """How many tokens the model's embedding saw in `call`, padding included."""
    seen = []
    handle = model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, out: seen.append(inputs[0].numel())
    )
    try:
        call()
    finally:
        handle.remove()
    return sum(seen)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", TRIE)
def test_the_trie_gives_what_full_forward_passes_give(name, attention):
    model = make_model(name, attention)
    scorer = fitted(model, batch_size=4)
    assert (scorer.path, scorer.refused, model.config._attn_implementation) == ("trie", {}, attention)
    assert largest_error(model, scorer.score(TEXTS + ODD), TEXTS + ODD) < 1e-4


@pytest.mark.parametrize("name", OTHERS)
def test_models_that_cannot_take_the_trie_fall_back_and_are_right(name):
    model = make_model(name, "eager")
    scorer = fitted(model, batch_size=3)
    assert scorer.path == OTHERS[name][1]
    assert "trie" in scorer.refused and ("rows" in scorer.refused) == (scorer.path == "plain")
    assert largest_error(model, scorer.score(TEXTS + ODD), TEXTS + ODD) < 1e-4


def test_double_precision_leaves_nothing_but_rounding():
    model = make_model("qwen2", dtype=torch.float64)
    assert largest_error(model, fitted(model).score(TEXTS + ODD), TEXTS + ODD) < 1e-11


def test_half_precision_takes_the_trie_too():
    scorer = fitted(make_model("llama", dtype=torch.bfloat16))
    assert scorer.path == "trie" and scorer.refused == {}
    exact = plain_log_scores(make_model("llama"), TEXTS, LABELS).numpy()
    assert np.abs(scorer.score(TEXTS).log_scores - exact).max() < 1  # of scores between -10 and -40


def test_log_scores_are_probabilities_of_all_continuations():
    """All labels of one token: their probabilities sum to 1; and those of two tokens to that of their first."""
    model = make_model("llama")
    every = [[token] for token in range(96)]
    pairs = [[7, token] for token in range(96)]
    probabilities = np.exp(fitted(model, every + pairs).score(TEXTS).log_scores)
    np.testing.assert_allclose(probabilities[:, :96].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(probabilities[:, 96:].sum(axis=1), probabilities[:, 7], rtol=1e-4)


@pytest.mark.parametrize("labels", [[LONG], [LONG[:1]], [LONG, LONG]])
def test_one_label_and_equal_labels(labels):
    model = make_model("gemma3")
    assert largest_error(model, fitted(model, labels).score(TEXTS), TEXTS, labels) < 1e-4


@pytest.mark.parametrize("name", ["qwen2", "gpt2", "bloom"])
def test_without_a_prefix(name):
    model = make_model(name, "eager")
    scorer = fitted(model, prefix=())
    scores = scorer.score(TEXTS + ODD)
    assert largest_error(model, scores, TEXTS + ODD) < 1e-4
    assert scores.tokens_cached == 0


@pytest.mark.parametrize("name", ["mistral", "mixtral", "bloom"])
def test_results_do_not_depend_on_batch_size_or_order(name):
    model, contexts = make_model(name, "eager"), TEXTS + ODD
    expected = fitted(model, batch_size=1).score(contexts).log_scores
    for batch_size in (2, 3, 64):
        order = random.Random(batch_size).sample(range(len(contexts)), len(contexts))
        found = fitted(model, batch_size=batch_size).score([contexts[row] for row in order]).log_scores
        np.testing.assert_allclose(found, expected[order], atol=1e-5, rtol=0)


def test_many_labels_are_scored_in_groups_with_the_same_result(monkeypatch):
    model = make_model("qwen2")
    whole = fitted(model).score(TEXTS).log_scores
    monkeypatch.setattr(label_paths, "MOST_LOGITS", 96 * 5)  # four inner nodes at a time
    scorer, calls = fitted(model), []
    np.testing.assert_allclose(
        scorer.score(TEXTS, on_progress=lambda *each: calls.append(each)).log_scores, whole, atol=1e-5, rtol=0
    )
    assert len(scorer._path._tries) > 1
    assert calls[-1] == (len(TEXTS), len(TEXTS)) and calls == sorted(calls)


INNER = len({tuple(label[:end]) for label in LABELS for end in range(1, len(label))})


def test_texts_of_one_length_are_evaluated_without_any_padding():
    model, texts = make_model("llama"), [PREFIX + tokens(5) for _ in range(10)]
    scorer = fitted(model)
    scorer.forget()
    needed = len(PREFIX) + len(texts) * (5 + INNER)
    assert evaluated_tokens(model, lambda: scorer.score(texts)) == needed


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_ragged_texts_are_evaluated_with_a_tenth_of_padding_at_most(batch_size):
    model = make_model("llama")
    texts = [PREFIX + tokens(1 + number % 13) for number in range(40)] + ODD
    scorer = fitted(model, batch_size=batch_size)
    scorer.forget()
    scores = scorer.score(texts)
    own = sum(max(len(text) - common_start(text), 1) for text in texts)
    assert scores.tokens_in == len(PREFIX) + own
    assert scores.tokens_out == len(texts) * INNER
    assert scores.tokens_cached == sum(map(len, texts)) - own
    scorer.forget()
    ran = evaluated_tokens(model, lambda: scorer.score(texts))
    assert ran == scores.tokens_in + scores.tokens_out + scores.padding
    assert ran <= 1.1 * (len(PREFIX) + own + len(texts) * INNER)


def common_start(text):
    return next(
        (at for at, pair in enumerate(zip(text, PREFIX, strict=False)) if pair[0] != pair[1]), min(len(text), 30)
    )


def test_the_head_runs_on_last_tokens_and_inner_nodes_only():
    model, rows = make_model("qwen2"), []
    scorer = fitted(model)
    handle = model.get_output_embeddings().register_forward_hook(lambda *each: rows.append(each[2].shape[:2].numel()))
    scorer.score(TEXTS)
    handle.remove()
    assert sum(rows) == len(TEXTS) * (1 + INNER)


def test_the_reading_of_the_prefix_counts_once_in_the_next_score():
    model = make_model("gpt2")
    scorer = fitted(model)
    first, second = scorer.score(TEXTS), scorer.score(TEXTS)
    assert first.tokens_in - second.tokens_in == len(PREFIX)
    assert (
        evaluated_tokens(model, lambda: scorer.score(TEXTS)) == second.tokens_in + second.tokens_out + second.padding
    )
    scorer.forget()
    third = scorer.score(TEXTS)
    assert third.tokens_in == first.tokens_in
    np.testing.assert_array_equal(third.log_scores, first.log_scores)


@pytest.mark.parametrize(("name", "copies"), [("qwen2", 4), ("bloom", 4)])
def test_the_prefix_is_never_copied_for_each_label(name, copies, monkeypatch):
    model, sizes = make_model(name, "eager"), []
    scorer = LabelScorer(model, batch_size=copies)
    labels = [[token, token + 1] for token in range(3, 60)]
    scorer.fit(labels, PREFIX)
    one = model.config.hidden_size * len(PREFIX)
    for kind in (tree_attention.KeptLayer, hf.cache_utils.DynamicLayer):
        monkeypatch.setattr(kind, "update", watched(kind.update, sizes))
    kept = [layer.keys.clone() for layer in scorer._path._kept.layers]
    scorer.score(TEXTS)
    assert sizes and max(sizes) <= copies * 2 * one
    for layer, before in zip(scorer._path._kept.layers, kept, strict=True):
        torch.testing.assert_close(layer.keys, before, rtol=0, atol=0)


def watched(update, sizes):
    def wrapper(*args, **kwargs):
        keys, values = update(*args, **kwargs)
        sizes.append(keys.numel())
        return keys, values

    return wrapper


def test_batches_shrink_where_a_copy_of_the_prefix_is_large(monkeypatch):
    model, texts = make_model("qwen2"), [PREFIX + tokens(5) for _ in range(6)]
    monkeypatch.setattr(label_paths, "MOST_PREFIX_BYTES", 2 * 30 * 2 * 8 * 4 * 2)  # two texts: keys and values
    scorer, calls = fitted(model), []
    scorer.score(texts, on_progress=lambda done, total: calls.append(done))
    assert calls == [2, 4, 6]


@pytest.mark.parametrize("break_it", ["mask", "positions", "window"])
def test_a_wrong_path_is_found_and_not_taken(break_it, monkeypatch):
    model, real = make_model("mistral"), tree_attention.TreeInput.mask
    if break_it == "mask":
        monkeypatch.setattr(tree_attention.TreeInput, "mask", lambda self, *each: torch.zeros_like(real(self, *each)))
    elif break_it == "window":
        monkeypatch.setattr(tree_attention, "attention_windows", lambda config: {"full_attention": None})
    else:
        of = tree_attention.TreeInput.of

        def wrong(*args):
            tree = of(*args)
            tree.positions[:, -INNER:] += 1
            return tree

        monkeypatch.setattr(tree_attention.TreeInput, "of", wrong)
    scorer = fitted(model)
    assert scorer.path == "rows" and "differs from plain" in scorer.refused["trie"]
    assert largest_error(model, scorer.score(TEXTS), TEXTS) < 1e-4


def test_a_mask_of_booleans_is_refused_under_eager_attention(monkeypatch):
    real = tree_attention.TreeInput.mask
    monkeypatch.setattr(tree_attention.TreeInput, "mask", lambda self, *each: real(self, *each) == 0)
    assert fitted(make_model("llama", "eager")).path == "rows"


def test_an_error_of_the_model_is_kept_as_the_reason(monkeypatch):
    def refuse(*args):
        raise NotImplementedError("no such mask")

    monkeypatch.setattr(tree_attention.TreeInput, "masks", refuse)
    scorer = fitted(make_model("llama"))
    assert scorer.path == "rows" and scorer.refused["trie"] == "NotImplementedError: no such mask"


def test_what_is_wrong_by_little_is_not_taken_for_rounding_in_half_precision():
    """Mamba's rows are wrong by less than bfloat16 rounds."""
    model = make_model("mamba", "eager", torch.bfloat16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scorer = fitted(model)
    assert scorer.path == "plain" and "differs from plain" in scorer.refused["rows"]
    assert largest_error(model, scorer.score(TEXTS), TEXTS) < 1e-4
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype and torch.equal(tensor, before[name])


def test_a_model_in_half_precision_can_still_be_trained():
    model = copy.deepcopy(make_model("llama", dtype=torch.bfloat16))
    fitted(model)
    model(input_ids=torch.tensor([LONG]), labels=torch.tensor([LONG])).loss.backward()
    assert all(each.grad is not None and each.grad.dtype == torch.bfloat16 for each in model.parameters())


def test_weights_come_back_as_they_were_after_an_error_in_float32():
    model = torch.nn.BatchNorm1d(3).to(torch.float16)
    model.weight.data.uniform_()
    before, counter = model.weight.data.clone(), model.num_batches_tracked
    with pytest.raises(KeyError), in_float32(model):
        assert model.weight.dtype == model.running_mean.dtype == torch.float32
        raise KeyError
    assert torch.equal(model.weight.data, before) and model.running_mean.dtype == torch.float16
    assert model.num_batches_tracked is counter and counter.dtype == torch.int64


def test_given_examples_are_what_is_checked(monkeypatch):
    checked = []
    monkeypatch.setattr(
        "hf_transfer_kit.prompting.label_scoring.label_check.plain_log_scores",
        lambda model, contexts, labels: checked.append(contexts) or plain_log_scores(model, contexts, labels),
    )
    scorer = LabelScorer(make_model("llama"))
    scorer.fit(LABELS, PREFIX, examples=TEXTS[:2])
    assert checked == [TEXTS[:2]] and 0 <= scorer.difference < 1e-4


def test_the_check_uses_long_short_and_nested_labels():
    some = [LABELS[number] for number in telling_labels(LABELS)]
    assert len(some) == 4 and LONG in some and LONG[:3] in some and any(len(label) == 1 for label in some)
    assert telling_labels([[5]]) == [0]


def test_no_contexts_give_no_rows():
    for name in ("llama", "bloom", "mamba"):
        assert fitted(make_model(name, "eager")).score([]).log_scores.shape == (0, len(LABELS))


def test_mistakes_say_what_to_do():
    model = make_model("llama")
    with pytest.raises(PromptError, match="batch_size=0"):
        LabelScorer(model, batch_size=0)
    with pytest.raises(PromptError, match="call fit"):
        LabelScorer(model).score([[5]])
    with pytest.raises(PromptError, match="label number 1 has no tokens"):
        LabelScorer(model).fit([[5], []])
    with pytest.raises(PromptError, match="no labels"):
        LabelScorer(model).fit([])
    with pytest.raises(PromptError, match="context number 0 has no tokens"):
        fitted(model).score([[]])
