"""Flip points: the changes of one fact that change the method, found by deciding again on the changed facts."""

from collections.abc import Iterator
from dataclasses import replace

from hf_transfer_kit.advisor.advice import Flip
from hf_transfer_kit.advisor.deciding.asking import askables
from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf
from hf_transfer_kit.advisor.knowledge.situation import FEW, HUGE, LARGE, SMALL, THIN

STEPS = (0, 1, SMALL, LARGE + 1, HUGE)  # where a class of sizes begins
AT = {0: "Without any labels", 1: "From the first labels on", LARGE + 1: "Above 10,000 labels"}
BELOW = {1: "Without any labels", LARGE + 1: "At 10,000 labels or fewer"}
ONE_BY_ONE = ("similarity", "compute", "llm", "real_time", "complexity", "priority")
METHODS = {
    "zero_shot": "ask a model without examples", "few_shot": "ask a model with examples in the prompt",
    "features": "frozen features and a simple classifier", "top_layers": "fine-tune the top layers",
    "gradual": "gradual unfreezing", "full": "full fine-tuning", "lora": "LoRA adapters",
    "scratch": "training from a random start",
}  # fmt: skip


def flips(facts: TaskFacts, memory_of: MemoryOf) -> tuple[Flip, ...]:
    """Every single change that leads to another method: numbers of labels first, then the other facts."""
    return (*_by_labels(facts, memory_of), *_by_other_facts(facts, memory_of), *_by_old_skills(facts, memory_of))


def _with_labels(facts: TaskFacts, labels: int) -> TaskFacts:
    return replace(facts, n_labelled=labels, per_class=None)


def _steps(facts: TaskFacts) -> list[int]:
    """Numbers of labels at which something may change; some are so many of each class."""
    return sorted({*STEPS, *(each * (facts.n_classes or 0) for each in (FEW, THIN))})


def _by_labels(facts: TaskFacts, memory_of: MemoryOf) -> Iterator[Flip]:
    """Outward from what there is, the first number at which each next method begins."""
    now, labels = decide(facts, memory_of).method, facts.labels
    methods = {now}
    for step in _steps(facts):
        method = decide(_with_labels(facts, step), memory_of).method
        if (labels is None or step > labels) and method not in methods:
            methods.add(method)
            at = AT.get(step, f"From {step:,} labels on")
            yield Flip(fact="n_labelled", value=step, method=method, text=f"{at}: {METHODS[method]}.")
    methods = {now}
    for step in reversed(_steps(facts)[1:] if labels is not None else ()):
        method = decide(_with_labels(facts, step - 1), memory_of).method
        if step <= (labels or 0) and method not in methods:
            methods.add(method)
            below = BELOW.get(step, f"Below {step:,} labels")
            yield Flip(fact="n_labelled", value=step - 1, method=method, text=f"{below}: {METHODS[method]}.")


def _by_other_facts(facts: TaskFacts, memory_of: MemoryOf) -> Iterator[Flip]:
    now, situation = decide(facts, memory_of).method, decide(facts, memory_of).situation
    for fact in ONE_BY_ONE:
        askable = askables()[fact]
        if not askable.when.holds(situation):
            continue
        for reply in askable.replies:
            value = reply.facts[fact]
            method = decide(replace(facts, **reply.facts), memory_of).method
            if value != getattr(facts, fact) and method != now:
                yield Flip(fact=fact, value=value, method=method, text=f"{reply.phrase}: {METHODS[method]}.")


def _by_old_skills(facts: TaskFacts, memory_of: MemoryOf) -> Iterator[Flip]:
    keep = not facts.keep_old_skills
    method = decide(replace(facts, keep_old_skills=keep), memory_of).method
    if method != decide(facts, memory_of).method:
        said = "If old skills must be kept" if keep else "If old skills may be lost"
        yield Flip(fact="keep_old_skills", value=keep, method=method, text=f"{said}: {METHODS[method]}.")
