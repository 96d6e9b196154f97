"""The body of one model under the head of another: how a classifier's body does what its pre-training taught."""

import copy
from typing import Any

import torch

from hf_transfer_kit.callbacks.anchoring.reference import body_names
from hf_transfer_kit.errors import ModelError


def with_body_of(form: Any, model: Any) -> Any:
    """A copy of `form`, in eval mode, whose pre-trained body has the weights of that of `model`.

    What `form` has beside its body stays, and a weight that its head shares with the body stays shared. Adapters of
    `model` are merged into a copy; neither model changes.

    Args:
        form, model: models of transformers of one checkpoint, with heads of any kind or without; `model` maybe with
            adapters of peft.

    Raises:
        ModelError: `model` lacks a weight of the body, but for its pooler, which many heads go without.

    Example:
        >>> from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
        >>> language, classifier = BertForMaskedLM(config), BertForSequenceClassification(config)
        >>> mixed, old = with_body_of(language, classifier), classifier.bert.embeddings.word_embeddings.weight
        >>> bool((mixed.bert.embeddings.word_embeddings.weight == old).all())
        True
    """
    if hasattr(model, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload()
    given, mixed = dict(model.named_parameters()), copy.deepcopy(form).eval()
    sources, wanted = body_names(model, given), dict(mixed.named_parameters())
    with torch.no_grad():
        for key, name in body_names(mixed, wanted).items():
            source = given[sources[key]] if key in sources else None
            if source is not None and source.shape == wanted[name].shape:
                wanted[name].copy_(source)
            elif "pooler" not in name:
                raise ModelError(
                    f"{type(model).__name__} has no weight like {name} of {type(form).__name__}, so their bodies "
                    "differ; take both from one checkpoint."
                )
    return mixed.to(next(iter(given.values())).device)
