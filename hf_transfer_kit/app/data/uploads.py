"""Uploaded files, kept under the hash of their content: they outlive the page, the server and gradio's own copies.

    uploads/<visitor>/<32 hexadecimal digits>/<name>

What a browser sends is at most such a number; names come from people and are made harmless.
"""

import hashlib
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hf_transfer_kit.app.wording import in_page_words
from hf_transfer_kit.errors import DataError, OutputError
from hf_transfer_kit.launch.job import PLAN_FILE
from hf_transfer_kit.launch.queue import read_jobs

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
MOST_UPLOADS = 20  # of one visitor
LONGEST_STEM = 50  # letters; a file name has 255 bytes, and a letter up to 4
_ID = re.compile(r"[0-9a-f]{32}")
_IN_A_PATH = re.compile(r"(?<=/)[0-9a-f]{32}(?=/)")
_ODD = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A kept file.

    Fields:
        id: hash of its content and kind; the only name that a browser gives it by.
        path: where it is.
    """

    id: str
    path: Path


class Uploads:
    """The files of one visitor.

    Args:
        folder: made with the first file.
        most: files that are kept; of more, those that were not used for longest go.
    """

    def __init__(self, folder: Path, most: int = MOST_UPLOADS):
        self._folder, self._most = folder.absolute(), most

    def keep(
        self, path: Path, *, check: Callable[[Path], None] = lambda path: None, in_use: Collection[str] = ()
    ) -> Upload:  # fmt: skip
        """Copies a file that the page took; one that is there already is not copied again.

        Args:
            check: raises DataError where the file cannot be used; then nothing is kept, and nothing forgotten.
            in_use: ids of files that must stay, whatever their age.

        Raises:
            DataError: it is of no kind that can be read here, or `check` refuses it.
            OutputError: it cannot be kept, for want of room above all.
        """
        name = safe_name(path.name)
        if not name.lower().endswith(SUFFIXES):
            raise DataError(_no_table(name))
        try:
            check(path)
        except DataError as error:
            raise DataError(in_page_words(str(error), {str(path): name, path.name: name})) from error
        try:
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            number = hashlib.sha256(content + Path(name).suffix.lower().encode()).hexdigest()[:32]
            if (known := self.find(number)) is not None:
                return known
            place = self._folder / number
            _copy(path, place / name)
        except OSError as error:
            raise OutputError(
                f"'{name}' cannot be kept here ({error.strerror}); make room on the disk, then try again."
            ) from error
        self._forget_oldest({number, *in_use})
        return Upload(id=number, path=place / name)

    def find(self, number: object) -> Upload | None:
        """The file of that id, which counts as used now; None where there is none, or `number` is no id.

        Example:
            >>> Uploads(Path("uploads")).find("../../etc") is None
            True
        """
        if not isinstance(number, str) or not _ID.fullmatch(number):
            return None
        place = self._folder / number
        files = [file for file in place.iterdir() if not file.name.startswith(".")] if place.is_dir() else []
        if not files:
            return None
        os.utime(place)
        return Upload(id=number, path=files[0])

    def forget(self, number: str) -> None:
        """Removes a file; nothing happens where there is none."""
        if _ID.fullmatch(number):
            shutil.rmtree(self._folder / number, ignore_errors=True)

    def _forget_oldest(self, stay: Collection[str]) -> None:
        kept = sorted((place for place in self._folder.iterdir() if _ID.fullmatch(place.name)), key=_last_use)
        free = [place for place in kept if place.name not in stay]
        for place in free[: max(len(kept) - self._most, 0)]:
            self.forget(place.name)


def named_in_jobs(jobs: Path) -> set[str]:
    """Ids of the uploads that jobs in the folder `jobs` use: these may be resumed, and their answers looked at."""
    found: set[str] = set()
    for job in read_jobs(jobs):
        plan = jobs / job.id / PLAN_FILE
        text = plan.read_text(encoding="utf-8", errors="replace") if plan.is_file() else ""
        found.update(_IN_A_PATH.findall(" ".join([*job.command, text])))
    return found


def safe_name(name: str) -> str:
    """A name for a file that came with any name: letters, digits, ".", "-" and "_", not too long, never hidden.

    Example:
        >>> safe_name("../../my data.csv"), safe_name(".csv")
        ('my_data.csv', 'upload.csv')
    """
    last = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).name
    plain = _ODD.sub("_", last)
    stem, dot, suffix = plain.rpartition(".")
    stem, suffix = (stem, suffix[:10]) if dot else (plain, "")
    return (stem.strip("._-")[:LONGEST_STEM] or "upload") + (f".{suffix}" if suffix else "")


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = target.with_name(f".{secrets.token_hex(8)}")
    try:
        shutil.copyfile(source, waiting)
        waiting.replace(target)
    except OSError:
        waiting.unlink(missing_ok=True)
        raise


def _last_use(place: Path) -> float:
    return place.stat().st_mtime


def _no_table(name: str) -> str:
    if name.lower().endswith(".zip"):
        return (
            f"'{name}' is an archive, which the page does not unpack; upload a Parquet file with the images in it, or "
            "use: transfer-kit baseline --data FOLDER"
        )
    return f"'{name}' is no table; upload one of {', '.join(SUFFIXES)}."
