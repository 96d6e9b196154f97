"""Files that a visitor takes away, kept where gradio removes them after a day."""

import re
from pathlib import Path

from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

LONGEST = 60  # letters of a name


def offered(content: str, name: str) -> str:
    """The path of a file with this content and name, for a DownloadButton.

    It lies at once in the folder that the button would copy it to, so that no second copy is left behind.
    """
    return save_bytes_to_cache(content.encode(errors="replace"), name, get_upload_folder())


def file_name(what: str, about: str, ending: str) -> str:
    """A file name that says what is in it.

    Example:
        >>> file_name("comparison", "my data.csv", "html")
        'comparison-my-data.html'
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(about).stem).strip("-")[:LONGEST]
    return f"{what}-{plain}.{ending}" if plain else f"{what}.{ending}"
