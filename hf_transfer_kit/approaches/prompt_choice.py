"""Which prompt and which demonstrations a run uses: drawn from the training rows, chosen on validation alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import FewShot, Prototype, ZeroShot
from hf_transfer_kit.prompting.classifier import Demonstration, Demonstrations, PromptClassifier
from hf_transfer_kit.prompting.demonstrations import NearestTexts, balanced, in_orders
from hf_transfer_kit.prompting.kinds import EMBEDDING, IMAGE_TEXT
from hf_transfer_kit.prompting.make import prompts_for
from hf_transfer_kit.prompting.prompts import Prompt, load_prompt
from hf_transfer_kit.prompting.scores import Scores, Usage

SEARCH_DRAWS = 3  # sets of demonstrations that the search tries with every prompt
VALIDATION_INPUTS = 256  # most validation rows that a search looks at; their labels count as used

Correct = Callable[[PromptClassifier, np.ndarray], np.ndarray]  # log-scores -> corrected ones


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One way to ask: a prompt with its demonstrations."""

    prompt: Prompt
    demonstrations: Demonstrations | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """What a run asks with.

    Fields:
        chosen: the way to ask.
        tried: validation accuracy of every candidate by a name for people, where there was a choice.
        orders: validation accuracy of the chosen demonstrations in several orders, the used one first.
        validation_rows: how many validation rows were looked at.
        usage: of all that.
    """

    chosen: Candidate
    tried: dict[str, float]
    orders: tuple[float, ...] = ()
    validation_rows: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def validation_accuracy(self) -> float | None:
        """Of the chosen candidate; None where validation was not looked at."""
        return max(self.tried.values()) if self.tried else (self.orders[0] if self.orders else None)


def choose(job: Job, kind: str, classifier: PromptClassifier, correct: Correct) -> Choice:
    """The best candidate of a job by accuracy on validation, the first where several are level; without `search`, the
    first. `classifier` is fitted again and again; it ends with any of them.

    Raises:
        PromptError: the prompt file cannot be read or does not fit.
    """
    found = candidates(job, kind)
    orders = _orders(job, found[0])
    if len(found) == 1 and len(orders) == 1:
        return Choice(chosen=found[0], tried={})
    rows = np.random.default_rng(job.plan.seed).permutation(len(job.rows("validation")))[:VALIDATION_INPUTS]
    inputs, labels = job.inputs("validation"), job.labels("validation")[rows]
    questions = [inputs[int(row)] for row in rows]
    spent = Usage()

    def measure(candidate: Candidate, message: str) -> float:
        nonlocal spent
        job.events.write("stage", stage="search", message=message)
        scores = _ask(job, classifier, candidate, questions)
        spent = spent + scores.usage
        predictions = correct(classifier, scores.log_scores).argmax(axis=1)
        return accuracy(labels, np.where(scores.unreadable, -1, predictions))

    tried: dict[str, float] = {}
    chosen = found[0]
    if len(found) > 1:
        names = [f"{each.prompt.name}, draw {i}" for i, each in enumerate(found)]
        for name, candidate in zip(names, found, strict=True):
            tried[name] = measure(candidate, f"trying prompt {name} ({len(tried) + 1} of {len(found)})")
        chosen = found[max(range(len(found)), key=lambda i: tried[names[i]])]
        orders = _orders(job, chosen)
    accuracies = tuple(
        measure(each, f"trying order {i + 1} of {len(orders)}") for i, each in enumerate(orders) if len(orders) > 1
    )
    return Choice(chosen=chosen, tried=tried, orders=accuracies, validation_rows=len(rows), usage=spent)


def candidates(job: Job, kind: str) -> list[Candidate]:
    """The ways to ask that a job may use: one, or with `search` every prompt with several draws of demonstrations."""
    approach, model = job.plan.approach, job.plan.model
    if model is None or not isinstance(approach, ZeroShot | FewShot | Prototype):
        raise PlanError(f"approach '{approach.name}' is not one that prompts a model.")
    prompts = [load_prompt(approach.prompt)] if approach.prompt else list(prompts_for(kind, model, job.task.name))
    searching = not isinstance(approach, Prototype) and approach.search
    prompts = prompts if searching else prompts[:1]
    draws = _draws(job, kind, SEARCH_DRAWS if searching else 1)
    return [Candidate(prompt=prompt, demonstrations=draw) for prompt in prompts for draw in draws]


def _draws(job: Job, kind: str, count: int) -> list[Demonstrations | None]:
    """Demonstrations from the training rows; `count` different draws where they are drawn."""
    approach = job.plan.approach
    if isinstance(approach, ZeroShot):
        return [None]
    names, labels, inputs = job.data.label_names, job.labels("train").tolist(), job.inputs("train")
    if not isinstance(approach, FewShot) or kind in (EMBEDDING, IMAGE_TEXT):  # these look at all of them
        return [[Demonstration(input=each, label=names[k]) for each, k in zip(inputs, labels, strict=True)]]
    shots = min(approach.shots, len(labels))
    if approach.choose == "nearest":
        return [NearestTexts(inputs, labels, names, shots)]
    seed = job.plan.seed * 1000  # the draws of one seed are not those of the next
    return [balanced(inputs, labels, names, shots, seed + draw) for draw in range(count)]


def _orders(job: Job, candidate: Candidate) -> list[Candidate]:
    """The candidate with its demonstrations in as many orders as the plan asks for, its own first."""
    approach, shown = job.plan.approach, candidate.demonstrations
    if not isinstance(approach, FewShot) or approach.orders == 1 or not isinstance(shown, tuple):
        return [candidate]
    return [
        Candidate(prompt=candidate.prompt, demonstrations=order)
        for order in in_orders(shown, approach.orders, job.plan.seed)
    ]


def _ask(job: Job, classifier: PromptClassifier, candidate: Candidate, inputs: Sequence[object]) -> Scores:
    classifier.prompt = candidate.prompt
    classifier.fit(job.data.label_names, candidate.demonstrations)
    return classifier.score(inputs, lambda done, total: job.events.progress("search", done, total))
