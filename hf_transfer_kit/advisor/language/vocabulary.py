"""The words of vocabulary.toml, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hf_transfer_kit.advisor.knowledge.rule_table import read_table
from hf_transfer_kit.advisor.language.words import Token, corrected, tokenize


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of vocabulary.toml; its fields are described there."""

    fact: str | None = None
    value: Any = None
    negated: Any = None
    implies: Mapping[str, Any] = field(default_factory=dict)
    counts: bool = False
    cue: str | None = None
    asked: bool = False
    general: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Everything of vocabulary.toml: `phrases` by their first word, the longest first."""

    phrases: Mapping[str, tuple[tuple[tuple[str, ...], Entry], ...]]
    unsupported: frozenset[tuple[str, ...]]
    languages: Mapping[str, str]
    hardware: Mapping[str, float]
    cues: Mapping[str, frozenset[str]]
    spelling: Mapping[str, str]
    spoken: Mapping[str, frozenset[str]]
    single: frozenset[str]

    def keys(self, tokens: Sequence[Token]) -> list[str]:
        """The words of `tokens` as the vocabulary has them: spelling and typos mended."""
        common = self.spoken["common"]
        spelled = [self.spelling.get(token.key, token.key) for token in tokens]
        return [
            corrected(key, self.single, common) if token.kind == "word" else key
            for key, token in zip(spelled, tokens, strict=True)
        ]


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary that ships with the kit."""
    raw = read_table("vocabulary.toml")
    spelling = raw["spelling"]
    phrases: dict[str, list[tuple[tuple[str, ...], Entry]]] = {}
    for row in raw["phrases"]:
        entry = Entry(**{key: value for key, value in row.items() if key != "words"})
        for words in row["words"]:
            keys = _keys(words, spelling)
            phrases.setdefault(keys[0], []).append((keys, entry))
    single = {key for found in phrases.values() for keys, _ in found for key in keys} | set(raw["languages"])
    return Vocabulary(
        phrases={first: tuple(sorted(found, key=lambda each: -len(each[0]))) for first, found in phrases.items()},
        unsupported=frozenset(_keys(words, spelling) for words in raw["unsupported"]),
        languages=raw["languages"],
        hardware=raw["hardware"],
        cues={name: frozenset(words) for name, words in raw["cues"].items()},
        spelling=spelling,
        spoken={name: frozenset(words) for name, words in raw["spoken"].items()},
        single=frozenset(word for word in single | {"class", "category", "labelled"} if len(word) >= 5),
    )


def _keys(words: str, spelling: Mapping[str, str]) -> tuple[str, ...]:
    """A phrase as it is looked up."""
    return tuple(spelling.get(token.key, token.key) for token in tokenize(words))
