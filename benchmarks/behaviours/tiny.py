"""Tiny models and rows of transformers that every side is given alike."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    TrainingArguments,
)

VOCABULARY, LENGTH, CLASSES = 40, 8, 3


def classifier(seed: int = 0, dropout: float = 0.0) -> BertForSequenceClassification:
    """A BERT classifier of 4 blocks, width 16."""
    torch.manual_seed(seed)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=LENGTH, num_labels=CLASSES, initializer_range=0.2, hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
    )  # fmt: skip


def language_model(seed: int = 0) -> GPT2LMHeadModel:
    """A GPT-2 of 2 blocks, width 16, without dropout."""
    torch.manual_seed(seed)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=LENGTH, initializer_range=0.2,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip


def rows(count: int, seed: int = 0, *, language: bool = False) -> list[dict[str, Any]]:
    """Random tokens; the label is the first token modulo the classes, or, for language models, the tokens."""
    tokens = torch.randint(3, VOCABULARY, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    return [
        {
            "input_ids": row, "attention_mask": torch.ones_like(row),
            "labels": row.clone() if language else row[0] % CLASSES,
        }
        for row in tokens
    ]  # fmt: skip


def arguments(folder: str | Path, **settings: Any) -> TrainingArguments:
    """Plain SGD without clipping on the CPU, a constant rate, nothing printed or saved."""
    given: dict[str, Any] = {
        "per_device_train_batch_size": 16, "max_steps": 1, "optim": "sgd", "learning_rate": 0.05, "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant", "save_strategy": "no", "report_to": "none", "disable_tqdm": True,
        "use_cpu": True, "seed": 0, "logging_strategy": "no", "log_level": "error",
    }  # fmt: skip
    return TrainingArguments(output_dir=str(folder), **(given | settings))


def weights(model: torch.nn.Module) -> torch.Tensor:
    """A copy of all parameters, one after the other."""
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])
