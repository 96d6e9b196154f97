"""Answers of remote models, kept on disk: a question that was answered once is never sent, or paid for, again.

One SQLite file. Several threads and processes may use it at once; an answer is there as a whole or not at all. It
holds answers by the hash of their request: no questions, and no key of a server.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from hf_transfer_kit.errors import OutputError, PlanError
from hf_transfer_kit.prompting.remote.chat import Answer
from hf_transfer_kit.values import from_mapping, to_mapping

FILE = "answers.sqlite"
LOCK_SECONDS = 60.0  # how long to wait for another process that writes
KEYS_AT_ONCE = 500  # SQLite's builds allow 999 values in one query and more
TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, written REAL NOT NULL)"


class AnswerCache:
    """Answers by the key of their request, in the file `answers.sqlite` of `folder`, which is made when needed.

    Raises (all methods):
        OutputError: the file cannot be read or written, or is something else.

    Example:
        >>> cache = AnswerCache(Path("answers"))
        >>> cache.keep("a key", Answer(text="lost card", finish_reason="stop"))
        >>> cache.find(["a key", "another"])["a key"].text
        'lost card'
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._one_writer = threading.Lock()  # waits without SQLite's polling

    def find(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers there are, by key. An entry that cannot be read counts as none."""
        found: dict[str, Answer] = {}
        if not keys or not self.path.exists():
            return found
        with self._open() as database:
            for start in range(0, len(keys), KEYS_AT_ONCE):
                some = keys[start : start + KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", some)
                found |= {key: answer for key, text in rows if (answer := _read(text)) is not None}
        return found

    def keep(self, key: str, answer: Answer) -> None:
        """Stores `answer`; on disk when this returns."""
        text = json.dumps(to_mapping(answer))
        with self._one_writer, self._open() as database:
            database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, text, time.time()))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use, so that threads share none; commits at the end."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=LOCK_SECONDS)) as database, database:
                database.execute(TABLE)
                yield database
        except (sqlite3.Error, OSError) as error:
            raise OutputError(
                f"the answers kept in '{self.path}' cannot be used ({error}); move the file away."
            ) from error


def _read(text: str) -> Answer | None:
    try:
        return from_mapping(Answer, json.loads(text), "answer")
    except (ValueError, PlanError):
        return None
