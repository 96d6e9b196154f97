"""A scripted language model and the tools it gets, for tests of the talk."""

import json
import re
from dataclasses import dataclass

from prompting.remote.scripted_server import Reply

from hf_transfer_kit.advisor import rules
from hf_transfer_kit.advisor.conversation.dialogue import DialogueState
from hf_transfer_kit.advisor.exports.plan_export import export_plan
from hf_transfer_kit.advisor.llm.connect import Said, ToolCall
from hf_transfer_kit.advisor.llm.tools import Tools, ToolTurn
from hf_transfer_kit.plan import TransferPlan

X_RAYS = "80 labelled chest x-rays, no GPU"


@dataclass(frozen=True)
class Memory:
    """What `estimate_memory` gives."""

    as_sum: str = "weights 12 MiB + activations 5 MiB = 17 MiB"
    total_mib: float = 17.04


def export(advice):
    return None if advice.plan is None else export_plan(TransferPlan.from_mapping(advice.plan))


def tools(**changes):
    """The rules, and stubs of what is slow."""
    given = {
        "advise": rules.advise, "estimate_memory": lambda **_: Memory(), "search_models": lambda facts: (),
        "export_plan": export,
    }  # fmt: skip
    return Tools(**given | changes)


class Scripted:
    """A model that says `answers`, one after the other; functions are given the messages. Keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked, self.tools = list(answers), [], []

    def say(self, messages, tools, *, max_tokens, seconds):
        self.asked.append(messages)
        self.tools.append(tools)
        answer = self.answers.pop(0)
        answer = answer(messages) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return Said(text=answer) if isinstance(answer, str) else answer


def call(name, arguments="{}"):
    """An answer that asks for one tool."""
    arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Said(text="", calls=(ToolCall(name=name, arguments=arguments),), finish_reason="tool_calls")


def tool_completion(*calls, content=None):
    """The same as a server sends it; `calls` are pairs of name and arguments."""
    asked = [
        {"id": f"x{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": asked}
    return Reply(body={"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "model": "m"})


def turn_for(message, *, before=None, said=None, sources=None, **changes):
    """One turn with the tools."""
    from hf_transfer_kit.advisor.conversation.dialogue import reply
    from hf_transfer_kit.advisor.llm.sources import Sources

    before = before or DialogueState()
    state, ruled = reply(before, message)
    return ToolTurn(
        tools=tools(**changes), before=before, state=state, ruled=ruled, said=said or (message,),
        sources=(sources or Sources()) | Sources.of_person(message),
    )  # fmt: skip


def left(text):
    """What a person takes from a reply: all of it but what is struck out."""
    return re.sub(r"~~.*?~~", " ", text, flags=re.DOTALL)
