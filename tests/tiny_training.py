"""A tiny classifier, tiny data and a Trainer around them, for tests of callbacks."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

PACKAGE = Path(__file__).parents[1]
VOCABULARY, LENGTH, CLASSES = 40, 8, 3


def make_model(seed: int = 0, dropout: float = 0.0, layers: int = 2, classes: int = CLASSES):
    """A BERT classifier of `layers` blocks, width 16; the same for the same seed."""
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=LENGTH, num_labels=classes, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
    model.accepts_loss_kwargs = False  # else the Trainer multiplies gradients by processes x accumulation (5.23)
    return model


def make_data(rows: int = 32, seed: int = 0, classes: int = CLASSES, length: int = LENGTH):
    """Random token rows of varying length, padded; the label is the first token modulo `classes`."""
    generator = torch.Generator().manual_seed(seed)
    data = []
    for _ in range(rows):
        used = int(torch.randint(3, length + 1, (1,), generator=generator))
        tokens = torch.randint(1, VOCABULARY, (length,), generator=generator)
        mask = (torch.arange(length) < used).long()
        label = int(tokens[0]) % classes
        data.append({"input_ids": tokens * mask, "attention_mask": mask, "labels": label})
    return data


def make_args(folder: Path, **settings) -> TrainingArguments:
    """Arguments for a short run on the CPU that writes and prints nothing it is not asked for."""
    defaults = {
        "per_device_train_batch_size": 8, "num_train_epochs": 3, "learning_rate": 1e-2, "save_strategy": "no",
        "report_to": "none", "disable_tqdm": True, "use_cpu": True, "seed": 0, "logging_strategy": "no",
        "log_level": "error",
    }  # fmt: skip
    if not hasattr(TrainingArguments, "activation_checkpointing"):  # transformers < 5.23
        settings = {name.replace("activation_check", "gradient_check"): value for name, value in settings.items()}
    return TrainingArguments(output_dir=str(folder), **(defaults | settings))


def train(
    folder: Path,
    callbacks=(),
    *,
    model=None,
    data=None,
    evaluation=None,
    resume=None,
    trainer_class=Trainer,
    **settings,
):
    """A finished Trainer: a model of `make_model` on rows of `make_data`, with `callbacks`."""
    trainer = trainer_class(
        model=model if model is not None else make_model(), args=make_args(folder, **settings),
        train_dataset=data if data is not None else make_data(), eval_dataset=evaluation, callbacks=list(callbacks),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def weights(model) -> dict[str, torch.Tensor]:
    """A copy of all weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_same_bits(first, second) -> None:
    """Fails with the name of the first tensor that differs in any bit."""
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), f"{name} differs by {(tensor - second[name]).abs().max()}"


def torchrun(*arguments: str, processes: int = 2, timeout: float = 180) -> subprocess.CompletedProcess:
    """The finished command `torchrun --nproc_per_node PROCESSES ARGUMENTS`, on the CPU with gloo."""
    environment = os.environ | {"PYTHONPATH": f"{PACKAGE}:{PACKAGE / 'tests'}", "OMP_NUM_THREADS": "1"}
    count = str(processes)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", count, "--standalone", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


def leave() -> None:
    """Ends a process that torchrun started, together with the others, without Python's own clean-up.

    There gloo aborts now and then ("terminate called without an active exception", torch 2.13), with or without
    callbacks, after all is done.
    """
    if not torch.distributed.is_initialized():
        return  # alone
    torch.distributed.barrier()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
