"""What the kit needs to know of a task: everything that depends on the kind of input stands in one file per task.

A task turns a column of a data set into model inputs, a model's hidden states into feature vectors, and a person's
words or files into inputs. Nothing outside this folder asks which task it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hf_transfer_kit.plan import ModelSpec

if TYPE_CHECKING:
    import datasets
    import torch
    from torch import nn
    from transformers import PreTrainedModel

    from hf_transfer_kit.duplicates import Pair

Row = Mapping[str, Any]  # what the processor makes of one input: tensors without a batch dimension


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What the shallow control learned from the training part: terms and their weights; empty for pictures.

    Fields:
        terms: in the order of the feature matrix's columns.
        weights: of each term; for text the inverse document frequency.
    """

    terms: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()


class Task(ABC):
    """One kind of task. Stateless; one instance per task in `hf_transfer_kit.tasks.TASKS`.

    Class attributes:
        name: as in a plan, "text-classification".
        input_noun: one input in plain words, "text" or "image".
        shallow_name: what the shallow control reads, "TF-IDF" or "raw pixels".
        learning_rate, scratch_learning_rate: default rates of a pre-trained body and of a random start.
        usual_input_columns: names that people give to the input column, the usual first, in lower case.
        pads: whether inputs differ in length, so that batches are padded.
        inference_batch: inputs in a batch where nothing trains; every layer's output of a batch is in memory at once.
    """

    name: ClassVar[str]
    input_noun: ClassVar[str]
    shallow_name: ClassVar[str]
    learning_rate: ClassVar[float]
    scratch_learning_rate: ClassVar[float]
    usual_input_columns: ClassVar[tuple[str, ...]]
    pads: ClassVar[bool]
    inference_batch: ClassVar[int]

    # --- the data ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def input_columns(self, features: "datasets.Features") -> list[str]:
        """Names of the columns that can be this task's input, the likeliest first; empty if there is none."""

    @abstractmethod
    def problem(self, value: Any) -> str | None:
        """Why `value` cannot be used ("is empty", "cannot be read as an image: ..."), or None if it can."""

    @abstractmethod
    def key(self, value: Any) -> Hashable:
        """Equal for inputs that are exact copies of each other (after normalising)."""

    @abstractmethod
    def digest(self, value: Any) -> bytes:
        """The input's content as bytes, for the hash of a data set; unlike `key`, any change shows."""

    @abstractmethod
    def near_duplicates(self, queries: Sequence[Any], corpus: Sequence[Any] | None = None) -> "list[Pair]":
        """Pairs of near copies; without `corpus`, pairs i < j inside `queries`."""

    @abstractmethod
    def show(self, value: Any) -> str:
        """The input in at most 80 characters, for messages and reports; "" where there is nothing to show."""

    @abstractmethod
    def read_inputs(self, arguments: Sequence[str]) -> list[Any]:
        """Inputs from command-line arguments: a text itself, text files (a line each), images, folders of images."""

    @abstractmethod
    def shallow_features(self, inputs: Sequence[Any], vocabulary: Vocabulary | None) -> tuple[Any, Vocabulary]:
        """Features without a model for the shallow control: (matrix (rows, features), vocabulary).

        `vocabulary` None: learn it from `inputs` (the training part); else use it.
        """

    def usual_first(self, columns: Sequence[str]) -> list[str]:
        """`columns` with those in `usual_input_columns` first, in that order; capitals do not matter."""
        rank = {name: i for i, name in enumerate(self.usual_input_columns)}
        return sorted(columns, key=lambda name: rank.get(name.lower(), len(rank)))

    # --- the model --------------------------------------------------------------------------------------------------

    @abstractmethod
    def check_model(self, model: ModelSpec) -> None:
        """Raises ModelError where `model` is not made for this task, or lacks its processor; loads no weights."""

    @abstractmethod
    def load_processor(self, model: ModelSpec) -> Any:
        """The tokenizer or image processor of `model`."""

    @abstractmethod
    def load_backbone(self, model: ModelSpec) -> "PreTrainedModel":
        """The model without a task head, in eval mode, fp32."""

    @abstractmethod
    def load_classifier(
        self, model: ModelSpec, label_names: Sequence[str], processor: Any, *, pretrained: bool = True
    ) -> "tuple[PreTrainedModel, list[str]]":
        """(model with a new head, names of the newly initialised parameters); `pretrained=False`: a random start."""

    @abstractmethod
    def encode(self, processor: Any, inputs: Sequence[Any], max_length: int) -> list[Row]:
        """One row of model inputs per input, not padded."""

    @abstractmethod
    def length(self, row: Row) -> int:
        """Size of one row along the padded dimension, for batches of like length; 1 where nothing is padded."""

    @abstractmethod
    def collate(self, processor: Any, rows: Sequence[Row]) -> "dict[str, torch.Tensor]":
        """One batch of rows, padded."""

    @abstractmethod
    def pool(self, hidden: "torch.Tensor", batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        """One vector per example, (batch, width), of hidden states (batch, tokens, width) or (batch, width, h, w)."""

    def logits(self, model: "nn.Module", batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        """(batch, classes) of a classifier of this task."""
        logits: torch.Tensor = model(**batch).logits
        return logits
