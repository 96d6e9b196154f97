"""Names that come from the browser: of the Hub only, never a place on this machine."""

import re
from pathlib import Path

from hf_transfer_kit.errors import DataError, ModelError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
LONGEST = 200


def is_hub_name(name: str) -> bool:
    """Whether `name` can only mean something on the Hub.

    Example:
        >>> [is_hub_name(each) for each in ("org/name", "imdb", "/etc/passwd", "../x", "a/b/c")]
        [True, True, False, False, False]
    """
    return bool(_NAME.fullmatch(name)) and not Path(name).exists()


def data_name(text: str) -> str:
    """The Hub name of a data set; raises DataError for anything else."""
    name = text.strip()
    if not is_hub_name(name):
        raise DataError(f"'{name[:LONGEST]}' is no name of a data set on the Hub (org/name); upload a file instead.")
    return name


def model_name(text: str) -> str:
    """The Hub name of a model; raises ModelError for anything else."""
    name = text.strip()
    if not name:
        raise ModelError("no model is named; write a Hub name, for example sentence-transformers/all-MiniLM-L6-v2.")
    if not is_hub_name(name):
        raise ModelError(f"'{name[:LONGEST]}' is no name of a model on the Hub; write it as org/name.")
    return name
