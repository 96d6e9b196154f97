"""Questions and commands in a message: "why not full fine-tuning?", "what is EWC?", "what if I had 20k?", "undo"."""

import re
from dataclasses import dataclass

KINDS = ("why", "why_not", "what_is", "what_if", "show_plan", "start_again", "undo", "help", "end")
_COMMANDS = {  # the whole message
    "start_again": (
        r"(?:start|begin) (?:all )?(?:again|over|anew|afresh|from the (?:start|beginning))",
        r"reset|restart|clear|new (?:task|conversation|chat)",
    ),
    "undo": (r"undo(?: (?:that|it|this|the last(?: one)?))?", r"(?:go |take (?:that|it) )?back|revert|one step back"),
    "show_plan": (
        r"(?:(?:show|print|give|see|display|repeat)(?: me| us)?(?: the| my)? )?"
        r"(?:plan|advice|recommendation|summary|yaml)",
        r"what(?:'s| is) (?:the|my|your) (?:plan|advice|recommendation)",
        r"what (?:do|would) you (?:advise|recommend|suggest)|what should i do(?: now)?",
    ),
    "help": (
        r"help(?: me)?|what can you do|how does this work|what is this|who are you|\?+",
        r"(?:hello|hi)(?: there)?|hey|good (?:morning|evening|afternoon)",
    ),
    "end": (
        r"(?:no |great |perfect )?thanks?(?: you| a lot| so much| very much)?",
        r"bye|goodbye|quit|exit|that(?:'s| is) all|done|that will do",
    ),
}
_ASKS = {  # somewhere in a sentence
    "what_if": (
        r"\b(?:and |but )?what (?:if|about|happens? (?:if|with))\b",
        r"\bwhat would (?:change|happen|you (?:advise|say|recommend)) (?:if|with|for)\b",
        r"\b(?:how about|suppose|supposing|assuming|imagine (?:i|we))\b",
        r"\bif (?:i|we) (?:had|got|were|used|could|bought|rented|label(?:led|ed)|collected)\b",
    ),
    "why_not": (
        r"\bwhy (?:not|no|don't|shouldn't|can't|isn't|didn't|wouldn't|aren't)\b",
        r"\bwhat(?:'s| is) wrong with\b|\breasons? against\b",
    ),
    "why": (
        r"\bwhy\b|\bhow come\b|\bwhat makes you\b|\bexplain yourself\b|\bwhat are the reasons\b|\breasons?\?",
        r"\bexplain (?:the|this|that|your) (?:advice|plan|choice|reasons?)\b",
    ),
    "need": (
        r"\b(?:do|would|should|must) (?:i|we) (?:really |even |have to )?"
        r"(?:need|use|buy|get|rent|label|collect|take|try|choose)\b",
        r"\b(?:know|wonder|wondering|sure|ask) (?:if|whether)\b|\bwhether (?:i|we|it|an?|the)\b",
        r"^\W*(?:is|are) (?:an? |the )?[\w -]{1,40} (?:needed|necessary|required)\b",
        r"^\W*(?:would|will|does) [\w -]{1,40} help\b",
    ),
    "what_is": (
        r"^\W*(?:and |but |so |ok |please |can you )*"
        r"(?:what(?:'s| is| are| does| means| do you mean by)|explain|define|meaning of|tell me (?:more )?about)\b",
    ),
}
_PLEASE, _NOW = r"^\W*(?:please |ok |okay |can you |could you )*", r"(?: please| now)?\W*$"
_COMMAND = {kind: re.compile(f"{_PLEASE}(?:{'|'.join(patterns)}){_NOW}") for kind, patterns in _COMMANDS.items()}
_ASK = {kind: re.compile("|".join(patterns)) for kind, patterns in _ASKS.items()}
_LEAD = re.compile(
    r"^(?:\s*(?:is|are|does|do|an?|the|you|we|i|use|using|just|simply|advise|recommend|suggest|mean by)\b)*\s*"
)
_TAIL = re.compile(r"\s*(?:\bmeans?\b|\bstands? for\b|\bplease\b|\bhere\b|\bexactly\b|\bthen\b)*[\s?!.,;:]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question or command: one of `KINDS`, what it is about in the person's words, and its place in the message."""

    kind: str
    about: str
    start: int
    end: int


def command(tidied: str) -> Asked | None:
    """The command that `tidied` (see `words.tidy`), the whole of it, is.

    Example:
        >>> command("start again!").kind
        'start_again'
    """
    kinds = (kind for kind, pattern in _COMMAND.items() if len(tidied) <= 80 and pattern.match(tidied))
    return next((Asked(kind=kind, about="", start=0, end=len(tidied)) for kind in kinds), None)


def question(tidied: str, start: int, end: int) -> Asked | None:
    """The question in the sentence `tidied[start:end]`, from the words that make it one to the sentence's end.

    "do I need a GPU?" asks what a GPU would change, so it is a `what_if`.

    Example:
        >>> asked = question("why not full fine-tuning?", 0, 25)
        >>> asked.kind, asked.about
        ('why_not', 'full fine-tuning')
    """
    sentence = tidied[start:end]
    for kind, pattern in _ASK.items():
        match = pattern.search(sentence)
        if match:
            about = _TAIL.sub("", _LEAD.sub("", sentence[match.end() :]))
            kind = "what_if" if kind == "need" else kind
            return Asked(kind=kind, about=about[:80].strip(), start=start + match.start(), end=end)
    return None
