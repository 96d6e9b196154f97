"""The upper blocks of a BERT as a model of its own, fed with what the frozen blocks below give.

What the lower blocks give does not change while they are frozen, so it is computed once for all trainings. The upper
part is an ordinary BertForSequenceClassification, whose embeddings pass `inputs_embeds` through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, set_seed

from benchmarks.forgetting.clinc_domains import Part
from hf_transfer_kit.models import load_classifier, load_tokenizer
from hf_transfer_kit.plan import ModelSpec

Row = dict[str, Any]  # what a collator takes: inputs_embeds (tokens, width), labels
MAX_LENGTH = 16  # tokens
BATCH = 64  # texts in one pass through the lower blocks


class PassThrough(nn.Module):
    """Stands where the embeddings were."""

    def forward(self, inputs_embeds: torch.Tensor, **_: Any) -> torch.Tensor:
        return inputs_embeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A classifier cut in two.

    Fields:
        lower: embeddings and frozen blocks, in eval mode; gives (rows, tokens, width).
        upper: what trains, with a new head.
        tokenizer: of the model.
    """

    lower: nn.Module
    upper: Any
    tokenizer: Any

    @torch.no_grad()
    def rows(self, part: Part) -> list[Row]:
        """The rows of `part` in their order, through the lower blocks."""
        found = []
        for first in range(0, len(part.texts), BATCH):
            texts = list(part.texts[first : first + BATCH])
            batch = self.tokenizer(texts, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt")
            hidden = self.lower(**batch).last_hidden_state
            for row, mask in zip(hidden, batch["attention_mask"], strict=True):
                found.append(row[: int(mask.sum())].clone())
        return [{"inputs_embeds": hidden, "labels": label} for hidden, label in zip(found, part.labels, strict=True)]


def split_classifier(name: str, intents: Sequence[str], *, blocks: int, seed: int) -> Split:
    """The model `name` with a new head over `intents`, cut below its top `blocks` blocks.

    Args:
        seed: of the head's start.

    Raises:
        ModelError: the model cannot be loaded.
    """
    spec = ModelSpec(name=name)
    set_seed(seed)
    upper, _ = load_classifier(AutoModelForSequenceClassification, spec, intents, pretrained=True)
    whole, _ = load_classifier(AutoModelForSequenceClassification, spec, intents, pretrained=True)
    layers = upper.bert.encoder.layer
    lower = whole.bert.eval()
    lower.encoder.layer, lower.pooler = lower.encoder.layer[: len(layers) - blocks], None
    upper.bert.encoder.layer, upper.bert.embeddings = layers[len(layers) - blocks :], PassThrough()
    upper.accepts_loss_kwargs = False  # else the loss grows with accumulation (transformers 5.23)
    return Split(lower=lower, upper=upper, tokenizer=load_tokenizer(spec))


def pad(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """One batch: inputs_embeds (rows, tokens, width) with zeros behind, attention_mask, labels."""
    hidden = [row["inputs_embeds"] for row in rows]
    masks = [torch.ones(len(each), dtype=torch.long) for each in hidden]
    return {
        "inputs_embeds": nn.utils.rnn.pad_sequence(hidden, batch_first=True),
        "attention_mask": nn.utils.rnn.pad_sequence(masks, batch_first=True),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }
