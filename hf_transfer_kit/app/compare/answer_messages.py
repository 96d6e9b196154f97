"""What the server and the process that answers say to each other: one line of JSON each."""

import json
from dataclasses import dataclass, field

from hf_transfer_kit.values import from_mapping, to_mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One input for several runs.

    Fields:
        id: of the question, for its answers.
        runs: folders of finished runs, which the server has looked up.
        text: the input of a text task, taken as it is: never the name of a file.
        image: the file of an image that was uploaded; "" for texts.
    """

    id: int
    runs: tuple[str, ...]
    text: str = ""
    image: str = ""

    def line(self) -> str:
        """As one line."""
        return json.dumps(to_mapping(self)) + "\n"

    @classmethod
    def read(cls, line: str) -> "Question":
        """The question in a line; raises PlanError or ValueError for anything else."""
        return from_mapping(cls, json.loads(line), "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one run says to a question.

    Fields:
        id: of the question.
        run: the folder of the run.
        probabilities: of every class by name, the likeliest first; empty where there is an error.
        error: why there is no answer, in a sentence; else "".
    """

    id: int
    run: str
    probabilities: dict[str, float] = field(default_factory=dict)
    error: str = ""

    def line(self) -> str:
        """As one line."""
        return json.dumps(to_mapping(self)) + "\n"

    @classmethod
    def read(cls, line: str) -> "Answer":
        """The answer in a line; raises PlanError or ValueError for anything else."""
        return from_mapping(cls, json.loads(line), "answer")
