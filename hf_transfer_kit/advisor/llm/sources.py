"""What a conversation has sources for: the methods, numbers, models and commands of tool results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_transfer_kit.advisor.llm.cleaning import Command, Foreign, visible
from hf_transfer_kit.advisor.llm.figures import Numbers
from hf_transfer_kit.advisor.llm.methods import methods_named
from hf_transfer_kit.advisor.llm.names import HUB_ID, blanked, called, names_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What may be said.

    Fields:
        advised: the method that the rules advise now; None where there is no advice yet.
        methods: of `compare`, and others, that tool results name.
        numbers: of tool results and of what the person wrote; those inside a model's name are none.
        names: of models, ids and addresses, of tool results and of what the person wrote, in small letters.
        commands: command lines of tool results.
    """

    advised: str | None = None
    methods: frozenset[str] = frozenset()
    numbers: Numbers = field(default_factory=Numbers)
    names: frozenset[str] = frozenset()
    commands: frozenset[str] = frozenset()

    def __or__(self, other: "Sources") -> "Sources":
        """Both; the advised method is the later one."""
        return Sources(
            advised=other.advised or self.advised, methods=self.methods | other.methods,
            numbers=self.numbers | other.numbers, names=self.names | other.names,
            commands=self.commands | other.commands,
        )  # fmt: skip

    @classmethod
    def of_result(cls, values: Any, advised: str | None = None) -> "Sources":
        """Of the values of a tool result.

        `Foreign` text in it counts for nothing but a Hub id: what stands in a data set is no source.

        Example:
            >>> found = Sources.of_result({"text": "LoRA on ResNet-50: 0.91", "label": Foreign("99 % from scratch")})
            >>> sorted(found.methods), sorted(found.numbers.plain), "resnet-50" in found.names
            (['lora'], [0.91], True)
        """
        texts, numbers, ids, commands = _Parts(), set[float](), set[str](), set[str]()
        _collect(values, texts, numbers, ids, commands)
        said = cls._of_texts(texts, methods=True)
        exact = cls(
            advised=advised, numbers=Numbers(values=frozenset(numbers)), commands=frozenset(commands),
            names=called([each for id in ids for each in names_in(id)]) | frozenset(ids),
        )  # fmt: skip
        return said | exact

    @classmethod
    def of_person(cls, message: str) -> "Sources":
        """Of what the person wrote: numbers and names, no methods."""
        return cls._of_texts([message], methods=False)

    @classmethod
    def _of_texts(cls, texts: "list[str]", *, methods: bool) -> "Sources":
        found = cls()
        for text in map(visible, texts):
            names = list(names_in(text))
            rest = blanked(text, names)
            found |= cls(
                methods=frozenset(each.method for each in methods_named(rest)) if methods else frozenset(),
                numbers=Numbers.of(rest), names=called(names),
            )  # fmt: skip
        return found


_Parts = list[str]


def _collect(value: Any, texts: list[str], numbers: set[float], ids: set[str], commands: set[str]) -> None:
    """The texts, numbers, Hub ids and commands in plain values."""
    if isinstance(value, Mapping):
        for each in value.values():
            _collect(each, texts, numbers, ids, commands)
    elif isinstance(value, list | tuple):
        for each in value:
            _collect(each, texts, numbers, ids, commands)
    elif isinstance(value, Foreign):
        ids |= {value.casefold()} if "/" in value and HUB_ID.fullmatch(value) else set()
    elif isinstance(value, Command):
        commands.add(str(value))
    elif isinstance(value, str):
        texts.append(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        numbers.add(float(value))
