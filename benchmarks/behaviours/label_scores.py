"""Label scores with a prefix cache under eager and sdpa: they must be those of one full forward pass each.

A random model as of Qwen2 in float32, a prompt with demonstrations, a few texts, ten labels of one to four tokens.
`measured` has, by attention, the largest difference from full forward passes in nats, the tokens that the model read
over those of one full pass per text and label, and CPU seconds. Tolerance: 1e-4 nats. Speed is not part of `holds`.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from benchmarks.behaviours.outcome import Outcome, command
from benchmarks.label_scorer.texts import NAMES, beginning, sentences, word_tokenizer

ROW = "label scores with a prefix cache under eager and sdpa"
TOLERANCE, TEXTS, LABELS, DEMONSTRATIONS, ENDING = 1e-4, 6, 10, 8, " topic :"
SHAPE = {
    "hidden_size": 64, "num_hidden_layers": 3, "intermediate_size": 96, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.2, "max_position_embeddings": 1024,
}  # fmt: skip

Score = Callable[
    [Any, Any, list[str], list[str]], np.ndarray
]  # (model, tokenizer, prompts, labels) -> log-likelihoods


@torch.inference_mode()
def full_passes(model: Any, tokenizer: Any, prompts: list[str], labels: list[str]) -> np.ndarray:
    """(prompts, labels): one forward pass each over all tokens, without cache, mask or batch."""
    scores = np.empty((len(prompts), len(labels)))
    for row, prompt in enumerate(prompts):
        for column, label in enumerate(labels):
            context, continuation = tokenizer([prompt, label])["input_ids"]
            tokens = torch.tensor([context + continuation])
            steps = model(tokens, use_cache=False).logits[0, len(context) - 1 : -1].log_softmax(dim=-1)
            scores[row, column] = steps[range(len(continuation)), continuation].sum().item()
    return scores


def measure(score: Score) -> Outcome:
    """Both attentions against full forward passes."""
    tokenizer = word_tokenizer()
    prompts = [f"{beginning(DEMONSTRATIONS)} {text}{ENDING}" for text in sentences(TEXTS, seed=0)]
    labels, found = NAMES[:LABELS], {}
    for attention in ("eager", "sdpa"):
        torch.manual_seed(0)
        config = Qwen2Config(vocab_size=len(tokenizer), attn_implementation=attention, **SHAPE)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
        expected = full_passes(model, tokenizer, prompts, labels)
        read: list[int] = []
        hook = model.get_input_embeddings().register_forward_hook(lambda m, i, o, read=read: read.append(i[0].numel()))
        started = time.process_time()
        scores = score(model, tokenizer, prompts, labels)
        seconds = time.process_time() - started
        hook.remove()
        full = sum(len(p) + len(n) for p in tokenizer(prompts)["input_ids"] for n in tokenizer(labels)["input_ids"])
        found[attention] = {
            "largest_difference": float(f"{np.abs(scores - expected).max():.2g}"),
            "tokens_read_of_full_passes": round(sum(read) / full, 3), "cpu_seconds": round(seconds, 2),
        }  # fmt: skip
    errors = {name: each["largest_difference"] for name, each in found.items()}
    return Outcome(
        holds=max(errors.values()) <= TOLERANCE,
        measured=found,
        says=" and ".join(
            f"under {name} they differ by {each['largest_difference']:.0e}, with "
            f"{each['tokens_read_of_full_passes']:.0%} of the tokens of full passes in {each['cpu_seconds']:.2f} CPU s"
            for name, each in found.items()
        ),
    )


def ours() -> Outcome:
    """LabelScorer, with `fit` and its check; the prompt's common beginning is read once."""
    from hf_transfer_kit.prompting.label_scoring.label_scorer import LabelScorer

    def score(model: Any, tokenizer: Any, prompts: list[str], labels: list[str]) -> np.ndarray:
        prefix, *contexts = tokenizer([beginning(DEMONSTRATIONS), *prompts])["input_ids"]
        scorer = LabelScorer(model)
        scorer.fit(tokenizer(labels)["input_ids"], prefix, contexts[:1])
        return scorer.score(contexts).log_scores

    return measure(score)


def harness() -> Outcome:
    """HFLM.loglikelihood of lm-evaluation-harness as it is, its reuse of equal inputs included."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    def score(model: Any, tokenizer: Any, prompts: list[str], labels: list[str]) -> np.ndarray:
        backend = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8, max_length=1024)
        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=(prompt, " " + label), idx=number)
            for prompt in prompts
            for number, label in enumerate(labels)
        ]
        found = [each[0] for each in backend.loglikelihood(requests, disable_tqdm=True)]
        return np.array(found).reshape(len(prompts), -1)

    return measure(score)


SIDES = {"ours": ours, "lm_eval": harness}

if __name__ == "__main__":
    command(ROW, SIDES)
