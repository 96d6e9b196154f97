"""The texts of the small language model: half of WikiText-2, which it learns first, and SNIPS in two parts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import ByteLevelBPETokenizer

TOKENS, VOCABULARY = 64, 4000  # of a block
TEXTS, EVALUATED = 400, 150  # SNIPS texts learned in each part; blocks of Wikipedia that a perplexity is measured on
SEARCH_SEED = 1000  # chooses strengths, on texts of its own
PARTS = ("wikitext", "snips_a", "snips_b")
Rows = list[dict[str, list[int]]]


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Blocks of tokens: what is learned, and what perplexity is measured on."""

    old: Rows
    new: tuple[Rows, Rows]
    held_out: dict[str, Rows]


def make_tokenizer(folder: Path, text: str) -> ByteLevelBPETokenizer:
    """Of the text that the language model learns; kept in `folder`."""
    if not (folder / "vocab.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = ByteLevelBPETokenizer()
        made.train_from_iterator(text.splitlines(), vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"])
        made.save_model(str(folder))
    return ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def blocks(tokenizer: ByteLevelBPETokenizer, texts: Iterable[str]) -> Rows:
    """The texts one after the other, each ended by token 0, cut into blocks of equal length; the rest is left out."""
    tokens = [token for text in texts for token in [*tokenizer.encode(text).ids, 0]]
    cut = [tokens[at : at + TOKENS] for at in range(0, len(tokens) - TOKENS + 1, TOKENS)]
    return [{"input_ids": block, "labels": block} for block in cut]


def make_texts(folder: Path, tokenizer: ByteLevelBPETokenizer, seed: int) -> Texts:
    """The texts of a seed; the search has held-out texts of its own."""
    random, searching = np.random.default_rng(seed), seed == SEARCH_SEED
    snips = {
        part: [json.loads(line) for line in (folder / "snips" / f"{part}.jsonl").read_text("utf-8").splitlines()]
        for part in ("train", "test")
    }
    known = {row["text"].lower() for row in snips["train"]}
    snips["test"] = [row for row in snips["test"] if row["text"].lower() not in known]
    intents = sorted({row["intent"] for row in snips["train"]})
    new, held_out = [], {}
    for name, chosen in (("snips_a", intents[:4]), ("snips_b", intents[4:])):
        texts = [row["text"] for row in snips["train"] if row["intent"] in chosen]
        texts = [texts[i] for i in random.permutation(len(texts))]
        new.append(blocks(tokenizer, texts[:TEXTS]))
        test = [row["text"] for row in snips["test"] if row["intent"] in chosen]
        held_out[name] = blocks(tokenizer, texts[-350:] if searching else test)
    other = blocks(tokenizer, wikipedia(folder, "validation").splitlines())
    every = np.arange(0, len(other) - 1, len(other) // EVALUATED)[:EVALUATED]  # spread over the whole half
    held_out["wikitext"] = [other[i + searching] for i in every]
    old = blocks(tokenizer, wikipedia(folder, "test").splitlines())
    return Texts(old=old, new=(new[0], new[1]), held_out=held_out)


def wikipedia(folder: Path, half: str) -> str:
    return (folder / "wikitext2" / f"{half}.txt").read_text(encoding="utf-8")
