"""A language model's text as the reply of a turn: whether it can be used, and what the rules put beside it."""

import re
from dataclasses import replace

from hf_transfer_kit.advisor.conversation.dialogue_state import Reply
from hf_transfer_kit.advisor.conversation.wording import describe, summary
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.llm.checked import CheckedReply, check_reply
from hf_transfer_kit.advisor.llm.cleaning import cleaned, without_thinking
from hf_transfer_kit.advisor.llm.sources import Sources
from hf_transfer_kit.advisor.llm.tools import ToolTurn

MOST_ANSWER, MOST_RECEIVED = 6000, 100_000  # characters, without thinking and with it; 120 words are asked for
LEAST_LETTERS = 0.6  # share of letters and spaces in an answer that makes sense
_REFUSAL = re.compile(
    r"\W*(?:(?:i'm|i am) (?:very )?sorry|sorry|as an ai)\b.{0,80}\b(?:can't|cannot|can not|unable|not able)\b"
    r"|\W*i (?:can't|cannot|am unable to|won't) (?:help|assist|do|answer|provide|comply)\b",
    re.IGNORECASE | re.DOTALL,
)
_LAST_QUESTION = re.compile(r"(?:(?<=[.!?:\n])|^)[^.!?:\n]*\?[\s\"')*]*\Z")


class Silent(Exception):
    """The language model gives no answer that can be shown; `for_good`: nor will it later."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


def usable(text: str, sources: Sources) -> CheckedReply:
    """The checked reply.

    Raises:
        Silent: the text is empty, too long, code, a refusal, or nothing of it has a source.
    """
    bare = without_thinking(text[:MOST_RECEIVED])
    if len(text) > MOST_RECEIVED or len(bare) > MOST_ANSWER:
        raise Silent("its answer is too long")
    if not bare:
        raise Silent("its answer is empty")
    letters = sum(each.isalpha() or each == " " for each in bare)
    is_code = bare.startswith(("{", "[", "<tool", "<function"))
    if is_code or letters < LEAST_LETTERS * len(bare) or not re.search(r"\w\s+\w", bare):
        raise Silent("its answer makes no sense")
    if _REFUSAL.match(bare):
        raise Silent("it refused")
    checked = check_reply(_without_last_questions(bare), sources)
    if not checked.says_something:
        raise Silent("nothing in its answer has a source")
    return checked


def _without_last_questions(text: str) -> str:
    """`text` without the questions it ends with, unless it is nothing else: the rules ask theirs."""
    shorter = text
    while shorter.endswith(("?", '?"', "?)")):
        before, shorter = shorter, _LAST_QUESTION.sub("", shorter).rstrip()
        if shorter == before:
            break
    return shorter or text


def spoken(checked: CheckedReply, turn: ToolTurn) -> Reply:
    """The rules' reply with the model's words, and below them what must not be missing.

    These are the facts that the model noted, how the advice changes, the advice itself where the model's words could
    be taken for another one, and the question of the rules.
    """
    ruled, said = turn.ruled, checked.text.splitlines()
    for words, new in turn.quotes:
        said.append(f'Read from "{cleaned(words, 120)}": {describe(TaskFacts(**new))}.')
    if ruled.change:
        said += ["The advice changes:", *map(str, ruled.change)]
    if ruled.advice and (checked.struck or checked.others or ruled.change):
        said.append(f"By the rules: {summary(ruled.advice).splitlines()[0].removeprefix('Advice: ')}")
    asks = [ruled.question.text] if ruled.question else []
    return replace(ruled, text="\n".join([*said, *asks]), said=tuple(said))
