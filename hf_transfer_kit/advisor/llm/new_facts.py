"""Facts that a language model wants to note, held against what the person wrote."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hf_transfer_kit.advisor.conversation.wording import NAMES, say
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.domains import domain_of
from hf_transfer_kit.advisor.language.contradictions import between_facts, facts_after
from hf_transfer_kit.advisor.language.words import tidy
from hf_transfer_kit.advisor.llm.figures import Figure, Numbers
from hf_transfer_kit.advisor.llm.names import HUB_ID, blanked, names_in
from hf_transfer_kit.advisor.llm.schemas import settable
from hf_transfer_kit.errors import PlanError, did_you_mean
from hf_transfer_kit.values import from_mapping

LEAST_QUOTE = 2  # letters


def checked_facts(given: object, words: object, known: TaskFacts, said: Sequence[str]) -> dict[str, Any]:
    """The facts of `given`, once they may be noted.

    - They rest on `words`, which the person wrote.
    - A number stands in what the person wrote, in figures or in words; to confirm one, the person writes it.
    - They are not known yet: the rules read what the person says, and a language model does not overrule that.
    - They do not contradict what is known.

    Args:
        known: what the rules have understood.
        said: all messages of the person.

    Raises:
        PlanError: one of these does not hold, or a name, type or value is not among those of `TaskFacts`.

    Example:
        >>> checked_facts({"n_classes": 3}, "three kinds", TaskFacts(), ["three kinds of bird"])
        {'n_classes': 3}
    """
    if not isinstance(given, Mapping) or not given:
        raise PlanError("facts must be an object with at least one fact.")
    values = {str(name): value for name, value in given.items() if value is not None}
    for name in values:
        if name not in settable():
            raise PlanError(f"fact '{name[:40]}' cannot be set; {did_you_mean(name[:40], settable())}")
    read = from_mapping(TaskFacts, values, "facts").known
    if not isinstance(words, str) or not _wrote(words, said):
        raise PlanError("words must be copied from what the person wrote; ask the person instead.")
    for name, value in read.items():
        before = getattr(known, name)
        if before is not None and before != value:
            raise PlanError(f"{NAMES.get(name, name)}: the person said '{say(name, before)}', which only they change.")
        _check_source(name, value, said)
    for contradiction in between_facts(read, known, None, False):
        raise PlanError(contradiction.text)
    facts_after(known, read)
    return read


def _wrote(words: str, said: Sequence[str]) -> bool:
    """Whether `words` stand in what the person wrote, whatever the case, spaces and markup."""
    quote = " ".join(tidy(words).split()).strip("\"' .…")
    letters = sum(each.isalnum() for each in quote)
    return letters >= LEAST_QUOTE and any(quote in " ".join(tidy(each).split()) for each in said)


def _check_source(name: str, value: Any, said: Sequence[str]) -> None:
    """Raises PlanError where the person wrote no such number, domain, language or model."""
    if isinstance(value, int | float) and not isinstance(value, bool) and not wrote_number(value, said):
        raise PlanError(
            f"{NAMES.get(name, name)}: the person has not written the number {value:g}; ask, and take what they write."
        )
    if name == "language" and not re.fullmatch(r"[a-z]{2,3}", value):
        raise PlanError("language must be an ISO 639-1 code, such as en.")
    if name == "domain" and not (domain_of(value) and len(value) <= 40) and not _wrote(value, said):
        raise PlanError("domain must be in the person's own words.")
    if name == "base_model" and not (HUB_ID.fullmatch(value) and _wrote(value, said)):
        raise PlanError("base_model must be a Hub id that the person wrote.")


def wrote_number(value: float, said: Sequence[str]) -> bool:
    """Whether a message has the number: "5k" is 5000, "a dozen" 12; the 50 of "ResNet-50" is none.

    Example:
        >>> [wrote_number(n, ["ten thousand images, ResNet-50"]) for n in (10_000, 50)]
        [True, False]
    """
    figure = Figure(start=0, end=0, values=(float(value),))
    return any(Numbers.of(blanked(each, list(names_in(each)))).hold(figure) for each in said)
