"""Free text to facts: what a message says of a task, with the words that say it; nothing is guessed at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hf_transfer_kit.advisor.facts import CHOICES, TASKS, TaskFacts
from hf_transfer_kit.advisor.language.answering import answers, languages
from hf_transfer_kit.advisor.language.claims import (
    EXPLICIT,
    IMPLIED,
    Claim,
    Passage,
    claims,
    matches,
)
from hf_transfer_kit.advisor.language.contradictions import Contradiction, between_facts, impossible, two_values
from hf_transfer_kit.advisor.language.counting import count
from hf_transfer_kit.advisor.language.questions import Asked, command, question
from hf_transfer_kit.advisor.language.remarks import left_over, remarks, words_of
from hf_transfer_kit.advisor.language.starting import starting_model
from hf_transfer_kit.advisor.language.vocabulary import vocabulary
from hf_transfer_kit.advisor.language.words import MOST_CHARACTERS, Token, tidy, tokenize

_UNKNOWN = re.compile(
    r"\b(?:(?:do not|don't|dont) (?:really )?(?:know|care)|not sure|no idea|unsure|idk|dunno|skip|pass|unknown|no clue"
    r"|can't say|cannot say|hard to say|whatever|doesn't matter|next question|no opinion)\b|^\W*\?+\W*$"
)
_SPECIAL = {
    "image": ("image+text",),
    "text": ("image+text",),
    "gpu": ("multi_gpu", "cluster"),
    "classification": TASKS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`fact` is `value`, as `words` of the message say; `before` is what was known, where that was something else."""

    fact: str
    value: Any
    words: str
    before: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a message says.

    Fields:
        found: facts, each with the words it came from.
        contradictions: what cannot be, to be asked about; their facts are not in `found`.
        questions: questions about the advice and commands, see `questions.KINDS`.
        supposed: facts of a "what if", which are not so.
        declined: the person does not know the fact that was asked for.
        not_understood: parts of the message that say nothing the advisor knows.
        notes: sentences on how the message was read: "a few dozen" is no number, cut, another language.
    """

    found: tuple[Found, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    questions: tuple[Asked, ...] = ()
    supposed: tuple[Found, ...] = ()
    declined: bool = False
    not_understood: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """The facts found, by name."""
        return {each.fact: each.value for each in self.found}

    @property
    def corrections(self) -> tuple[Found, ...]:
        """The facts found that were known as something else."""
        return tuple(each for each in self.found if each.before is not None)


def understand(text: str, asked: str | None = None, known: TaskFacts | None = None) -> Understood:
    """What `text` says of a task, its facts within the ranges that `TaskFacts` believes.

    Args:
        asked: the fact that was asked for last; "80", "yes" or "I don't know" answer it.
        known: what is known already.

    Example:
        >>> understand("80 labelled chest x-rays, no GPU").facts
        {'n_labelled': 80, 'domain': 'x-ray', 'modality': 'image', 'compute': 'cpu'}
        >>> understand("ten thousand", asked="n_labelled").facts
        {'n_labelled': 10000}
    """
    known = known or TaskFacts()
    text = printable(text)
    tidied = tidy(text)
    notes: tuple[str, ...] = ()
    if len(text) > MOST_CHARACTERS:
        notes = (f"Only the first {MOST_CHARACTERS:,} characters were read.",)
    ordered = command(tidied)
    if ordered:
        return Understood(questions=(ordered,), notes=notes)
    tokens = tokenize(text)
    if _is_foreign(tokens, tidied):
        return Understood(notes=(*notes, "The message does not look like English, the only language read here."))
    unknown = [match.span() for match in _UNKNOWN.finditer(tidied)] if asked else []
    statements, questions = _parts(tokens, tidied, unknown)
    model, statements = starting_model(statements, text)
    read = _read(statements, text, asked, known)
    if model is not None:
        before = None if known.base_model == model else known.base_model
        wanted = Found(fact="base_model", value=model, words=model, before=before)
        read = replace(read, found=(*(each for each in read.found if each.fact != "base_model"), wanted))
    declined = bool(unknown) and asked not in read.facts and not read.contradictions
    supposed: list[Found] = []
    for each in questions:
        if each.kind == "what_if":
            inside = tuple(token for token in tokens if each.start <= token.start < each.end)
            supposed += _read(inside, text, None, TaskFacts(), supposing=True).found
    return replace(
        read, questions=questions, supposed=tuple(supposed), declined=declined,
        notes=notes + (() if declined else read.notes), not_understood=() if declined else read.not_understood,
    )  # fmt: skip


def printable(text: str) -> str:
    """`text` with every control character, escape and half surrogate as a space: what is shown back is only text."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def _is_foreign(tokens: Sequence[Token], tidied: str) -> bool:
    """Whether the words are those of another language, or most letters are not Latin."""
    letters = [character for character in tidied if character.isalpha()]
    if letters and sum(character > "\u024f" for character in letters) * 2 > len(letters):
        return True
    written = [tidied[token.start : token.end] for token in tokens]
    return sum(word in vocabulary().spoken["foreign"] for word in written) >= 2


def _parts(
    tokens: Sequence[Token], tidied: str, unknown: Sequence[tuple[int, int]]
) -> tuple[tuple[Token, ...], tuple[Asked, ...]]:
    """The tokens outside questions and outside "I don't know" (a mark stands for each of them), and the questions."""
    questions, start = [], 0
    ends = [token.end for token in tokens if token.kind == "mark" and token.key in ".?!;\n"] + [len(tidied)]
    for end in ends:
        asked = question(tidied, start, end)
        if asked:
            questions.append(asked)
        start = end
    spans = [*((each.start, each.end) for each in questions), *unknown]
    kept = [token for token in tokens if not any(first <= token.start < last for first, last in spans)]
    marks = [Token(kind="mark", key=".", start=first, end=first) for first, _ in spans]
    return tuple(sorted([*kept, *marks], key=lambda token: token.start)), tuple(questions)


def _read(
    tokens: tuple[Token, ...], text: str, asked: str | None, known: TaskFacts, supposing: bool = False
) -> Understood:
    """The facts that `tokens` state."""
    passage = Passage(tokens=tokens, keys=tuple(vocabulary().keys(tokens)), asked=asked, supposing=supposing)
    chosen = next((each for each in CHOICES.get(asked or "", ()) if text.strip().lower() == each), None)
    if asked and chosen:
        whole = Claim(fact=asked, value=chosen, first=0, last=len(tokens))
        return Understood(found=(_found(whole, tokens, text, known),))
    found = matches(passage)
    counted = count(passage, found)
    correction = _correction(passage)
    said = [claim for claim in (*claims(passage, found), *counted.claims) if claim.value is not None]
    said += languages(passage, said, known)
    said = _without_main_memory(said, known)
    said += answers(passage, counted, said, correction, known)
    values, asks = _resolved(said, correction, tokens, text, known)
    asks += [_which(claim, tokens, text) for claim in counted.ambiguous]
    held = {fact for ask in asks for fact in ask.facts}
    new = {fact: claim.value for fact, claim in values.items() if fact not in held}
    asks += [] if supposing else between_facts(new, known, asked, correction is not None)
    held = {fact for ask in asks for fact in ask.facts}
    kept = {fact: claim for fact, claim in values.items() if fact not in held}
    return Understood(
        found=tuple(
            _found(claim, tokens, text, known) for claim in sorted(kept.values(), key=lambda claim: claim.first)
        ),
        contradictions=tuple(asks),
        not_understood=left_over(passage, found, said, counted, text),
        notes=tuple(remarks(passage, found, counted, said, text)),
    )


def _without_main_memory(said: Sequence[Claim], known: TaskFacts) -> list[Claim]:
    """Without the RAM of a machine that trains on its GPU, whose memory is another one."""
    compute = {claim.value for claim in said if claim.fact == "compute"} or {known.compute}
    ram = compute & {"gpu", "multi_gpu", "cluster"}
    return [claim for claim in said if not (ram and claim.fact == "memory_gib" and claim.strength == IMPLIED)]


def _correction(passage: Passage) -> int | None:
    """Where a correction ("actually", "no, I meant") begins; None where there is none."""
    words = vocabulary().spoken["corrections"]
    places = [at for at, key in enumerate(passage.keys) if key in words]
    if (
        passage.keys[:1] == ("no",)
        and passage.keys[1:2]
        and passage.keys[1] in (",", ".", "!", "-", "it's", "i", "we", "it")
    ):
        places.append(0)
    if "make" in passage.keys and passage.keys[passage.keys.index("make") + 1 :][:1] in (("it",), ("that",)):
        places.append(passage.keys.index("make"))
    return min(places, default=None)


def _resolved(
    said: Sequence[Claim], correction: int | None, tokens: Sequence[Token], text: str, known: TaskFacts
) -> tuple[dict[str, Claim], list[Contradiction]]:
    """One claim per fact, the strongest; and the questions where two of one strength differ, or a value cannot be."""
    values: dict[str, Claim] = {}
    asks = []
    for fact in dict.fromkeys(claim.fact for claim in said):
        about = [claim for claim in said if claim.fact == fact]
        later = [claim for claim in about if correction is not None and claim.first > correction]
        about = later or about
        strongest = max(claim.strength for claim in about)
        about = sorted((claim for claim in about if claim.strength == strongest), key=lambda claim: claim.first)
        if len({claim.value for claim in about}) > 1:
            if strongest > IMPLIED:
                asks.append(
                    two_values(fact, list(dict.fromkeys(words_of(claim, tokens, text) for claim in about))[:4])
                )
            continue
        impossibility = impossible(fact, about[0].value)
        if impossibility:
            asks.append(impossibility)
        elif not _gives_way(about[0], getattr(known, fact), correction):
            values[fact] = about[0]
    return values, asks


def _gives_way(claim: Claim, before: Any, correction: int | None) -> bool:
    """Whether what is known is more special than the claim: "image+text" than "images", a cluster than "GPU"."""
    if before is None or claim.strength == EXPLICIT or before == claim.value:
        return False
    if claim.strength == IMPLIED:
        return True
    special = claim.fact == "domain" or before in _SPECIAL.get(claim.value, ())
    return special and correction is None


def _which(claim: Claim, tokens: Sequence[Token], text: str) -> Contradiction:
    """The question on "3 labels"."""
    n = claim.value
    return Contradiction(
        facts=("n_labelled",),
        text=f'Does "{words_of(claim, tokens, text)} labels" mean {n} classes or {n} labelled examples?',
        replies=(f"{n} classes", f"{n} labelled examples"),
    )  # fmt: skip


def _found(claim: Claim, tokens: Sequence[Token], text: str, known: TaskFacts) -> Found:
    before = getattr(known, claim.fact)
    return Found(
        fact=claim.fact, value=claim.value, words=words_of(claim, tokens, text),
        before=None if before == claim.value else before,
    )  # fmt: skip
