"""What do the scores of 77 labels for 64 texts behind 16 demonstrations cost, in CPU seconds?

    pip install lm_eval==0.4.13 accelerate        # for the comparison; without it this side is left out
    python -m benchmarks.label_scorer.run

One process, one thread, CPU seconds, a random model as of Qwen2. Three ways to the same log-likelihoods:

- LabelScorer: all texts, `fit` (with its check) and `score` together, several times.
- lm-evaluation-harness: `HFLM.loglikelihood`, which runs the whole prompt for every text and label. The text of middle
  length with all labels, with each of its batch sizes; the fastest counts, times the number of texts.
- rows per text: prompt and text once per text, the states repeated for a batch of all labels. A few texts around the
  middle length; scaled.

Writes results/<date>.json.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache, Qwen2Config
from transformers.utils import logging

from benchmarks.label_scorer.texts import NAMES, beginning, sentences, word_tokenizer
from hf_transfer_kit.prompting.label_scoring.label_scorer import LabelScorer, LabelScores

TEXTS, DEMONSTRATIONS, ENDING = 64, 16, " topic :"
SHAPE = {
    "vocab_size": 32000, "hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 1408,
    "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": True,
}  # fmt: skip
HFLM_BATCH_SIZES, ROW_TEXTS, REPEATS = (1, 8), 3, 3
LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "lm_eval")


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and the result."""
    before = time.process_time()
    result = call()
    return round(time.process_time() - before, 3), result


def by_scorer(model: Any, prefix: list[int], contexts: list[list[int]], labels: list[list[int]]) -> LabelScores:
    """All that a user waits for: the check, the prompt, the texts."""
    scorer = LabelScorer(model)
    scorer.fit(labels, prefix, contexts[:1])
    if scorer.path != "trie":
        raise SystemExit(f"the trie was refused: {scorer.refused}")
    return scorer.score(contexts)


def by_harness(model: Any, tokenizer: Any, prompts: list[str], batch_size: int) -> np.ndarray | None:
    """(texts, labels) by lm-evaluation-harness as it is; None where it is not installed."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=4096)
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(prompt, " " + name), idx=number)
        for prompt in prompts
        for number, name in enumerate(NAMES)
    ]
    scores = [score for score, greedy in harness.loglikelihood(requests, disable_tqdm=True)]
    return np.array(scores).reshape(len(prompts), -1)


@torch.inference_mode()
def by_rows(model: Any, contexts: list[list[int]], labels: list[list[int]]) -> np.ndarray:
    """(texts, labels): a text's prompt once, its states repeated for the rows of all labels."""
    targets = torch.nn.utils.rnn.pad_sequence([torch.tensor(label) for label in labels], batch_first=True)
    real = torch.arange(targets.shape[1]) < torch.tensor([len(label) for label in labels])[:, None]
    scores = []
    for context in contexts:
        cache = DynamicCache()
        first = model(torch.tensor([context]), past_key_values=cache, logits_to_keep=1).logits
        cache.batch_repeat_interleave(len(labels))
        later = model(targets[:, :-1], past_key_values=cache).logits
        logits = torch.cat([first.expand(len(labels), -1, -1), later], dim=1)
        found = logits.gather(2, targets[..., None])[..., 0] - logits.logsumexp(dim=2)
        scores.append((found.double() * real).sum(dim=1).numpy())
    return np.array(scores)


def cpu_model() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def counts(prefix: list[int], contexts: list[list[int]], labels: list[list[int]], scores: LabelScores) -> dict:
    """Sizes of the task, in tokens, and what the scorer evaluated."""
    beginnings = {tuple(label[:end]) for label in labels for end in range(1, len(label))}
    limit = scores.tokens_in + len(contexts) * len(beginnings)
    evaluated = scores.tokens_in + scores.tokens_out + scores.padding
    return {
        "texts": len(contexts), "labels": len(labels), "demonstrations": DEMONSTRATIONS, "prefix_tokens": len(prefix),
        "mean_text_tokens": float(np.mean([len(context) - len(prefix) for context in contexts])),
        "mean_label_tokens": float(np.mean([len(label) for label in labels])),
        "longest_label": max(map(len, labels)), "inner_nodes": len(beginnings), "limit": limit,
        "evaluated_tokens": evaluated, "evaluated_of_limit": round(evaluated / limit, 4),
    }  # fmt: skip


def others(
    model: Any, tokenizer: Any, prompts: list[str], contexts: list[list[int]], labels: list[list[int]],
    batch_sizes: Sequence[int],
) -> dict:  # fmt: skip
    """By name: what was measured, on which texts, and their scores."""
    by_length = sorted(range(TEXTS), key=lambda number: len(contexts[number]))
    some, middle = by_length[(TEXTS - ROW_TEXTS) // 2 :][:ROW_TEXTS], by_length[TEXTS // 2]
    seconds, scores = cpu_seconds(lambda: by_rows(model, [contexts[number] for number in some], labels))
    sides = {"rows per text": {"measured": {"cpu_seconds": seconds, "texts": some}, "scores": scores}}
    tried = {
        size: cpu_seconds(lambda size=size: by_harness(model, tokenizer, [prompts[middle]], size))
        for size in batch_sizes
    }
    best = min(tried, key=lambda size: tried[size][0])
    if tried[best][1] is not None:
        measured = {"cpu_seconds": tried[best][0], "texts": [middle], "batch_size": best}
        measured["cpu_seconds_by_batch_size"] = {str(size): each for size, (each, _) in tried.items()}
        sides["lm-evaluation-harness"] = {"measured": measured, "scores": tried[best][1]}
    return sides


def compare(side: dict, seconds: float, scores: np.ndarray) -> dict:
    """A side, scaled to all texts and held against the scorer's CPU seconds and scores."""
    found, measured = side["scores"], side["measured"]
    scaled = measured["cpu_seconds"] / len(measured["texts"]) * TEXTS
    return {
        "measured": measured,
        "scaled_to_all_texts": round(scaled, 1),
        "times_the_scorer": round(scaled / seconds, 1),
        "largest_difference_of_scores": float(np.abs(found - scores[measured["texts"]]).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of LabelScorer; the middle one counts")
    parser.add_argument(
        "--harness-batch-sizes", type=int, nargs="+", default=HFLM_BATCH_SIZES, help="of HFLM; the fastest counts"
    )
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logging.disable_progress_bar()
    tokenizer = word_tokenizer()
    model = AutoModelForCausalLM.from_config(Qwen2Config(**SHAPE)).eval()
    prompts = [f"{beginning(DEMONSTRATIONS)} {text}{ENDING}" for text in sentences(TEXTS, seed=0)]
    prefix, *contexts = tokenizer([beginning(DEMONSTRATIONS), *prompts])["input_ids"]
    labels = tokenizer(NAMES)["input_ids"]

    by_rows(model, contexts[:1], labels[:2])  # warms up
    ours = [cpu_seconds(lambda: by_scorer(model, prefix, contexts, labels)) for _ in range(asked.repeats)]
    seconds, scores = median(each for each, _ in ours), ours[0][1]
    print(f"LabelScorer: {seconds:.1f} CPU s for {TEXTS} texts", flush=True)
    sides = {
        name: compare(side, seconds, scores.log_scores)
        for name, side in others(model, tokenizer, prompts, contexts, labels, asked.harness_batch_sizes).items()
    }
    for name, side in sides.items():
        print(f"{name}: {side['scaled_to_all_texts']:.0f} CPU s, {side['times_the_scorer']} x")
    record = {
        "question": "CPU seconds for the log-likelihoods of all labels after all texts",
        "date": date.today().isoformat(),
        "model": SHAPE | {"architecture": "qwen2", "dtype": "float32", "parameters": model.num_parameters()},
        "task": counts(prefix, contexts, labels, scores),
        "LabelScorer": {
            "cpu_seconds": [each for each, _ in ours],
            "middle": seconds,
            "measured": "all texts, with fit",
        },
        "others": sides,
        "versions": {"python": platform.python_version()} | {name: version_of(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
