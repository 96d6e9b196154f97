"""Events: what a run says while it works, one JSON line each, for progress bars, the terminal and the app.

    {"format": "hf_transfer_kit.events", "version": 1, "time": 1763715600.1, "kind": "start", ...}
    {"time": 1763715603.0, "kind": "progress", "stage": "training", "done": 40, "total": 200}

The first line of a file names format and version; each new attempt at the same run appends a "start" event. Lines are
written whole, so a reader that follows the file never sees half an event of a living writer; a torn last line (power
cut) is skipped. Imports no torch.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hf_transfer_kit.errors import FormatError

FORMAT = "hf_transfer_kit.events"
VERSION = 1
BLOCK_BYTES = 2**17  # read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Fields:
        time: seconds since 1970.
        kind: "start" (an attempt begins), "stage" (a part of the work begins), "progress" (how far it is), "log"
            (numbers such as loss and accuracy), "error" (the attempt ends with a message), "finish" (the record is
            written).
        stage: "loading", "old data" (a model learns it first), "features", "training", "scoring".
        done, total: units of the stage's work; total 0: unknown.
        message: a sentence for people.
        values: the numbers of a "log" event.
    """

    time: float
    kind: str
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    values: dict[str, float]


class EventWriter:
    """Appends events to a file; use as a context manager.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "events.jsonl"
        >>> with EventWriter(path) as events:
        ...     events.write("progress", stage="training", done=1, total=2)
        >>> [event.done for event in read_events(path)]
        [1]
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        self._file = open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1)
        if torn:
            self._file.write("\n")
        self._is_new = path.stat().st_size == 0
        self._last_progress = -math.inf

    def write(
        self, kind: str, *, stage: str = "", done: int = 0, total: int = 0, message: str = "", **values: float
    ) -> None:
        """Appends one event; `values` are the numbers of a "log" event, of which only finite ones are kept."""
        line: dict[str, Any] = {"format": FORMAT, "version": VERSION} if self._is_new else {}
        self._is_new = False
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        optional = {"stage": stage, "done": done, "total": total, "message": message, "values": finite}
        line |= {"time": time.time(), "kind": kind} | {name: value for name, value in optional.items() if value}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def progress(self, stage: str, done: int, total: int) -> None:
        """A "progress" event, at most ten a second, but always the last one of a stage."""
        now = time.monotonic()
        if done >= total > 0 or now - self._last_progress >= 0.1:
            self._last_progress = now
            self.write("progress", stage=stage, done=done, total=total)

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def parse_event(line: str, where: str = "events") -> Event | None:
    """The event in one line, or None where the line is torn.

    Raises:
        FormatError: the line belongs to a file of another format or version.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if fields.get("format", FORMAT) != FORMAT or fields.get("version", VERSION) != VERSION:
        raise FormatError(
            f"{where} has format {fields.get('format')!r}, version {fields.get('version')!r}; this release reads "
            f"{FORMAT} version {VERSION}."
        )
    try:
        return Event(
            time=float(fields["time"]),
            kind=str(fields["kind"]),
            stage=str(fields.get("stage", "")),
            done=int(fields.get("done", 0)),
            total=int(fields.get("total", 0)),
            message=str(fields.get("message", "")),
            values={str(name): float(value) for name, value in fields.get("values", {}).items()},
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None


class EventFollower:
    """The events appended to a file since the last look; each whole line is read once, so a long file costs nothing.

    Args:
        path: need not exist yet.
        start: byte to begin at: the size of the file before this attempt, to leave out the events of earlier ones.

    Raises (from `new`):
        FormatError: the file has another format or version.
    """

    def __init__(self, path: Path, start: int = 0):
        self._path, self._position = path, start

    def new(self) -> list[Event]:
        """The events of the lines finished since the last call, in order."""
        return [event for block in self.blocks() for event in block]

    def blocks(self) -> Iterator[list[Event]]:
        """The same, a block of lines at a time, so that a long file is never in memory as a whole."""
        if not self._path.exists():
            return
        with open(self._path, "rb") as file:
            file.seek(self._position)
            whole = True
            while whole and (lines := file.readlines(BLOCK_BYTES)):
                whole = lines[-1].endswith(b"\n")  # else the writer is in the middle of it
                lines = lines if whole else lines[:-1]
                self._position += sum(map(len, lines))
                events = (parse_event(line.decode("utf-8", errors="replace"), where=str(self._path)) for line in lines)
                yield [event for event in events if event is not None]


def read_events(path: Path) -> Iterator[Event]:
    """The events of a file in order; a missing file has none; torn lines are skipped.

    Raises:
        FormatError: the file has another format or version.
    """
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            event = parse_event(line, where=str(path))
            if event is not None:
                yield event


def seconds_spent(path: Path, without: str = "") -> float:
    """Wall seconds of the attempts recorded in an event file: each from its start to its last sign of life.

    Args:
        without: a stage whose seconds do not count.
    """
    spent, last, stage = 0.0, None, ""
    for event in read_events(path):
        if event.kind == "start":
            last, stage = event.time, ""
        if last is not None:
            spent += event.time - last if not without or stage != without else 0.0
            last = event.time
        stage = event.stage if event.kind == "stage" else stage
    return spent
