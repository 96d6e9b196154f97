"""Tiny models and tiny data for every test. No test asks the Hub or leaves anything behind.

The models have random weights and are built from configurations, so that a pass takes milliseconds. The data can be
learned from by counting words or by looking at the colour, so that a test can ask for more than "it runs".
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads cost tiny models more than they save

import csv
import gc
import random
from pathlib import Path

import pytest

GOOD = ("good", "great", "fine", "lovely", "happy", "nice")
BAD = ("bad", "awful", "poor", "ugly", "sad", "boring")
NEUTRAL = ("the", "film", "was", "and", "a", "very", "story", "acting", "with", "plot", "of", "music")


def pytest_collection_finish() -> None:
    """Takes what the imports made out of the garbage collector, which the Trainer calls twice in every training."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty feature cache for every test."""
    monkeypatch.setenv("HF_TRANSFER_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def save_tiny_tokenizer(folder: Path, words: tuple[str, ...] = GOOD + BAD + NEUTRAL) -> None:
    """Writes a word tokenizer whose vocabulary is `words`, as save_pretrained does."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    numbers = {word: i for i, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a BERT of 3 layers, width 32, with a tokenizer that knows the words of `text_csv`."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    config = BertConfig(
        vocab_size=5 + len(GOOD + BAD + NEUTRAL), hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    save_tiny_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a ViT of 3 layers, width 32, for images of 16 x 16 pixels, with its image processor."""
    import torch
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    folder = tmp_path_factory.mktemp("models") / "tiny-vit"
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, image_size=16, patch_size=8,
        initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def tiny_reviews(rows: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, label) pairs, all different, half of them "pos"; a text has one word of its side and 2 to 12 others."""
    draw, reviews = random.Random(seed), {}
    while len(reviews) < rows:
        label = ("neg", "pos")[len(reviews) % 2]
        words = [draw.choice(NEUTRAL) for _ in range(draw.randint(2, 12))]
        words.insert(draw.randint(0, len(words)), draw.choice(GOOD if label == "pos" else BAD))
        reviews[" ".join(words)] = label
    return list(reviews.items())


@pytest.fixture(scope="session")
def text_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of 120 reviews, columns text and label ("neg", "pos")."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *tiny_reviews(120)])
    return path


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 60 PNG images of 16 x 16 pixels in the classes blue and red: noise with a tint."""
    import numpy as np
    from PIL import Image

    folder, random_numbers = tmp_path_factory.mktemp("data") / "pictures", np.random.default_rng(0)
    for i in range(60):
        name = ("blue", "red")[i % 2]
        pixels = random_numbers.integers(0, 200, (16, 16, 3))
        pixels[:, :, 0 if name == "red" else 2] += 40
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder
