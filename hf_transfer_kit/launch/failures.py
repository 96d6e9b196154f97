"""Why a job failed, in one sentence with the remedy: from its exit code, its last error event and the end of its log.

What the kit itself said (an "error" event) is a sentence with a way out already. The rest is what libraries and
launchers leave in a log when no Python code had the last word.
"""

import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

LEAST_FREE_BYTES = 2**20
SHORTAGES = ("memory", "disk")  # what one worker may have met while another only says that it lost it
KIT_ERROR = 2  # exit code of a run that ends with an error of the kit
RESUME = "resume continues from the last checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job ended.

    Fields:
        kind: "memory", "disk", "worker", "signal", "network", "model", "kit" (an error that the kit explains itself),
            "lost", "other".
        sentence: for people.
    """

    kind: str
    sentence: str


_MEMORY = Failure(
    kind="memory",
    sentence="memory ran out; lower training.batch_size, raise training.accumulation, or choose a smaller model.",
)
_DISK = Failure(kind="disk", sentence=f"the disk is full; make room, then {RESUME}.")
_SIGNS = (  # in this order: what is nearer to the cause comes first
    (re.compile(r"no space left on device|disk quota exceeded|the disk is full", re.I), _DISK),
    (
        re.compile(
            r"out of ?memory|memory ran out|can't allocate memory|cannot allocate memory|^memoryerror|std::bad_alloc",
            re.I | re.M,
        ),
        _MEMORY,
    ),
    (
        re.compile(r"offlinemodeisenabled|localentrynotfound|name resolution|max retries exceeded|"
                   r"failed to resolve|connecterror|network is unreachable|couldn't reach", re.I),
        Failure(
            kind="network",
            sentence="the Hub cannot be reached; check the network, or name a local folder for the data or the model.",
        ),
    ),
    (
        re.compile(r"gatedrepo|repositorynotfound|401 client error|403 client error|is not a valid model identifier",
                   re.I),
        Failure(
            kind="model",
            sentence="the model or data set is not on the Hub, or not for this token; check its name, and run "
            "`hf auth login` where it is private or gated.",
        ),
    ),
)  # fmt: skip
_KILLED_WORKER = re.compile(r"exit ?code\s*:?\s*-(\d+)", re.I)
_LOST_WORKER = re.compile(
    r"connection (?:closed|reset) by (?:remote )?peer|rendezvous\w*(?:error|closed|timeout)|remote process exited|"
    r"socket timeout|heartbeat|nccl\w* (?:error|timeout)|watchdog caught collective", re.I,
)  # fmt: skip


def explain(exit_code: int | None, error: str, log: str, folder: Path) -> Failure:
    """Why a job ended.

    Args:
        exit_code: negative for a signal; None: nobody noted it.
        error: message of the last "error" event; "" for none.
        log: its end.
        folder: of the job, for the room on its disk.

    Example:
        >>> explain(-9, "", "", Path("/")).kind
        'memory'
    """
    own = "" if "interrupted" in error else error
    found = _recognised(own)
    if own and exit_code == KIT_ERROR:
        return found if found is not None and found.kind in SHORTAGES else Failure(kind="kit", sentence=own)
    if found is None:
        found = _recognised(log)
        found = None if found is not None and own and found.kind not in SHORTAGES else found
    if found is not None:
        return found
    if _is_full(folder):
        return _DISK
    killed = [int(number) for number in _KILLED_WORKER.findall(log) if int(number) != signal.SIGTERM]
    if killed:  # the launcher ends the others with SIGTERM
        return _by_signal(killed[0], "a worker")
    if own and not _LOST_WORKER.search(own):
        return Failure(kind="kit", sentence=own)
    if own or _LOST_WORKER.search(log):
        return Failure(kind="worker", sentence=f"a worker or node was lost; see its own log, then {RESUME}.")
    if exit_code is None:
        return Failure(
            kind="lost", sentence=f"its processes are gone and left no exit code (power cut, or all killed); {RESUME}."
        )
    if exit_code < 0 or exit_code > 128:
        return _by_signal(-exit_code if exit_code < 0 else exit_code - 128, "it")
    return Failure(kind="other", sentence=f"stopped with exit code {exit_code}: {_last_line(log)}")


def _recognised(text: str) -> Failure | None:
    return next((failure for sign, failure in _SIGNS if sign.search(text)), None)


def _by_signal(number: int, who: str) -> Failure:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    if number == signal.SIGKILL:
        return Failure(
            kind="memory",
            sentence=f"{who} was killed by signal {number} ({name}), most likely for lack of memory; lower "
            f"training.batch_size, raise training.accumulation, or choose a smaller model; {RESUME}.",
        )
    return Failure(kind="signal", sentence=f"{who} was ended by signal {number} ({name}); {RESUME}.")


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LEAST_FREE_BYTES
    except OSError:
        return False


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it left an empty log."
