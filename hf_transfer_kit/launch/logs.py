"""The end of a log, however long the log is, with no secret in it."""

import os
import re
from pathlib import Path

from hf_transfer_kit.events import Event, parse_event

SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "TRANSFER_KIT_API_KEY", "WANDB_API_KEY")
TAIL_BYTES = 20_000
_MARGIN = 512  # bytes read before what is shown, so that a secret cut in two is still seen as one
_HF_TOKEN = re.compile(r"\b(?:hf|api_org)_(?!transfer_kit\b)[A-Za-z0-9]{6,}")
_SHORTEST = 4  # letters of a secret; a shorter one would black out ordinary words


def masked(text: str) -> str:
    """`text` with stars for Hugging Face tokens and for what the environment holds as secrets; as long as before.

    Example:
        >>> masked("token hf_abcdefghij in use")
        'token hf_********** in use'
    """
    for name in SECRETS:
        value = os.environ.get(name, "").strip()
        if len(value) >= _SHORTEST:
            text = text.replace(value, "*" * len(value))
    return _HF_TOKEN.sub(lambda found: found[0][:3] + "*" * (len(found[0]) - 3), text)


def tail(path: Path, *, start: int = 0, most: int = TAIL_BYTES) -> str:
    """The last lines of a log, at most about `most` bytes of them, masked; "" where there is no log.

    Seeks to the end, so a log of 200 MB costs no more than a short one. Of a line that was drawn again and again (a
    progress bar), the last drawing is kept.

    Args:
        start: byte to begin at, to leave out earlier attempts.
    """
    raw, cut = _end_of(path, start, most + _MARGIN)
    text = masked(raw.decode("utf-8", errors="replace"))
    if cut:
        text = text[_MARGIN:]
        text = text.partition("\n")[2] or text  # one endless line is shown from its middle
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


class LogFollower:
    """What is appended to a log, line by line and masked; far behind, it leaves out the middle and says so.

    Args:
        start: byte to begin at.
    """

    def __init__(self, path: Path, start: int = 0, most: int = 10 * TAIL_BYTES):
        self._path, self._position, self._most = path, start, most

    def new(self, *, last: bool = False) -> list[str]:
        """The lines finished since the last call; with `last`, also one that has no end yet."""
        try:
            size = self._path.stat().st_size
        except OSError:
            return []
        lines = []
        if size - self._position > self._most:
            lines.append(f"... {size - self._position - self._most} bytes left out ...")
            self._position = size - self._most
        with open(self._path, "rb") as file:
            file.seek(self._position)
            raw = file.read(self._most)
        whole = raw if last or len(raw) == self._most else raw[: raw.rfind(b"\n") + 1]
        self._position += len(whole)
        text = masked(whole.decode("utf-8", errors="replace")).removesuffix("\n")
        return lines + ([line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")] if whole else [])


def last_events(path: Path, *, start: int = 0, most: int = TAIL_BYTES) -> list[Event]:
    """The last events of an event file, oldest first; [] where there are none.

    Raises:
        FormatError: a line of the file has another format or version.
    """
    raw, cut = _end_of(path, start, most)
    lines = raw.split(b"\n")[1 if cut else 0 :]
    events = (parse_event(line.decode("utf-8", errors="replace"), where=str(path)) for line in lines)
    return [event for event in events if event is not None]


def _end_of(path: Path, start: int, most: int) -> tuple[bytes, bool]:
    """(The last `most` bytes from `start` on, whether there are more before them.)"""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(start, size - most)
            file.seek(min(begin, size))
            return file.read(most), begin > start
    except OSError:
        return b"", False
