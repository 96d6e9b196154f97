"""What a run leaves in its `model` folder: what answers again, and the hash that tells it from others."""

import hashlib
from functools import lru_cache
from pathlib import Path

CARD_FILE = "README.md"  # tells of the model, and is no part of it
SHOWN = 12  # hexadecimal digits that people compare


def model_files(folder: Path) -> list[Path]:
    """The files below `folder` that decide what is answered, in order; none where nothing was saved."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != CARD_FILE)


def weights_hash(folder: Path) -> str:
    """12 hexadecimal digits of what answers: weights, or a prompt with its examples; "" where nothing was saved.

    Example:
        >>> weights_hash(Path("no/such/folder"))
        ''
    """
    files = model_files(folder)
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(folder).as_posix()}:{file_sha256(file)}\n".encode())
    return total.hexdigest()[:SHOWN] if files else ""


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's content, remembered until the file changes."""
    state = file.stat()
    return _sha256(str(file), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _sha256(path: str, mtime_ns: int, size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
