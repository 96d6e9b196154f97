"""The models, addresses and commands that a text names."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache

from hf_transfer_kit.advisor.knowledge.models import known_models

_URL = re.compile(
    r"\bhttps?:\s*/\S+|\bwww\.\S+|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.(?:com|org|net|io|ai|co|dev|sh|ru|cn|xyz|info|app)\b\S*",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"(?:^|(?<=[\s\"'(:;&|]))(?:\$ [^\s…].*|sudo .*|(?:curl|wget|rm|chmod|chown|bash|zsh|sh|pip3?|uv|conda|npm|git"
    r"|docker|eval|exec|powershell|python3?|ssh|scp|nc|dd|kill|cat|mv)"
    r"[ ]+(?:-\S|/|~|\.|http|install\b|clone\b|run\b|add\b|\S+[./]\S|\$).*"
    r"|(?:os\.system|subprocess|__import__|eval|exec)\W.*)",
    re.MULTILINE,
)
_ID = re.compile(r"(?<![\w/.])[\w.-]+(?:/[\w.-]+)+")
_WORD = re.compile(r"(?<!\w)[^\W\d_]\w*(?:[-.]\w+)*")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[\w.-]{1,96})?")
_PAIRS = frozenset(  # what English writes with a stroke
    """
    and/or or/and yes/no true/false on/off input/output in/out train/test train/validation training/validation
    validation/test cpu/gpu gpu/cpu he/she his/her n/a w/o w/ km/h text/image image/text pre/post before/after and/not
    positive/negative pros/cons accuracy/speed speed/accuracy
    """.split()
)
_NO_NAMES = frozenset(  # written like names, but everybody's words
    """
    lora loras qlora gpus cpus tpus apis ids gib mib kib gb mb tb pytorch huggingface github tensorflow f1 l1 l2 2d 3d
    tf-idf knn logme iphone ipad javascript macos 1st 2nd 3rd hugging-face x-ray x-rays l2-sp
    """.split()
)
_FAMILIES = frozenset(  # beside those of models.toml
    """
    claude gemini qwen gemma falcon deepseek convnext dino xlnet electra albert whisper wav2vec mixtral chatgpt yolo
    bart bloom mpnet word2vec fasttext densenet alexnet regnet beit deit siglip xgboost lightgbm catboost minilm glove
    squeezenet efficientnet nasnet perceiver longformer bigbird pegasus opt phi sam unet u-net r-cnn hubert kimi grok
    transformer-xl camembert flaubert layoutlm donut trocr chronos timesfm informer autoformer
    """.split()
)
_ENGLISH = frozenset("clip blip inception swin falcon bloom whisper donut phi opt sam glove pegasus perceiver dino mistral bart chronos informer".split())  # fmt: skip  # noqa: E501


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """`word` at `[start, end)`: a model, an id, an address or a command; `kind`: "model", "address", "command"."""

    start: int
    end: int
    word: str
    kind: str = "model"


@cache
def _known() -> tuple[re.Pattern[str], dict[str, frozenset[str]]]:
    """A pattern of all names in models.toml, the longest first; and what else each of them is called."""
    called: dict[str, set[str]] = {}
    for model in known_models().values():
        names = {model.name.casefold()}
        if model.hub_id:
            names |= {model.hub_id.casefold(), model.hub_id.casefold().rpartition("/")[2]}
        for name in names:
            called.setdefault(name, set()).update(names)
    longest = sorted(called, key=len, reverse=True)
    pattern = "|".join(re.escape(name) for name in longest)
    frozen = {name: frozenset(others) for name, others in called.items()}
    return re.compile(rf"(?<![\w/-])(?:{pattern})(?![\w/]|-\w|\.\w)", re.IGNORECASE), frozen


@cache
def _families() -> frozenset[str]:
    own = {part for model in known_models().values() for part in model.family.casefold().split()}
    return frozenset(own | _FAMILIES) - {"faster", "multilingual"}


def names_in(text: str) -> Iterator[Named]:
    """Everything in `text` that is written like the name of a model, an address or a command; none overlap.

    - a name or Hub id of models.toml, as a whole;
    - words joined by a stroke (org/name), but for what English writes so (and/or);
    - words with a figure or a capital inside (ResNet-50, ConvNeXt), and the names of model families.

    Example:
        >>> [each.word for each in names_in("ResNet-50 and/or org/new-model, not UltraBERT or a pre-trained one")]
        ['ResNet-50', 'org/new-model', 'UltraBERT']
    """
    known, _ = _known()
    for pattern, kind in ((_COMMAND, "command"), (_URL, "address"), (known, "model"), (_ID, "id"), (_WORD, "word")):
        spans = []
        for match in pattern.finditer(text):
            word = match[0].rstrip(".,;:!?)\"'-") if kind != "model" else match[0]
            taken = Named(
                start=match.start(), end=match.start() + len(word), word=word,
                kind=kind if kind in ("command", "address") else "model",
            )  # fmt: skip
            if kind == "id" and (word.casefold() in _PAIRS or re.fullmatch(r"[\d./-]+", word) or "/" not in word):
                continue
            if kind == "word" and not _is_name(word):
                continue
            spans.append(taken)
        yield from spans
        text = blanked(text, spans)


def blanked(text: str, spans: Collection[Named]) -> str:
    """`text` with an ellipsis for every character of `spans`: nothing is read across them."""
    letters = list(text)
    for each in spans:
        letters[each.start : each.end] = "…" * (each.end - each.start)
    return "".join(letters)


def _is_name(word: str) -> bool:
    """Whether a word is written like a name: a model family, or figures or capitals inside."""
    low = word.casefold()
    if low in _NO_NAMES:
        return False
    for part in re.split(r"[-.]", word):
        if part.casefold() in _NO_NAMES:
            continue
        family = part.casefold() in _families() and (part.casefold() not in _ENGLISH or not part.islower())
        inside = any(each in part.casefold() for each in _families() if len(each) >= 4 and each not in _ENGLISH)
        if family or inside or re.search(r"[^\W\d]\d|\d[^\W\d]|[a-z][A-Z]", part):
            return True
    return low in _families() or bool(re.search(r"[^\W\d]{3,}-\d+$", word) and not low.startswith("top-"))


def called(names: Collection[Named]) -> frozenset[str]:
    """All that the models named are called, in small letters: a known model's name and Hub id stand for each other."""
    _, known = _known()
    found = set[str]()
    for each in names:
        low = each.word.casefold()
        found |= known.get(low, frozenset()) | {low}
        found |= {part for part in re.split(r"[-._/ ]", low) if part in _families()}
    return frozenset(found)


def has_source(name: Named, names: frozenset[str]) -> bool:
    """Whether `names` (see `called`) hold it: whole, in the plural, or in parts that are all words or names."""
    low = name.word.casefold()
    if low in names or low.removesuffix("s") in names or low.removesuffix("'s") in names:
        return True
    if name.kind != "model" or "/" in low:
        return False
    parts = low.split("-")
    return len(parts) > 1 and all(part in names or (part.isalpha() and not _is_name(part)) for part in parts)
