"""The one interface of everything that answers with a prompt."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hf_transfer_kit.prompting.scores import Scores

if TYPE_CHECKING:
    from hf_transfer_kit.prompting.prompts import Prompt

Progress = Callable[[int, int], None]  # (inputs done, inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A labelled example in a prompt; `label` is a label's name."""

    input: Any
    label: str


@runtime_checkable
class Retriever(Protocol):
    """Demonstrations that depend on the input."""

    def demonstrations_for(self, inputs: Sequence[Any]) -> list[tuple[Demonstration, ...]]:
        """Of each input, the demonstrations to show, in the order of the prompt; never the input itself."""


Demonstrations = Sequence[Demonstration] | Retriever


class PromptClassifier(ABC):
    """Scores every label for every input. Trains no weights; results do not depend on batch size or order.

    Attributes:
        prompt: how it asks; another one may be set before the next `fit`, which keeps the loaded weights.
    """

    prompt: "Prompt"

    @abstractmethod
    def fit(self, labels: Sequence[str], demonstrations: Demonstrations | None = None) -> None:
        """Takes the labels and, for few shots, examples of them; prepares what is the same for all inputs.

        Args:
            labels: names, in the order of the scores' columns.

        Raises:
            PromptError: the prompt does not fit: too many demonstrations (the message says how many fit), a label
                without words, a template that cannot be rendered.
            ModelError: the model cannot be loaded, or is not of this kind.
        """

    @abstractmethod
    def score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        """The scores of `inputs`; after `fit`."""

    def forget(self) -> None:  # noqa: B027  # most keep nothing
        """Drops what is kept between inputs (states of the prompt's beginning), so that what it saves can be measured.

        The next `score` makes it again; its seconds and tokens then count.
        """

    @property
    def parameters(self) -> int:
        """Parameters of the model that an answer needs, after `fit`; 0 where it runs elsewhere."""
        return 0

    @property
    def details(self) -> dict[str, Any]:
        """What it found out by itself, for the record: the path taken, checks, tokens; plain values."""
        return {}
