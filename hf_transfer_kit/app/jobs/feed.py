"""A look at a job, cheap enough to be taken ten times a second by every open page."""

import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, fields
from pathlib import Path

from hf_transfer_kit.app.jobs.told import Feed, Told
from hf_transfer_kit.launch.job import EVENTS_FILE, EXIT_CODE_FILE, JOB_FILE, LOG_FILE, STOP_FILE, job_folder
from hf_transfer_kit.launch.state import ALIVE, ENDED, JobStatus
from hf_transfer_kit.launch.store import JobStore

MOST_FEEDS = 64
TRUSTED_SECONDS = 0.5  # a state stands so long while no file changes; processes may die without a word
DECIDING = (JOB_FILE, EXIT_CODE_FILE, STOP_FILE)  # files that change the state


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance(Told):
    """A job as it is now, with what its events have told.

    Fields, beside those of `Told`:
        status: state, failure, grace time.
        ahead: jobs that wait before it, where it waits.
        log_bytes: length of its log.
    """

    status: JobStatus
    ahead: int = 0
    log_bytes: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing more will happen, unless somebody resumes it."""
        return self.status.state in ENDED


class Feeds:
    """Looks at the jobs of `store`; what was read of them is kept for the next look, and can be lost at any time.

    Example:
        >>> import tempfile
        >>> Feeds(JobStore(Path(tempfile.mkdtemp()))).glance("0" * 32, owner="")
        Traceback (most recent call last):
        ...
        hf_transfer_kit.errors.OutputError: there is no job '00000000000000000000000000000000'; ...
    """

    def __init__(self, store: JobStore):
        self._store = store
        self._looks: OrderedDict[str, _Look] = OrderedDict()
        self._lock = threading.Lock()

    def glance(self, job_id: str, owner: str | None) -> Glance:
        """How a job is; the same object as before where nothing has changed.

        Raises:
            OutputError: there is no such job, or it is another owner's.
            FormatError: its files are broken.
        """
        folder = job_folder(self._store.root, job_id)
        with self._lock:
            look = self._looks.setdefault(job_id, _Look(folder))
            self._looks.move_to_end(job_id)
            while len(self._looks) > MOST_FEEDS:
                self._looks.popitem(last=False)
        return look.at(self._store, owner)


class _Look:
    """What is kept of one job between two looks."""

    def __init__(self, folder: Path):
        self._folder, self._feed = folder, Feed(folder / EVENTS_FILE)
        self._lock = threading.Lock()  # several pages may look at one job
        self._deciding: tuple[_Trace, ...] = ()
        self._events: _Trace = (0, 0, 0)
        self._looked = -TRUSTED_SECONDS
        self._glance: Glance | None = None

    def at(self, store: JobStore, owner: str | None) -> Glance:
        with self._lock:
            known, now = self._glance, time.monotonic()
            deciding = tuple(_trace(self._folder / name) for name in DECIDING)
            events = _trace(self._folder / EVENTS_FILE)
            if known is None or deciding != self._deciding or now - self._looked >= TRUSTED_SECONDS:
                found = self._whole(store)
                self._deciding, self._looked = deciding, now
            elif events != self._events:
                found = _glance(known.status, self._feed.read(), known.ahead, known.log_bytes)
            else:
                found = known
            self._events = events
            self._glance = found = known if known is not None and found == known else found
        if owner not in (None, found.status.job.owner):
            store.get(self._folder.name, owner)  # says that there is none
        return found

    def _whole(self, store: JobStore) -> Glance:
        status = store.get(self._folder.name)
        ahead = 0
        if status.state == "queued":
            waiting = [other for other in store.jobs() if other.state == "queued"]  # also starts those that may begin
            ahead = sum(other.job.number < status.job.number for other in waiting)
        return _glance(status, self._feed.read(), ahead, _trace(self._folder / LOG_FILE)[0])


def _glance(status: JobStatus, told: Told, ahead: int, log_bytes: int) -> Glance:
    values = {field.name: getattr(told, field.name) for field in fields(told)}
    if status.state not in ALIVE:
        values["seconds_left"] = None
    elif status.latest is None:  # a new attempt that has said nothing: what is known is of the one before
        values |= {"stage": "", "message": "", "done": 0, "total": 0, "seconds_left": None}
    return Glance(status=status, ahead=ahead, log_bytes=log_bytes, **values)


_Trace = tuple[int, int, int]


def _trace(path: Path) -> _Trace:
    """Size, time and number of a file, which change with what is in it; zeros where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_size, found.st_mtime_ns, found.st_ino)
