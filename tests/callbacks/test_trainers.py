"""The callbacks in the Trainers people have: the same line works in each, and does something."""

import warnings

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, TaskType, get_peft_model
from tiny_training import VOCABULARY, make_args, make_data, make_model, train
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
)

from hf_transfer_kit import EWC, GradualUnfreezing, PlanError, Replay

WORDS = [f"w{i}" for i in range(30)]
OLD = make_data(24, seed=5)


class Sizes(Replay):
    """Replay that counts what reaches the model."""

    def on_train_begin(self, args, state, control, model, **kwargs):
        super().on_train_begin(args, state, control, model=model, **kwargs)
        self.sizes = []
        self.handle = model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, module, args, kwargs):
        if module.training:
            batch = {**kwargs, **(args[0] if args and isinstance(args[0], dict) else {})}
            self.sizes.append(len(next(value for value in batch.values() if isinstance(value, torch.Tensor))))


def protections(old, epochs_per_block=0.5):
    return [GradualUnfreezing(epochs_per_block), EWC(old, strength=100.0), Sizes(old, ratio=0.5)]


def assert_at_work(trainer, batch_size):
    """The pull was logged, blocks opened one after another, and half of each batch came from the old data."""
    history = trainer.state.log_history
    penalties = [entry["ewc_penalty"] for entry in history if "ewc_penalty" in entry]
    opened = [entry["open_blocks"] for entry in history if "open_blocks" in entry]
    replay = next(each for each in trainer.callback_handler.callbacks if isinstance(each, Replay))
    losses = [entry["loss"] for entry in history if "loss" in entry]

    assert penalties and penalties[-1] > 0 and all(map(torch.isfinite, map(torch.tensor, penalties)))
    assert opened[0] < opened[-1]
    assert set(replay.sizes) == {2 * batch_size}
    assert len(losses) == trainer.state.max_steps and all(map(torch.isfinite, map(torch.tensor, losses)))


LOGGED = {"logging_strategy": "steps", "logging_steps": 1, "max_steps": 8}


def own_loss(outputs, labels, num_items_in_batch=None):
    return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"label_smoothing_factor": 0.1},
        {"bf16": True},
        {"torch_compile": True, "torch_compile_backend": "aot_eager"},
        {"gradient_checkpointing": True},
        {"optim": "adafactor"},
        {"optim": "sgd"},
        {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4},
        {"max_grad_norm": 0.0, "lr_scheduler_type": "cosine", "warmup_steps": 2},
        {"dataloader_drop_last": True, "train_sampling_strategy": "group_by_length"},
    ],
    ids=lambda settings: ",".join(settings) or "plain",
)
def test_in_a_plain_trainer_with(settings, tmp_path):
    trainer = train(tmp_path, protections(OLD), **(LOGGED | settings))

    assert_at_work(trainer, trainer.args.per_device_train_batch_size)


def test_with_a_loss_of_the_users_own(tmp_path):
    class OwnLoss(Trainer):
        def __init__(self, **settings):
            super().__init__(compute_loss_func=own_loss, **settings)

    assert_at_work(train(tmp_path, protections(OLD), trainer_class=OwnLoss, **LOGGED), batch_size=8)


def test_with_an_optimizer_like_lion_that_keeps_no_second_moments(tmp_path):
    class SignDescent(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {"lr": 1e-3})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.sub_(parameter.grad.sign() * group["lr"])

    class WithSign(Trainer):
        def __init__(self, model, **settings):
            super().__init__(model=model, optimizers=(SignDescent(model.parameters()), None), **settings)

    assert_at_work(train(tmp_path, protections(OLD), trainer_class=WithSign, **LOGGED), batch_size=8)


def test_with_adapters_of_peft(tmp_path):
    model = get_peft_model(
        make_model(), LoraConfig(task_type=TaskType.SEQ_CLS, r=2, target_modules=["query", "value", "dense"])
    )
    model.base_model.model.accepts_loss_kwargs = False
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    trainer = train(tmp_path, protections(OLD), model=model, **LOGGED)

    assert_at_work(trainer, batch_size=8)
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trainable


def test_in_a_seq2seq_trainer(tmp_path):
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0
        )
    )
    data = [{**row, "labels": row["input_ids"].clone()} for row in make_data(16)]
    args = Seq2SeqTrainingArguments(**{**make_args(tmp_path, **LOGGED).to_dict(), "output_dir": str(tmp_path)})
    old = [{**row, "labels": row["input_ids"].clone()} for row in OLD]
    trainer = Seq2SeqTrainer(model=model, args=args, train_dataset=data, callbacks=protections(old))
    with pytest.warns(UserWarning, match="output layer of T5ForConditionalGeneration is tied to 'shared.weight'"):
        trainer.train()

    assert_at_work(trainer, batch_size=8)


def word_tokenizer():
    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[EOS]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]", "cls_token": "[CLS]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, sep_token="[SEP]", **special)


def sentences(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(0, len(WORDS), (rows, 6), generator=generator).tolist()
    return [" ".join(WORDS[i] for i in draw) for draw in draws]


@pytest.mark.parametrize("packing", [False, True], ids=["padded", "packed"])
def test_in_the_sft_trainer_of_trl(packing, tmp_path):
    pytest.importorskip("trl", reason="trl is not installed")
    from trl import SFTConfig, SFTTrainer

    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=35, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=64,
        )
    )  # fmt: skip
    config = SFTConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=8, logging_steps=1, use_cpu=True,
        bf16=False, report_to="none", save_strategy="no", max_length=16, packing=packing, packing_strategy="wrapped",
        gradient_checkpointing=False, learning_rate=1e-3,
    )  # fmt: skip
    tokenizer = word_tokenizer()
    old = [dict(tokenizer(text)) | {"labels": tokenizer(text)["input_ids"]} for text in sentences(24, seed=1)]
    callbacks = protections(Dataset.from_list(old), epochs_per_block=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trl and transformers warn about each other
        trainer = SFTTrainer(
            model=model, args=config, train_dataset=Dataset.from_dict({"text": sentences(64, seed=0)}),
            processing_class=tokenizer, callbacks=callbacks,
        )  # fmt: skip
        trainer.train()

    assert_at_work(trainer, batch_size=4)


@pytest.mark.parametrize("importance", ["fisher", "mas"])
def test_in_the_sentence_transformers_trainer(importance, tmp_path):
    trainer, seen = sentence_trainer(tmp_path, importance, start_blocks=2)
    trainer.train()
    history = trainer.state.log_history

    assert set(seen[-8:]) == {8}
    assert [entry["ewc_penalty"] for entry in history if "ewc_penalty" in entry][-1] > 0
    opened = [entry["open_blocks"] for entry in history if "open_blocks" in entry]
    assert opened[0] < opened[-1]


def test_a_sentence_encoder_has_no_head_to_begin_with(tmp_path):
    with pytest.raises(PlanError, match=r"SentenceTransformer has no head.*use start_blocks=2"):
        sentence_trainer(tmp_path, "mas", start_blocks=1)[0].train()


def sentence_trainer(tmp_path, importance, start_blocks):
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from sentence_transformers.training_args import SentenceTransformerTrainingArguments

    folder = tmp_path / "bert"
    BertModel(
        BertConfig(vocab_size=35, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    ).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    body = Transformer(str(folder))
    model = SentenceTransformer(modules=[body, Pooling(16)], device="cpu")
    pairs = [
        Dataset.from_dict({"a": sentences(24, seed), "b": sentences(24, seed + 1), "score": [0.1, 0.9] * 12})
        for seed in (0, 2)
    ]
    args = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, max_steps=8, logging_steps=1, use_cpu=True,
        report_to="none", save_strategy="no", learning_rate=1e-3,
    )  # fmt: skip
    replay = Replay(pairs[1], ratio=0.5)
    unfreezing = GradualUnfreezing(epochs_per_block=0.3, start_blocks=start_blocks)
    trainer = SentenceTransformerTrainer(
        model=model, args=args, train_dataset=pairs[0], loss=losses.CosineSimilarityLoss(model),
        callbacks=[unfreezing, EWC(pairs[1], strength=100.0, importance=importance), replay],
    )  # fmt: skip
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0]["input_ids"])))
    return trainer, seen
