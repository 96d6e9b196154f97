"""The methods of transfer that a text names, and whether a sentence recommends one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TRAIN = r"(?:fine[- ]?tun|train|re-?train|updat|adapt|unfreez|optimi[sz])\w*"
_ALL = r"(?:all|every|each)(?: of)?(?: the| its)?(?: \w+)?"
_WHOLE = r"(?:the |your )?(?:whole|entire|full|complete)(?: pre-?trained)?"
_PATTERNS = {  # of the approaches of `compare`; then of others, which no rule names
    "full": rf"full(?:y|-model|-parameter|-weight)?[- ](?:model |parameter )?(?:re-?)?(?:fine[- ]?tun|train)\w*"
            rf"|{_TRAIN} (?:{_ALL} (?:layer|weight|parameter|block)s?|{_WHOLE} (?:model|network|backbone|encoder)"
            rf"|everything)|\ball (?:the )?(?:layers|weights|parameters)\b|end[- ]to[- ]end (?:fine[- ]?tun|train)\w*",
    "scratch": r"from scratch|(?:from|with) random(?:ly)? (?:init\w*|weights|start)|from a random start",
    "lora": r"q?lora|low[- ]rank(?: adapt\w+)?|adapters?",
    "gradual": r"gradual\w* (?:un)?(?:freez|thaw)\w*|unfreez\w*(?: \w+){0,3} (?:gradually|layer by layer|one by one)"
               r"|ulmfit",
    "top_layers": rf"(?:top|upper)(?:most)?[-_ ](?:\w+ )?(?:layer|block)s?|partial(?:ly)?[- ]fine[- ]?tun\w*"
                  rf"|{_TRAIN} (?:only )?(?:the )?(?:last|final)(?: \w+)? (?:layer|block)s?",
    "features": r"feature[- ]extract\w*|linear[- ]prob\w*|frozen (?:feature|body|backbone|encoder|embedding)s?"
                r"|fixed features",
    "zero_shot": r"zero[-_ ]?shot",
    "few_shot": r"few[-_ ]?shot|in[- ]context learn\w*|(?:a few )?examples in the prompt",
    **{name: re.escape(name).replace(r"\ ", r"[- ]") for name in (
        "prefix tuning", "prompt tuning", "setfit", "bitfit", "ia3", "rlhf", "dpo", "distillation", "meta learning",
        "self training", "continued pre-training", "domain adaptive pre-training", "co-training", "instruction tuning",
    )},
}  # fmt: skip
_METHOD = {
    name: re.compile(rf"(?<![a-z0-9]){'(?:' + pattern + ')'}(?![a-z0-9])", re.IGNORECASE)
    for name, pattern in _PATTERNS.items()
}
_NAMED = re.compile(  # "method: full"
    r"\b(?:method|approach|strategy|advice|answer|recommendation|choice)\b[\s\"'=:,-]*"
    r"(?:is |are |should be |would be )?[\s\"']*"
    r"(?P<id>full|features|gradual|scratch|lora|top_layers|zero_shot|few_shot)\b",
    re.IGNORECASE,
)
_RECOMMENDS = re.compile(
    r"\b(?:recommend|advi[sc]e|suggest|propos|use|using|choos|chose|go (?:with|for)|going with|pick|take|try|start"
    r"|should|must|need to|have to|ought|best|better|ideal|optimal|perfect|right|method|approach|strategy|answer|decid"
    r"|decision|opt |switch|prefer|want|plan|works?|win|beats?|appl|run|do |let's|just|simply|is it)\w*",
    re.IGNORECASE,
)
_CONDITION = re.compile(  # holds for all that stands together
    r"\b(?:if|when|once|unless|alternatives?|alternatively|above|below|over|under|beyond|from \d|more than|fewer than"
    r"|less than|with more|with fewer|baselines?|beats?|compared?|beside|why)\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(  # holds as far as the next comma
    r"\b(?:would|could|might|instead of|than|not|never|no|without|later|avoid\w*|against|risk\w*|overfit\w*|too|cannot"
    r"|only)\b|n't\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?:[^.!?;\n]|\.(?=\w))+[.!?;\n]?|[.!?;\n]")
_TURN = re.compile(r"\b(?:but|however|yet|still|nevertheless|instead(?! of)|so)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodNamed:
    """`method` at `[start, end)`; `recommended`: its sentence says to use it, under no condition."""

    start: int
    end: int
    method: str
    recommended: bool


def methods_named(text: str) -> Iterator[MethodNamed]:
    """Every mention of a method in `text`.

    A sentence, or what stands before or after a "but" in it, recommends what it names where it has a word of
    recommendation or begins with the method; unless it has a condition ("if", "above 10,000", "alternative"), or the
    clause between its commas a denial ("not", "would", "overfit").

    Example:
        >>> [(each.method, each.recommended) for each in methods_named("Use LoRA. Not from scratch.")]
        [('lora', True), ('scratch', False)]
    """
    for start, end in _parts(text):
        part = text[start:end]
        named = [(match.span(), name) for name, pattern in _METHOD.items() for match in pattern.finditer(part)]
        named += [(match.span("id"), match["id"].lower()) for match in _NAMED.finditer(part)]
        lead = re.match(r"[\s\d.)\"':,-]*", part)
        begin = lead.end() if lead else 0
        for (first, last), name in named:
            clause = part[part.rfind(",", 0, first) + 1 : first] + part[first:].partition(",")[0]
            recommends = first == begin or bool(_RECOMMENDS.search(part))
            yield MethodNamed(
                start=start + first, end=start + last, method=name,
                recommended=recommends and not (_CONDITION.search(part) or _DENIAL.search(clause)),
            )  # fmt: skip


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of `text` stand, cut at every "but"."""
    for sentence in _SENTENCE.finditer(text):
        turns = [match.start() for match in _TURN.finditer(sentence[0])]
        ends = [*turns, len(sentence[0])]
        for start, end in zip([0, *turns], ends, strict=True):
            if start < end:
                yield sentence.start() + start, sentence.start() + end
