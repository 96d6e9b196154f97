"""What stands around a prompt, and around the words of the label that follows it: nothing, or a chat.

Nothing about a template is assumed: what stands before and after a label is read off where the template shows an
example with its label.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import TemplateError

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.prompts import Prompt

_FIRST, _SECOND = "8462790135", "9731204586"  # stand for an input or an answer, to be found again
# Templates that write today's date would give other scores every day.
_ANY_DAY = "{%- macro strftime_now(form) -%}01 Jan 2025{%- endmacro -%}"
_OPEN_THINKING = re.compile(r"(<[^<>/]*(think|reason)[^<>/]*>|\[THINK\]|◁think▷)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How a prompt becomes what the model reads, and a label's words what it is asked the probability of.

    Fields:
        wrap: from a prompt to the whole context: itself, or a chat up to where the assistant speaks.
        separator: white space between the context and the label's words.
        end: what follows the words.
        starts: whether the tokenizer's start tokens go before the context.
    """

    wrap: Callable[[str], str]
    separator: str
    end: str
    starts: bool


def plain_frame(prompt: Prompt, labels: Sequence[str], input_noun: str) -> Frame:
    """For a model that goes on with text: a label stands as it does in the template's demonstrations.

    Templates without demonstrations: a space before, a line break behind.

    Example:
        >>> template = "{% for each in demonstrations %}{{ each.input }}: {{ each.label }};{% endfor %}{{ input }}:"
        >>> frame = plain_frame(Prompt(name="mine", template=template), ["good", "bad"], "text")
        >>> frame.separator, frame.end
        (' ', ';')
    """
    examples = [Demonstration(input=_FIRST, label=labels[0]), Demonstration(input=_SECOND, label=labels[-1])]
    text = prompt.render("", labels, examples, input_noun=input_noun)
    between = text.partition(_FIRST)[2].partition(_SECOND)[0]
    before, found, after = between.partition(prompt.words(labels[0]))
    if _SECOND not in text or not found or prompt.words(labels[0]) in after:
        return Frame(wrap=str, separator=" ", end="\n", starts=True)
    lines = re.match(r"[^\n]*\n+", after)
    end = lines[0] if lines else after.rstrip() or "\n"
    return Frame(wrap=str, separator=before[len(before.rstrip()) :], end=end, starts=True)


def chat_frame(tokenizer: Any, system: str) -> Frame:
    """For a model that chats: one question of the user, and the label as the assistant's whole answer.

    Where the template knows no system message, the user says it.

    Raises:
        PromptError: the template cannot hold a question, or lets the model think before it answers, so that the
            probability of an answer alone says nothing.
    """
    has_system = bool(system) and _shows_system(tokenizer, system)

    def messages(text: str) -> list[dict[str, str]]:
        if has_system:
            return [{"role": "system", "content": system}, {"role": "user", "content": text}]
        return [{"role": "user", "content": f"{system}\n\n{text}" if system else text}]

    opening = _said(tokenizer, messages(_FIRST), open=True)
    turn = _said(tokenizer, [*messages(_FIRST), {"role": "assistant", "content": _SECOND}], open=False)
    before, _, after = turn.partition(_SECOND)
    gap = before.removeprefix(opening) if before.startswith(opening) else ""
    more, separator = (gap, "") if gap.strip() else ("", gap)  # more than space: an empty thought, a channel's name
    if _OPEN_THINKING.search(opening + more):
        raise PromptError(
            "the model's chat template lets it think before it answers, and enable_thinking=False does not stop it; "
            "score labels with a model that answers at once, or ask this one on a server: --url."
        )
    return Frame(
        wrap=lambda text: _said(tokenizer, messages(text), open=True) + more,
        separator=separator,
        end=after.lstrip() or after or tokenizer.eos_token or "\n",
        starts=False,
    )


def _shows_system(tokenizer: Any, system: str) -> bool:
    """Whether the template writes a system message; some refuse it, some leave it out."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": _FIRST}]
    try:
        return system.strip() in _said(tokenizer, messages, open=True)
    except PromptError:
        return False


def _said(tokenizer: Any, messages: list[dict[str, str]], *, open: bool) -> str:
    """The chat as text; `open`: up to where the assistant speaks."""
    try:
        text: str = tokenizer.apply_chat_template(
            messages, chat_template=_ANY_DAY + tokenizer.get_chat_template(), tokenize=False,
            add_generation_prompt=open, enable_thinking=False,
        )  # fmt: skip
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        raise PromptError(
            f"the model's chat template cannot hold this prompt: {error}; try it without chat."
        ) from error
    return text
