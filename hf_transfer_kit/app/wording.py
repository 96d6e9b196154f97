"""Messages of the kit in the words of the page: its fields instead of options, names instead of places."""

import re
from collections.abc import Mapping

FIELDS = {  # option of the terminal -> label of the field in the page
    "--input-column": "Input column", "--label-column": "Label column", "--task": "Kind of input",
    "--drop-empty": "Leave out empty rows", "--drop-rare": "Leave out rare classes",
    "--epochs": "Epochs", "--shots": "Examples in the prompt", "--url": "Address of a server", "--price": "Price",
    "--max-dollars": "Most dollars to spend",
    "--calibration": "Calibration", "--prompt": "Template", "--config": "Configuration", "--revision": "Revision",
    "--test-share": "Share for the test", "--split-seed": "Seed of the split", "--max-length": "Longest text",
}  # fmt: skip
_OPTION = re.compile(r"--[a-z][a-z-]*[a-z]")
_SENTENCES = (
    (re.compile(r"is neither a file or folder here nor a data set on the Hub that you may read"),
     "is no data set on the Hub that can be read here"),
    (re.compile(r"is no file or folder here, and the Hub cannot be reached to look there \(.*?\); check the path, or",
                re.DOTALL),
     "cannot be read: the Hub cannot be reached; check the name, upload a file, or"),
    (re.compile(r"; use --seeds 3 or more\."), "; runs with other seeds (Train, More settings) would tell."),
    (re.compile(r", or give a local folder\."), "."),
)  # fmt: skip


def in_page_words(text: str, places: Mapping[str, str] | None = None) -> str:
    """A message as the page says it.

    Args:
        places: what to say instead of a path.

    Example:
        >>> in_page_words("'/x/a.csv' has gaps; leave them out with --drop-empty.", {"/x/a.csv": "a.csv"})
        "'a.csv' has gaps; leave them out with “Leave out empty rows”."
    """
    for place in sorted(places or {}, key=len, reverse=True):
        text = text.replace(place, (places or {})[place])
    for sign, words in _SENTENCES:
        text = sign.sub(words, text)
    return _OPTION.sub(lambda found: f"“{FIELDS[found[0]]}”" if found[0] in FIELDS else found[0], text)
