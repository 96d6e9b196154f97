"""What one side of one row came to, and the command line that all rows share.

    python -m benchmarks.behaviours.ROW --side SIDE

prints one line of JSON. The other side's own errors are its result, never a crash here. Nothing here imports the kit:
the same files run in the environments of the others.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

OURS = "ours"
PACKAGES = {OURS: ("hf-transfer-kit", "accelerate")}  # beside torch and transformers; by default the side's own name
SUPPORT = ("torch", "transformers")
QUIET = {
    "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "",
    "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was measured of one side.

    Fields:
        holds: computed from `measured` and the tolerance that the row states.
        measured: the numbers, or an error's type and first line.
        says: one sentence.
    """

    holds: bool
    measured: Mapping[str, Any] = field(default_factory=dict)
    says: str


Side = Callable[[], Outcome]


class ProcessFailedError(RuntimeError):
    """A process that a side has started ended with an error; the message is that error's type and message."""


def first_line(error: BaseException) -> str:
    """Type and first line of an error's message, without the paths of this machine.

    Example:
        >>> first_line(ValueError("no such thing\\nand more"))
        'ValueError: no such thing'
    """
    lines = str(error).strip().splitlines() or [""]
    words = ["..." if word.lstrip("'\"(").startswith("/") else word for word in lines[0].split(" ")]
    kind = "" if isinstance(error, ProcessFailedError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(words)}"[:240]


def failed(error: BaseException, doing: str) -> Outcome:
    """The outcome of a side that raises."""
    return Outcome(holds=False, measured={"error": first_line(error)}, says=f"{doing} raises {first_line(error)}")


def run_side(side: str, sides: Mapping[str, Side]) -> Outcome:
    """The outcome of a side; an error of the other's side is its outcome, one of ours is raised."""
    if side == OURS:
        return sides[side]()
    try:
        return sides[side]()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a peer raises is its result
        return failed(error, side)


def versions(side: str) -> dict[str, str]:
    """Of Python and of the packages that the side consists of, where they are installed."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES.get(side, (side,)), *SUPPORT):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def command(row: str, sides: Mapping[str, Side], arguments: Sequence[str] | None = None) -> None:
    """Runs one side and prints its line; whatever libraries print on the way goes to stderr."""
    parser = argparse.ArgumentParser(description=f"One side of the row '{row}'; prints one line of JSON.")
    parser.add_argument("--side", required=True, choices=list(sides))
    side = parser.parse_args(arguments).side
    os.environ |= QUIET  # for processes that the side starts
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):
        outcome = run_side(side, sides)
    line = {"row": row, "side": side} | asdict(outcome) | {"versions": versions(side)}
    print(json.dumps(line), flush=True)
