"""The model that a person wants to start from, by its Hub id ("start from org/name"); no paths, which are files."""

import re
from collections.abc import Sequence

from hf_transfer_kit.advisor.language.words import Token

_PART = r"[A-Za-z0-9][\w.-]{0,94}\w"
_NAMED = re.compile(
    r"\b(?:start(?:ing)?|begin|use|using|based?|based on|fine-?tun(?:e|ed|ing)|take|try|with|from|model)\b"
    rf"(?:[ ,:'\"]+[\w']+){{0,4}}?[ ,:'\"]+(?P<id>{_PART}/{_PART})(?![\w/])",
    re.IGNORECASE,
)
_NO_ORGANISATIONS = frozenset(
    "and or train test val validation yes no true false text image images input output".split()
)


def starting_model(tokens: Sequence[Token], text: str) -> tuple[str | None, tuple[Token, ...]]:
    """(Hub id, the tokens without it and what leads to it); None where no model is named.

    Two words with a slash are not enough for one.

    Example:
        >>> from hf_transfer_kit.advisor.language.words import tokenize
        >>> [starting_model(tokenize(said), said)[0] for said in ("start from org/bert-tiny", "use cats and/or dogs")]
        ['org/bert-tiny', None]
    """
    for match in _NAMED.finditer(text):
        organisation, _, name = match["id"].partition("/")
        inside = [token for token in tokens if match.start() <= token.start < match.end()]
        is_name = any(sign.isdigit() or sign in "-_." for sign in name) and any(sign.isalpha() for sign in name)
        if inside and is_name and organisation.isascii() and organisation.lower() not in _NO_ORGANISATIONS:
            return match["id"], tuple(token for token in tokens if token not in inside)
    return None, tuple(tokens)
