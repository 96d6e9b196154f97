"""A tiny text encoder on disk and labelled texts, for the sides that load models by name."""

from pathlib import Path
from typing import Any


def tiny_encoder(folder: Path) -> Path:
    """A tiny BERT with a tokenizer of whole words, saved as of transformers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"{kind}{number}" for kind in "abc" for number in range(10))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)  # fmt: skip
    config = BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=32, pad_token_id=0)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def labelled_texts() -> Any:
    """60 texts of three classes, as a Dataset."""
    import random

    from datasets import Dataset

    pick = random.Random(0)
    kinds = [number % 3 for number in range(60)]
    texts = [" ".join(f"{'abc'[kind]}{pick.randrange(10)}" for _ in range(6)) for kind in kinds]
    return Dataset.from_dict({"text": texts, "label": kinds}).shuffle(seed=0)
