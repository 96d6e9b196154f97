"""Tiny causal language models with random weights, and tokenizers that are trained on the spot."""

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CORPUS = (
    "my card is lost", "Text: the card payment has failed\nLabel: card payment", "Which label fits the text best?",
    "I want to travel abroad with the card", "Each text has one of these labels: card, card payment, lost card.",
) * 8  # fmt: skip
SPECIAL = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
CHAT = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>\n{{ m.content }}</s>\n{% else %}"
    "<|user|>\n{{ m.content | trim }}</s>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def byte_level(**settings) -> PreTrainedTokenizerFast:
    """A byte-level BPE as of GPT-2, without a start token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _wrapped(tokenizer, **settings)


def sentence_piece(**settings) -> PreTrainedTokenizerFast:
    """A unigram model as of SentencePiece: a start token, a space before the first word, no line breaks."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Replace("\n", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=90, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False, initial_alphabet=list("abcdefg")
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return _wrapped(tokenizer, **settings)


def across_words(**settings) -> PreTrainedTokenizerFast:
    """A BPE whose tokens reach over spaces, so that a label may melt into the text before it."""
    tokenizer = Tokenizer(models.BPE())
    alphabet = sorted({letter for text in CORPUS for letter in text} | set("0123456789()ZéT"))
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(["Label: card"] * 20 + list(CORPUS), trainer)
    return _wrapped(tokenizer, **settings)


def _wrapped(tokenizer: Tokenizer, *, chat: str | None = None, side: str = "right", longest: int = 10**30):
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", padding_side=side,
        model_max_length=longest, additional_special_tokens=SPECIAL[3:],
    )  # fmt: skip
    wrapped.chat_template = chat
    return wrapped


def save_language_model(folder, tokenizer, *, kind: str = "llama", reads: int = 512):
    """Writes a model of 2 layers, width 32, that reads `reads` tokens, with `tokenizer`; returns the folder."""
    common = {"vocab_size": len(tokenizer), "initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "gpt2":
            model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=reads, **common))
        else:
            size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
            model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=reads, **size, **common))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
