"""Three ways to the same log-likelihoods of labels, from the fastest to the one that suits every model.

- trie: the prefix once for all texts; each text once, together with the inner nodes of the labels' trie.
- rows: the prefix once for all texts; text and label again for each label, as rows of a batch without any mask.
- plain: everything again for each text and label.
"""

import copy
import inspect
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hf_transfer_kit.prompting.label_scoring.tree_attention import TreeInput, keep_prefix
from hf_transfer_kit.prompting.label_scoring.trie import LabelTrie, groups

Tokens = Sequence[int]
Progress = Callable[[int, int], None]

MOST_LOGITS = 1 << 26  # numbers that the head may return at once
MOST_PREFIX_BYTES = 1 << 28  # of one layer, in copies for the texts of a batch
MOST_CPU_TOKENS = 640  # of a batch on the CPU, where more of them leave its caches and are slower, not faster
MOST_PADDING = 1.1  # tokens of a row of a batch, relative to those it needs


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a call evaluated, in tokens; padding is in none of the other numbers. Seconds: of reading the prefix."""

    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    padding: int = 0
    seconds: float = 0.0


class LabelPath(ABC):
    """Log-likelihoods of labels, computed in one way; keeps what the model makes of the prefix until `forget`."""

    name: str

    def __init__(self, model: Any, labels: Sequence[Tokens], prefix: Tokens, batch_size: int):
        self.model, self.labels, self.prefix, self.batch_size = model, labels, tuple(prefix), batch_size
        self._kept: Any = None  # what the model takes as its cache
        self._reading = Tally()

    @abstractmethod
    def log_scores(self, contexts: Sequence[Tokens], on_progress: Progress | None = None) -> tuple[Tensor, Tally]:
        """(contexts, labels) in float64 on the CPU, and what it took, the reading of the prefix left out."""

    def keep(self) -> None:
        """Reads the prefix, unless that was done."""
        if self._kept is None and self.prefix:
            started = time.perf_counter()
            self._kept = self._read_prefix()
            self._reading = Tally(tokens_in=len(self.prefix), seconds=time.perf_counter() - started)

    def take_reading(self) -> Tally:
        """What the reading of the prefix took, where no earlier call has told."""
        reading, self._reading = self._reading, Tally()
        return reading

    def forget(self) -> None:
        """Drops what is kept of the prefix; the next `keep` makes it again."""
        self._kept, self._reading = None, Tally()

    @abstractmethod
    def _read_prefix(self) -> Any:
        """The states after the prefix."""


class TriePath(LabelPath):
    """The prefix once, each text once, each inner node of the labels' trie once per text."""

    name = "trie"

    def __init__(self, model: Any, labels: Sequence[Tokens], prefix: Tokens, batch_size: int):
        super().__init__(model, labels, prefix, batch_size)
        self._most_nodes = max(MOST_LOGITS // model.config.get_text_config().vocab_size, 2)
        with torch.device(model.device):
            self._tries = [
                (numbers, LabelTrie.of([labels[number] for number in numbers]))
                for numbers in groups(labels, self._most_nodes - 1)
            ]

    def _read_prefix(self) -> Any:
        return keep_prefix(self.model, self.prefix)

    def log_scores(self, contexts: Sequence[Tokens], on_progress: Progress | None = None) -> tuple[Tensor, Tally]:
        self.keep()
        tally, scores = Tally(), torch.empty(len(contexts), len(self.labels), dtype=torch.float64)
        shared = [min(common_length(context, self.prefix), len(context) - 1) for context in contexts]
        texts = [context[start:] for context, start in zip(contexts, shared, strict=True)]
        tally.tokens_cached, done = sum(shared), 0
        for labels, trie in self._tries:
            inner = len(trie.tokens)
            tally.tokens_in += sum(map(len, texts))
            tally.tokens_out += inner * len(texts)
            for batch in self._batches([len(text) + inner for text in texts], inner + 1):
                rows = [texts[row] for row in batch]
                result = self._forward(rows, [shared[row] for row in batch], trie)
                scores[torch.tensor(batch)[:, None], torch.tensor(labels)] = result.cpu()
                tally.padding += sum(len(rows[0]) - len(row) for row in rows)
                done += len(batch)
                if on_progress:
                    on_progress(done // len(self._tries), len(contexts))
        return scores, tally

    def _batches(self, lengths: list[int], nodes: int) -> Iterator[list[int]]:
        """Rows of about equal length, the longest first, as many as memory and `MOST_PADDING` allow."""
        most = min(self.batch_size, max(self._most_nodes // nodes, 1))
        if self._kept is not None:
            most = min(most, max(MOST_PREFIX_BYTES // self._kept.largest_layer, 1))
        most_tokens = MOST_CPU_TOKENS if self.model.device.type == "cpu" else sys.maxsize
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
            longest = lengths[batch[0]] if batch else lengths[row]
            full = len(batch) == most or (len(batch) + 1) * longest > most_tokens
            if batch and (full or longest > MOST_PADDING * lengths[row]):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _forward(self, texts: Sequence[Tokens], shared: Sequence[int], trie: LabelTrie) -> Tensor:
        """(texts, labels of the trie)"""
        tree, nodes = TreeInput.of(texts, shared, len(self.prefix), trie), len(trie.tokens) + 1
        logits = self.model(
            input_ids=tree.tokens,
            position_ids=tree.positions,
            attention_mask=tree.masks(self.model.config, self.model.dtype),
            past_key_values=self._kept,
            use_cache=self._kept is not None,
            logits_to_keep=nodes,
        ).logits
        # One text after the other, so that the copies within logsumexp stay small.
        return trie.label_scores(torch.stack([_edge_scores(each[-nodes:], trie) for each in logits]))


class RowsPath(LabelPath):
    """The prefix once, text and label once per label: a batch of rows that continue copies of the prefix's states."""

    name = "rows"

    def __init__(self, model: Any, labels: Sequence[Tokens], prefix: Tokens, batch_size: int):
        super().__init__(model, labels, prefix, batch_size)
        recurrent = "cache_params" in inspect.signature(model.forward).parameters
        self._cache_name = "cache_params" if recurrent else "past_key_values"

    def _read_prefix(self) -> Any:
        tokens = torch.tensor([self.prefix], device=self.model.device)
        return getattr(self.model(input_ids=tokens, use_cache=True, **last(self.model, 1)), self._cache_name)

    def log_scores(self, contexts: Sequence[Tokens], on_progress: Progress | None = None) -> tuple[Tensor, Tally]:
        self.keep()
        tally, scores = Tally(), torch.empty(len(contexts), len(self.labels), dtype=torch.float64)
        by_length = sorted(range(len(self.labels)), key=lambda each: -len(self.labels[each]))
        for number, context in enumerate(contexts):
            kept = len(context) > len(self.prefix) == common_length(context, self.prefix)
            text = context[len(self.prefix) :] if kept else context
            tally.tokens_cached += len(self.prefix) if kept else 0
            for start in range(0, len(by_length), self.batch_size):
                labels = by_length[start : start + self.batch_size]
                for label, score in zip(labels, self._forward(text, labels, kept), strict=True):
                    scores[number, label] = score
                    tally.tokens_in += len(text)
                    tally.tokens_out += len(self.labels[label]) - 1
                    tally.padding += len(self.labels[labels[0]]) - len(self.labels[label])
            if on_progress:
                on_progress(number + 1, len(contexts))
        return scores, tally

    def _forward(self, text: Tokens, labels: list[int], kept: bool) -> list[float]:
        longest = len(self.labels[labels[0]]) - 1
        rows = []
        for label in labels:
            row = [*text, *self.labels[label][:-1]]
            rows.append(row + row[-1:] * (len(text) + longest - len(row)))  # padding at the end, which nothing sees
        tokens = torch.tensor(rows, device=self.model.device)
        cache = copy.deepcopy(self._kept) if kept else None
        if cache is not None:
            cache.reorder_cache(torch.zeros(len(rows), dtype=torch.long, device=tokens.device))
        options = last(self.model, longest + 1) | ({} if cache is None else {self._cache_name: cache})
        logits = self.model(input_ids=tokens, use_cache=cache is not None, **options).logits[:, -(longest + 1) :]
        return [_sequence_score(each, self.labels[label]) for each, label in zip(logits, labels, strict=True)]


class PlainPath(LabelPath):
    """One full forward pass per context and label."""

    name = "plain"

    def keep(self) -> None:
        """Nothing is kept."""

    def _read_prefix(self) -> Any:
        raise NotImplementedError

    def log_scores(self, contexts: Sequence[Tokens], on_progress: Progress | None = None) -> tuple[Tensor, Tally]:
        tally, rows = Tally(), []
        for number, context in enumerate(contexts):
            rows.append(plain_log_scores(self.model, [context], self.labels))
            tally.tokens_in += len(context) * len(self.labels)
            tally.tokens_out += sum(len(label) - 1 for label in self.labels)
            if on_progress:
                on_progress(number + 1, len(contexts))
        return torch.cat(rows) if rows else torch.empty(0, len(self.labels), dtype=torch.float64), tally


@torch.inference_mode()
def plain_log_scores(model: Any, contexts: Sequence[Tokens], labels: Sequence[Tokens]) -> Tensor:
    """(contexts, labels), float64: the log-likelihood of each label after each context.

    One full forward pass per context and label: no cache, no batch, no mask. What the fast paths are held against.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=2)).eval()
        >>> plain_log_scores(model, contexts=[[1, 5, 8]], labels=[[token] for token in range(10)]).exp().sum()
        tensor(1.0000, dtype=torch.float64)
    """
    scores = torch.empty(len(contexts), len(labels), dtype=torch.float64)
    for row, context in enumerate(contexts):
        for column, label in enumerate(labels):
            tokens = torch.tensor([[*context, *label[:-1]]], device=model.device)
            logits = model(input_ids=tokens, use_cache=False, **last(model, len(label))).logits[0, -len(label) :]
            scores[row, column] = _sequence_score(logits, label)
    return scores


def last(model: Any, count: int) -> dict[str, int]:
    """The option that runs the head on the last `count` tokens only, where the model has it."""
    return {"logits_to_keep": count} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


def common_length(one: Tokens, other: Tokens) -> int:
    """How many tokens two sequences have in common at their beginning."""
    if tuple(one[: len(other)]) == tuple(other):  # the usual case, without a loop
        return len(other)
    for length, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return length
    return min(len(one), len(other))


def _precise(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _edge_scores(logits: Tensor, trie: LabelTrie) -> Tensor:
    """(edges,), from the logits (nodes, vocabulary) of one text: log-probability of each edge's token."""
    logits, parents = _precise(logits), trie.parents.to(logits.device)
    return logits[parents, trie.edge_tokens.to(logits.device)] - logits.logsumexp(dim=-1)[parents]


def _sequence_score(logits: Tensor, label: Tokens) -> float:
    """Log-likelihood of a label from logits of which the first belong to its tokens."""
    log_probabilities = _precise(logits[: len(label)]).log_softmax(dim=-1)
    tokens = torch.tensor(label, device=logits.device)[:, None]
    return log_probabilities.gather(1, tokens).double().sum().item()
