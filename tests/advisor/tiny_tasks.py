"""A tiny task of each modality, the task before it, and two tiny models: one that learns, one that can be asked.

Of 24 examples 15 are trained on: one batch of the usual 16, so that the order of the rows plays no part.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from conftest import save_tiny_tokenizer, tiny_reviews
from PIL import Image
from tiny_language_models import byte_level, save_language_model
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

EXAMPLES, TESTED = 24, 5
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
WORDS = {"vocab_size": 32, "max_position_embeddings": 64}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
PIXELS = {"image_size": 16, "patch_size": 8}


@dataclass(frozen=True, kw_only=True)
class TinyTask:
    """Where a task lies: data (a file or a folder), old data, a body to train, a model that takes prompts."""

    data: Path
    old_data: Path
    learner: Path
    asked: Path


def tiny_tasks(root: Path) -> dict[str, TinyTask]:
    """The tasks by modality, written under `root`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {"text": _of_texts(root / "text"), "image": _of_images(root / "image")}


def _of_texts(root: Path) -> TinyTask:
    root.mkdir()
    body = BertModel(BertConfig(**SIZES, **WORDS, **NO_DROPOUT, initializer_range=0.2))
    body.save_pretrained(root / "learner")
    save_tiny_tokenizer(root / "learner")
    return TinyTask(
        data=_write_texts(root / "new.csv", {"neg": "boring", "pos": "lovely"}, seed=0),
        old_data=_write_texts(root / "old.csv", {"neg": "bad", "pos": "good"}, seed=1),
        learner=root / "learner", asked=save_language_model(root / "asked", byte_level(), reads=2048),
    )  # fmt: skip


def _of_images(root: Path) -> TinyTask:
    ViTModel(ViTConfig(**SIZES, **PIXELS, initializer_range=0.2), add_pooling_layer=False).save_pretrained(
        root / "learner"
    )
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(root / "learner")
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    CLIPModel(CLIPConfig(text_config=SIZES | WORDS | special, vision_config=SIZES | PIXELS)).save_pretrained(
        root / "asked"
    )
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(
        root / "asked"
    )
    save_tiny_tokenizer(root / "asked")
    return TinyTask(
        data=_write_images(root / "new", ("blue", "red"), seed=0),
        old_data=_write_images(root / "old", ("sea", "fire"), seed=1),
        learner=root / "learner", asked=root / "asked",
    )  # fmt: skip


def _write_texts(path: Path, names: dict[str, str], seed: int) -> Path:
    rows = [(text, names[label]) for text, label in tiny_reviews(EXAMPLES, seed)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def _write_images(folder: Path, names: tuple[str, str], seed: int) -> Path:
    draw = np.random.default_rng(seed)
    for number in range(EXAMPLES):
        pixels = draw.integers(0, 200, (16, 16, 3))
        pixels[:, :, (2, 0)[number % 2]] += 40
        file = folder / names[number % 2] / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    return folder
