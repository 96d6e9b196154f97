"""Label scores on any device: LabelScorer against a row of its own for every text and label."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from benchmarks.label_scorer.texts import NAMES, beginning, sentences, word_tokenizer
from benchmarks.speed.device_clock import seconds_in_turn
from hf_transfer_kit.prompting.label_scoring.label_scorer import LabelScorer

ENDING = " topic :"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A causal language model, and what it is asked. `rows`: texts and labels in a batch of the other side.

    `scaled_from`: texts that the other side is measured on; the more are in proportion.
    """

    layers: int
    width: int
    vocabulary: int
    texts: int
    labels: int
    demonstrations: int
    rows: int
    scaled_from: int
    repeats: int


LARGE_LABELS = Labels(
    layers=24, width=1024, vocabulary=32000, texts=64, labels=77, demonstrations=16, rows=77, scaled_from=8, repeats=3
)
TINY_LABELS = Labels(
    layers=2, width=32, vocabulary=1000, texts=2, labels=5, demonstrations=2, rows=5, scaled_from=1, repeats=1
)


def make_model(size: Labels, device: torch.device, dtype: torch.dtype) -> Any:
    """As of Qwen2, with random weights."""
    torch.manual_seed(0)
    heads = max(size.width // 64, 1)
    config = Qwen2Config(
        vocab_size=size.vocabulary, hidden_size=size.width, num_hidden_layers=size.layers, num_attention_heads=heads,
        num_key_value_heads=heads, intermediate_size=11 * size.width // 4, tie_word_embeddings=True,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).to(device, dtype).eval()


@torch.inference_mode()
def per_label(model: Any, contexts: Sequence[list[int]], labels: Sequence[list[int]], rows: int) -> torch.Tensor:
    """(texts, labels): the whole prompt again for every text and label, `rows` of them in a batch."""
    pairs = [(context, label) for context in contexts for label in labels]
    scores = []
    for first in range(0, len(pairs), rows):
        some = pairs[first : first + rows]
        tokens = [torch.tensor([*context, *label[:-1]]) for context, label in some]
        padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True).to(model.device)  # causal: no mask needed
        logits = model(input_ids=padded, use_cache=False).logits
        for row, (context, label) in enumerate(some):
            at = torch.arange(len(context) - 1, len(context) - 1 + len(label), device=model.device)
            of_label = logits[row, at].float().log_softmax(dim=1)
            scores.append(of_label.gather(1, torch.tensor(label, device=model.device)[:, None]).sum())
    return torch.stack(scores).double().cpu().reshape(len(contexts), len(labels))


def label_scores(size: Labels, device: torch.device) -> dict[str, Any]:
    """Seconds of both sides for all texts in bf16, how much faster LabelScorer is, and how far scores are apart."""
    tokenizer = word_tokenizer()
    prompts = [f"{beginning(size.demonstrations)} {text}{ENDING}" for text in sentences(size.texts, seed=0)]
    prefix, *contexts = tokenizer([beginning(size.demonstrations), *prompts])["input_ids"]
    labels = tokenizer(NAMES[: size.labels])["input_ids"]
    model = make_model(size, device, torch.bfloat16)
    found: dict[str, Any] = {}

    def ours() -> None:  # all that a user waits for: the check, the prompt, the texts
        scorer = LabelScorer(model)
        scorer.fit(labels, prefix, contexts[:1])
        found["path"], found["ours"] = scorer.path, scorer.score(contexts).log_scores

    def theirs() -> None:
        found["theirs"] = per_label(model, contexts[: size.scaled_from], labels, size.rows).numpy()

    times = seconds_in_turn({"ours": ours, "theirs": theirs}, device, repeats=size.repeats, warm_up=1)
    scaled = median(times["theirs"]) / size.scaled_from * size.texts
    return {
        "shape": vars(size),
        "path": found["path"],
        "LabelScorer_seconds": round(median(times["ours"]), 4),
        "per_label_seconds_scaled_to_all_texts": round(scaled, 4),
        "times_faster": scaled / median(times["ours"]),
        "largest_difference_of_scores": float(abs(found["ours"][: size.scaled_from] - found["theirs"]).max()),
    }
