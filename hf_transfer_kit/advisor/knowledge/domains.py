"""Subjects that change the advice: what people call them, and how near they lie to what models were trained on."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from hf_transfer_kit.advisor.knowledge.rule_table import read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A subject.

    Fields:
        name: "x-ray", "satellite", ...
        similarity: to the pre-training data of the usual models: "same", "moderate" or "different".
        modality: of its data, where there is only one.
        words: what people call it.
    """

    name: str
    similarity: str
    words: tuple[str, ...]
    modality: str | None = None


@cache
def domains() -> tuple[Domain, ...]:
    """All domains that a rule speaks of."""
    table = read_table("domains.toml")
    return tuple(Domain(name=name, **entry | {"words": tuple(entry["words"])}) for name, entry in table.items())


@lru_cache(maxsize=1024)
def domain_of(words: str | None, modality: str | None = None) -> Domain | None:
    """The domain that free text names; None where it names none that a rule speaks of.

    Example:
        >>> domain_of("chest x-rays").name, domain_of("medical", "text").name, domain_of("knitting")
        ('x-ray', 'biomedical', None)
    """
    if words is None:
        return None
    text = words.lower()
    for domain in domains():
        if domain.modality not in (None, modality) and modality is not None:
            continue
        if text == domain.name or any(re.search(rf"\b{re.escape(word)}(s|es)?\b", text) for word in domain.words):
            medical_text = domain.name == "medical" and modality == "text"
            return _named("biomedical") if medical_text else domain
    return None


def _named(name: str) -> Domain:
    return next(domain for domain in domains() if domain.name == name)
