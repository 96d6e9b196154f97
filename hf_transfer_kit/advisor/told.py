"""The facts that a person tells, in whatever form."""

from collections.abc import Mapping
from typing import Any

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.values import from_mapping


def told(facts: TaskFacts | Mapping[str, Any] | str) -> TaskFacts:
    """`facts`, from their names and values, or from free text in English.

    Raises:
        PlanError: a name is unknown, or a value is none of its choices.

    Example:
        >>> told("80 labelled chest x-rays, no GPU").known
        {'modality': 'image', 'n_labelled': 80, 'domain': 'x-ray', 'compute': 'cpu'}
    """
    if isinstance(facts, TaskFacts):
        return facts
    if isinstance(facts, Mapping):
        return from_mapping(TaskFacts, facts, "facts")
    from hf_transfer_kit.advisor.conversation.dialogue import DialogueState, reply

    return reply(DialogueState(), facts)[0].facts
