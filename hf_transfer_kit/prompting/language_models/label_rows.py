"""Score labels with an encoder-decoder model: each prompt goes through the encoder once, the labels are decoder rows.

What the decoder needs of a prompt, the keys and values of its cross-attention, is computed once too; in a plain batch
of labels it is most of the work, since a prompt is long and a label short. The first token of all labels comes out of
one step per prompt. Labels of the same length go together, so that nothing is padded.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

TOLERANCE = 1e-3  # nats, fp32
ROWS_BYTES = 256 * 2**20  # most memory that the rows of one pass through the decoder copy and make

Tokens = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SameLength:
    """The labels with the same number of tokens: `columns` are their numbers; (labels, tokens) the other two."""

    columns: list[int]
    decoder_inputs: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoded:
    """Prompts as the decoder sees them.

    Fields:
        states: (prompts, tokens, width), of the encoder.
        mask: (prompts, tokens).
        cache: keys and values of `states`, and those of the decoder's start token; None: not kept.
        first: (prompts, vocabulary), log-probabilities after the start token; None without a cache.
    """

    states: torch.Tensor
    mask: torch.Tensor
    cache: EncoderDecoderCache | None = None
    first: torch.Tensor | None = None


class LabelRows:
    """Exact log-likelihoods of labels, equal to one pass from end to end for each prompt and label.

    Args:
        model: of AutoModelForSeq2SeqLM, in eval mode.
        labels: the tokens of each label, end token included; all different.
        probes: prompts on which keeping keys and values is tried against passes from end to end.
        pad: the padding token of prompts.

    Attributes:
        cached: whether keys and values are kept; else (FSMT, Switch Transformers) prompts are encoded one by one and
            the decoder reads the states of each for every label.
        tokens_per_prompt: what the decoder reads for one prompt; with a cache the start token once for all labels.
    """

    def __init__(self, model: Any, labels: Sequence[Tokens], probes: Sequence[Tokens], *, pad: int):
        self._model, self._pad, self._count = model, pad, len(labels)
        self._groups = self._by_length(labels)
        self.cached = self._cache_agrees(probes)
        tokens = sum(len(label) for label in labels)
        self.tokens_per_prompt = tokens - len(labels) + 1 if self.cached else tokens

    @torch.inference_mode()
    def score(self, prompts: Sequence[Tokens]) -> torch.Tensor:
        """(prompts, labels) on the CPU, fp32."""
        parts = [prompts] if self.cached else [[prompt] for prompt in prompts]
        return torch.cat([self._score(part) for part in parts])

    def _by_length(self, labels: Sequence[Tokens]) -> list[_SameLength]:
        columns = defaultdict(list)
        for column, label in enumerate(labels):
            columns[len(label)].append(column)
        groups = []
        for same in columns.values():
            targets = torch.tensor([labels[column] for column in same], device=self._model.device)
            groups.append(_SameLength(columns=same, decoder_inputs=self._shifted(targets), targets=targets))
        return groups

    def _shifted(self, targets: torch.Tensor) -> torch.Tensor:
        """What the decoder reads to predict `targets`: mostly a start token and all but their last."""
        own = getattr(self._model, "prepare_decoder_input_ids_from_labels", None)  # knows the languages of mBART
        if own is not None:
            return own(labels=targets)
        start = torch.full_like(targets[:, :1], self._model.config.decoder_start_token_id)
        return torch.cat([start, targets[:, :-1]], dim=1)

    def _score(self, prompts: Sequence[Tokens]) -> torch.Tensor:
        encoded = self._encode(prompts)
        scores = torch.zeros(len(prompts), self._count)
        for group in self._groups:
            scores[:, group.columns] = self._decode(encoded, group).cpu()
        return scores

    def _encode(self, prompts: Sequence[Tokens]) -> _Encoded:
        rows = [torch.tensor(prompt, device=self._model.device) for prompt in prompts]
        tokens = pad_sequence(rows, batch_first=True, padding_value=self._pad)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        if not self.cached:
            return _Encoded(states=self._model.get_encoder()(tokens, attention_mask=mask)[0], mask=mask)
        start = self._groups[0].decoder_inputs[:1, :1].expand(len(rows), 1)
        output = self._model(input_ids=tokens, attention_mask=mask, decoder_input_ids=start, use_cache=True)
        return _Encoded(
            states=output.encoder_last_hidden_state,
            mask=mask,
            cache=output.past_key_values,
            first=output.logits[:, 0].float().log_softmax(-1),
        )

    def _decode(self, encoded: _Encoded, group: _SameLength) -> torch.Tensor:
        """(prompts, labels): every pair is a row, as many at once as `ROWS_BYTES` hold."""
        labels = len(group.columns)
        pairs = torch.arange(len(encoded.states) * labels, device=self._model.device)
        parts = [
            self._rows(encoded, group, rows // labels, rows % labels)
            for rows in pairs.split(self._rows_at_once(encoded, group))
        ]
        scores = torch.cat(parts).view(-1, labels)
        return scores if encoded.first is None else scores + encoded.first[:, group.targets[:, 0]]

    def _rows(
        self, encoded: _Encoded, group: _SameLength, prompts: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """(rows,): log-probability of the tokens of label `labels[i]` that are not scored yet, after a prompt."""
        done = 0 if encoded.first is None else 1
        targets = group.targets[labels, done:]
        if not targets.shape[1]:
            return torch.zeros(len(labels), device=targets.device)
        logits = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded.states[prompts]),
            attention_mask=encoded.mask[prompts],
            decoder_input_ids=group.decoder_inputs[labels, done:],
            past_key_values=None if encoded.cache is None else _rows_of(encoded.cache, prompts),
            use_cache=encoded.cache is not None,
        ).logits
        return -cross_entropy(logits.float().transpose(1, 2), targets, reduction="none").sum(1)

    def _rows_at_once(self, encoded: _Encoded, group: _SameLength) -> int:
        """How many rows `ROWS_BYTES` hold: states, keys and values, and the logits of the vocabulary twice."""
        row = encoded.states[0].nbytes
        if encoded.cache is not None:
            row += sum(
                layer.keys[0].nbytes + layer.values[0].nbytes for part in _parts(encoded.cache) for layer in part
            )
        vocabulary = self._model.config.get_text_config(decoder=True).vocab_size
        return max(1, int(ROWS_BYTES // (row + 2 * 4 * vocabulary * group.targets.shape[1])))

    @torch.inference_mode()
    def _cache_agrees(self, probes: Sequence[Tokens]) -> bool:
        """Whether a padded batch with a cache says of a label of each length what passes from end to end do."""
        starts = {start for group in self._groups for start in group.decoder_inputs[:, 0].tolist()}
        if len(starts) > 1:
            return False
        self.cached = True
        try:
            scores = self.score(probes)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            return False  # a cache of another kind, or none
        whole = torch.tensor([[self._whole(probe, group) for group in self._groups] for probe in probes])
        columns = [group.columns[0] for group in self._groups]
        return bool((scores[:, columns] - whole).abs().max() <= TOLERANCE)

    def _whole(self, prompt: Tokens, group: _SameLength) -> float:
        """The score of the group's first label by one pass of the whole model."""
        tokens = torch.tensor([prompt], device=self._model.device)
        logits = self._model(input_ids=tokens, decoder_input_ids=group.decoder_inputs[:1], use_cache=False).logits
        return -cross_entropy(logits.float().transpose(1, 2), group.targets[:1], reduction="sum").item()


def _parts(cache: EncoderDecoderCache) -> list[list[Any]]:
    """The layers of the decoder's attention to itself, and of that to the encoder."""
    return [cache.self_attention_cache.layers, cache.cross_attention_cache.layers]


def _rows_of(cache: EncoderDecoderCache, prompts: torch.Tensor) -> EncoderDecoderCache:
    """A cache of which row i is that of `prompts[i]`; `cache` stays as it is."""
    copies = [DynamicCache((layer.keys[prompts], layer.values[prompts]) for layer in part) for part in _parts(cache)]
    return EncoderDecoderCache(*copies)
