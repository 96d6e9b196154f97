"""Whether the head in training can express the labels of the old task, asked before the first step.

An old task has labels of its own. A head without them fails far from the cause: on a CPU with an index that is out of
bounds, on a GPU with a device-side assertion.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from hf_transfer_kit.errors import DataError

IGNORED = -100  # the label that losses of transformers skip


def check_old_labels(
    model: nn.Module, examples: Sequence[Mapping[str, Any]], callback: str, way_out: str = ""
) -> None:  # fmt: skip
    """Raises DataError where `examples` hold a label or a token that `model` has no output or embedding for.

    Labels of classifiers are held against `config.num_labels`, those of language models against their output layer,
    token ids against the input embeddings. What has no labels, or real numbers for labels, is not judged.

    Args:
        examples: rows of the old data, before collation.
        callback: who asks, for the message.
        way_out: what else than a larger head would help, for the message.
    """
    classes, vocabulary = _classes(model), _vocabulary(model)
    also = f", or {way_out}" if way_out else ""
    for example in examples:
        largest = max(_integers(example, ("labels", "label", "label_ids")), default=IGNORED)
        if classes is not None and largest >= classes:
            raise DataError(
                f"{callback}: the old data holds label {largest}, which the head of {type(model).__name__} cannot "
                f"express: it has {classes} classes, 0 to {classes - 1}; give the model one head over old and new "
                f"labels (num_labels of {largest + 1} or more){also}."
            )
        token = max(_integers(example, ("input_ids",)), default=0)
        if vocabulary is not None and token >= vocabulary:
            raise DataError(
                f"{callback}: the old data holds token {token}, but {type(model).__name__} has {vocabulary} "
                "embeddings; tokenise the old data with this model's own tokenizer."
            )


def _classes(model: Any) -> int | None:
    """How many labels the output layer tells apart; None where that cannot be said."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # inside a PEFT model
    output = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    if output is not None:
        return int(output.weight.shape[0])
    # Every configuration has num_labels, 2 where nobody set it: it says something in classifiers only.
    is_classifier = type(base).__name__.endswith("Classification")
    return int(base.config.num_labels) if is_classifier and base.config.num_labels > 1 else None


def _vocabulary(model: Any) -> int | None:
    try:
        return getattr(model.get_input_embeddings(), "num_embeddings", None)
    except (AttributeError, NotImplementedError):  # not of transformers, or of images
        return None


def _integers(example: Mapping[str, Any], columns: Sequence[str]) -> Iterator[int]:
    """The largest whole number in each of `columns` that the example has; none of columns of real numbers."""
    for column in columns:
        values = np.asarray(example[column]) if example.get(column) is not None else np.empty(0)
        if values.size and values.dtype.kind in "iu":
            yield int(values.max())
