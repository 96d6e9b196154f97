"""The one interface of everything that answers with a prompt."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from hf_transfer_kit.measure import flop_counter
from hf_transfer_kit.prompting.scores import Scores, Usage

if TYPE_CHECKING:
    from hf_transfer_kit.prompting.prompts import Prompt

COUNTED_INPUTS = 2  # inputs whose operations are counted
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
        runs_here: False where another machine does the work, whose operations nobody can count.
    """

    prompt: "Prompt"
    runs_here: ClassVar[bool] = True
    _per_unit: float | None = None  # operations per token

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

    def score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        """The scores of `inputs`; after `fit`.

        Raises:
            PromptError: an input is too long for the prompt, or there was no `fit`.
            RemoteError: a remote model cannot be asked; what was answered is kept.
        """
        scores = self._score(inputs, on_progress)
        usage = replace(scores.usage, flops=self._operations(inputs, scores.usage))
        return replace(scores, usage=usage)

    @abstractmethod
    def _score(self, inputs: Sequence[Any], on_progress: Progress | None = None) -> Scores:
        """The scores of `inputs`, operations not counted."""

    def _operations(self, inputs: Sequence[Any], usage: Usage) -> float:
        """Floating-point operations: counted once, on a few inputs, and scaled by tokens (by inputs without any)."""
        if not self.runs_here or not len(inputs):
            return 0.0
        if self._per_unit is None:
            some = inputs[:COUNTED_INPUTS]
            with flop_counter() as counter:
                counted = self._score(some).usage
            self._per_unit = counter.get_total_flops() / (_tokens(counted) or len(some))
        return self._per_unit * (_tokens(usage) or len(inputs))

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


def _tokens(usage: Usage) -> int:
    """Tokens that a model evaluated."""
    return usage.tokens_in + usage.tokens_out
