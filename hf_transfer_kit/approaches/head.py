"""The output layer of a classifier: the parameters with one row per label, and how those rows follow their labels."""

import copy
from collections.abc import Sequence
from typing import Any

import torch

from hf_transfer_kit.models import load_config
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import Task


def output_parameters(model: Any) -> list[str]:
    """Names of the parameters of a classifier of transformers that have one row per label.

    They are those whose shape changes with the number of labels, seen on a copy without memory of its own.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
        >>> output_parameters(BertForSequenceClassification(config))
        ['classifier.weight', 'classifier.bias']
    """
    config = copy.deepcopy(model.config)
    config.num_labels += 1
    with torch.device("meta"):
        wider = type(model)(config)
    return [name for name, p in wider.named_parameters() if p.shape != model.get_parameter(name).shape]


def own_labels(model: ModelSpec) -> tuple[str, ...]:
    """The labels that a checkpoint of a classifier answers with, by number; empty for any other checkpoint."""
    config = load_config(model)
    kinds = ("ForSequenceClassification", "ForImageClassification")
    if not any(name.endswith(kinds) for name in config.architectures or ()):
        return ()
    return tuple(str(config.id2label[number]) for number in range(config.num_labels))


def load_with_labels(task: Task, model: ModelSpec, label_names: Sequence[str], processor: Any) -> Any:
    """The classifier `model` with a row for each of `label_names`: its own where it knows the label, else random."""
    known = own_labels(model)
    own, _ = task.load_classifier(model, known, processor)
    wide, _ = task.load_classifier(model, label_names, processor, pretrained=False)
    weights, fresh = own.state_dict(), wide.state_dict()
    for name in output_parameters(own):
        rows = fresh[name].clone()
        for number, label in enumerate(label_names):
            if label in known:
                rows[number] = weights[name][known.index(label)]
        weights[name] = rows
    wide.load_state_dict(weights)
    return wide.eval()
