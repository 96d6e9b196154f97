"""The conversation with a language model in it: it may talk, the rules decide, and they answer where it fails."""

import re
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from hf_transfer_kit.advisor.conversation import dialogue
from hf_transfer_kit.advisor.conversation.answers import Advise
from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState, Reply
from hf_transfer_kit.advisor.language.questions import command
from hf_transfer_kit.advisor.language.words import MOST_CHARACTERS, tidy
from hf_transfer_kit.advisor.llm.answer import Silent, spoken, usable
from hf_transfer_kit.advisor.llm.checked import CheckedReply
from hf_transfer_kit.advisor.llm.cleaning import cleaned
from hf_transfer_kit.advisor.llm.connect import BYTES_PER_TOKEN, ChatModel, Said, ToolCall
from hf_transfer_kit.advisor.llm.conversation import Conversation, Message, exchanged
from hf_transfer_kit.advisor.llm.results import rules_values
from hf_transfer_kit.advisor.llm.schemas import schemas
from hf_transfer_kit.advisor.llm.sources import Sources
from hf_transfer_kit.advisor.llm.tools import Tools, ToolTurn
from hf_transfer_kit.errors import PromptError, RemoteError

REFUSED = ("refusal", "content_filter")  # finish reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a language model may take.

    Fields:
        rounds: of tools in one turn.
        malformed: calls in one turn that no tool takes.
        seconds: for its answers in one turn; the tools' own time does not count.
        answer_tokens: of one answer.
        tokens: of the whole conversation, questions included.
        messages, characters: of the conversation that it is shown.
        failures: turns in a row without an answer, after which it is not asked again.
    """

    rounds: int = 8
    malformed: int = 3
    seconds: float = 60.0
    answer_tokens: int = 1500
    tokens: int = 300_000
    messages: int = 24
    characters: int = 24_000
    failures: int = 3


class Talk:
    """A conversation in which a language model words the replies.

    The rules read every message first. Their facts, advice and question are the turn's first tool result; the model
    may note facts that they did not read, and call further tools. Its reply is checked (see `checked`). Commands
    ("undo", "show the plan") are answered by the rules alone, and so is every turn in which anything goes wrong.

    Attributes:
        model: that talks.
        is_silent: whether it is not asked any more: its key is refused, its name unknown, its tokens used up.

    Example:
        >>> from hf_transfer_kit.advisor import rules
        >>> class Parrot:
        ...     def say(self, messages, tools, *, max_tokens, seconds):
        ...         return Said(text="Feature extraction it is. You will reach 99 %.")
        >>> tools = Tools(advise=rules.advise, estimate_memory=None, search_models=None, export_plan=None)
        >>> state, reply = Talk(Parrot(), tools).reply(DialogueState(), "80 labelled chest x-rays, no GPU")
        >>> reply.text.splitlines()[:2]
        ['Feature extraction it is. You will reach ~~99 %~~.', 'Struck out: no source in the rules or measurements.']
        >>> reply.advice.method
        'features'
    """

    def __init__(self, model: ChatModel, tools: Tools, limits: Limits | None = None) -> None:
        self.model, self.is_silent = model, False
        self._tools, self._limits = tools, limits or Limits()
        self._takes_tools, self._tokens, self._failures = True, 0, 0
        self._forget()

    def _forget(self) -> None:
        limits = self._limits
        self._conversation = Conversation(most_messages=limits.messages, most_characters=limits.characters)
        self._said: deque[str] = deque(maxlen=100)
        self._sources = Sources()

    def reply(self, state: DialogueState, message: str, advise: Advise | None = None) -> tuple[DialogueState, Reply]:
        """The next state and what to answer, as `dialogue.reply`; never raises on any message or answer.

        Method, question and change are those of the rules. Where the model does not answer, the text is that of the
        rules with one line in front that says why.

        Args:
            advise: facts to advice, in place of that of the tools: what is advised once something was measured.
        """
        tools = self._tools if advise is None else replace(self._tools, advise=advise)
        after, ruled = dialogue.reply(state, message, tools.advise)
        ordered = command(tidy(message))
        if ordered and ordered.kind == "start_again":
            self._forget()
        if self.is_silent or ordered or not message.strip():
            return after, ruled
        message = message[:MOST_CHARACTERS]  # the rules read no more, either
        self._said.append(message)
        turn = ToolTurn(
            tools=tools, before=state, state=after, ruled=ruled, said=tuple(self._said),
            sources=self._sources | Sources.of_person(message),
        )  # fmt: skip
        try:
            checked = self._answer(turn, message)
        except Silent as problem:
            note = self._note(problem)
            reply = replace(ruled, text=f"{note}\n{ruled.text}", said=(note, *ruled.said))
        else:
            self._failures = 0
            after, reply = turn.state, spoken(checked, turn)
        self._sources = turn.sources
        self._conversation.add(message, reply.text)
        return after, reply

    def _note(self, problem: Silent) -> str:
        """Why the rules answer, in one line."""
        self._failures += 1
        if problem.for_good or self._failures >= self._limits.failures:
            self.is_silent = True
            return f"The language model gives no answer ({problem}); from here on the rules answer alone."
        return f"The language model gives no answer ({problem}); this one is by the rules."

    def _answer(self, turn: ToolTurn, message: str) -> CheckedReply:
        """The checked answer; raises Silent where there is none."""
        from hf_transfer_kit.prompting.remote.remote_client import BadRequest, Unanswered

        deadline = _Deadline(self._limits.seconds)
        try:
            try:
                text = self._rounds(turn, message, deadline)
            except BadRequest:
                if not self._takes_tools:
                    raise
                self._takes_tools = False  # the server, or the model's template, knows no tools
                text = self._rounds(turn, message, deadline)
        except (Unanswered, BadRequest) as error:
            raise Silent(_own_words(error) or "the server does not take the question") from None
        except PromptError:
            self._conversation.clear()
            raise Silent("the conversation is longer than it reads") from None
        except RemoteError as error:
            raise Silent(_own_words(error), for_good=True) from None
        return usable(text, turn.sources)

    def _rounds(self, turn: ToolTurn, message: str, deadline: "_Deadline") -> str:
        """The text that the model ends with, its tools run on the way."""
        rules, with_tools = rules_values(turn.ruled), self._takes_tools
        messages = self._conversation.messages(message, rules, with_tools=with_tools)
        malformed = 0
        for number in range(self._limits.rounds + 1):
            said = self._say(messages, deadline)
            if said.finish_reason in REFUSED:
                raise Silent("it refused")
            if not said.calls or not with_tools:
                return said.text
            results = [turn.call(call.name, call.arguments) for call in said.calls]
            malformed += sum(result.malformed for result in results)
            if malformed >= self._limits.malformed:
                raise Silent("it asks for tools in a way that none takes")
            messages += exchanged(said.calls, results, ids=_ids(number, said.calls))
        raise Silent("it asks for tools without end")

    def _say(self, messages: list[Message], deadline: "_Deadline") -> Said:
        """One answer, counted."""
        if self._tokens >= self._limits.tokens:
            raise Silent(f"its {self._limits.tokens:,} tokens are used up", for_good=True)
        if deadline.left <= 0:
            raise Silent(f"no answer within {self._limits.seconds:.0f} s")
        with deadline:
            said = self.model.say(
                messages, schemas() if self._takes_tools else [], max_tokens=self._limits.answer_tokens,
                seconds=deadline.left,
            )  # fmt: skip
        estimated = sum(len(str(each)) for each in messages) + len(said.text)
        self._tokens += max(said.tokens or 0, 0) or estimated // BYTES_PER_TOKEN
        return said


class _Deadline:
    """Seconds that are left; only those inside `with` count."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    def __enter__(self) -> None:
        self._begin = time.monotonic()

    def __exit__(self, *_: Any) -> None:
        self.left -= time.monotonic() - self._begin


def _ids(number: int, calls: tuple[ToolCall, ...]) -> list[str]:
    """Ids of our own, nine letters and figures each."""
    return [f"call{number:02d}{place:03d}" for place, _ in enumerate(calls)]


def _own_words(error: Exception) -> str:
    """Why there was no answer, without what the server said: that has no source."""
    text = str(error)
    status = re.search(r"status \d{3}(?=: )", text)
    if status:
        return text[: status.end()]
    kind = re.match(r"(\w+(?:Error|Timeout|Exception)): ", text)
    return kind[1] if kind else cleaned(text, 200).removesuffix(".")
