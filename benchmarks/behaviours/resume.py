"""Kill and resume: a run killed with SIGKILL and started again must end in the weights of one that was not.

Three processes each: unbroken; killed in the middle; resumed from what the killed one left. `measured` has the largest
difference of the final weights, and how many steps were done twice. Tolerance: the same bits.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.behaviours.outcome import Outcome, ProcessFailedError, command

ROW = "kill and resume"
SECONDS = 120


def run(module: str, folder: Path, *arguments: str) -> int:
    """Exit code of the training; raises ProcessFailedError where it fails by itself."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.behaviours.{module}", str(folder), *arguments],
        capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    if done.returncode not in (0, -signal.SIGKILL):
        errors = [line for line in done.stderr.splitlines() if "Error" in line and not line.startswith(" ")]
        raise ProcessFailedError(errors[-1] if errors else done.stderr[-200:])
    return done.returncode


def runs(module: str, *what: str, kill_at: int, resume: Sequence[Sequence[str]] = ((),)) -> list[np.ndarray]:
    """Weights after every step of the unbroken run, and of one resumed in each of the ways."""
    with tempfile.TemporaryDirectory() as unbroken, tempfile.TemporaryDirectory() as broken:
        run(module, Path(unbroken), *what)
        if run(module, Path(broken), *what, "--kill-at", str(kill_at)) != -signal.SIGKILL:
            raise ProcessFailedError(f"the run ended before step {kill_at}, where it was to be killed")
        found = [np.load(Path(unbroken) / "0.npy")]
        for number, options in enumerate(resume):
            copy = Path(unbroken) / str(number)
            shutil.copytree(broken, copy)
            run(module, copy, *what, "--resume", *options)
            found.append(np.load(copy / "0.npy"))
    return found


def compare(whole: np.ndarray, resumed: np.ndarray, *, kill_at: int, about: str) -> Outcome:
    """Of the weights after every step, (steps, weights), of the unbroken run and of the resumed process."""
    difference = float(np.abs(whole[-1] - resumed[-1]).max())
    again = kill_at - (len(whole) - len(resumed))
    moving = [int((np.abs(run[-1] - run[-2]) > 0).sum()) for run in (whole, resumed)]
    return Outcome(
        holds=bool(np.array_equal(whole[-1], resumed[-1])),
        measured={
            "steps": len(whole), "killed_after": kill_at, "steps_done_twice": again,
            "largest_difference_at_the_end": float(f"{difference:.3g}"),
            "weights_that_moved_in_the_last_step": {"unbroken": moving[0], "resumed": moving[1]},
        },
        says=f"{about}, killed after step {kill_at} of {len(whole)}: {again} steps are done again, and the final "
        f"weights {'are the same bits' if difference == 0 else f'differ by {difference:.2g}'}",
    )  # fmt: skip


def ours() -> Outcome:
    """Unfreezing, EWC and replay at once, AdamW, dropout, a checkpoint every 3 steps."""
    found = runs("trains_ours", "all", kill_at=8)
    return compare(*found, kill_at=8, about="unfreezing, EWC and replay in one run with dropout")


def lightning_side(side: str) -> Outcome:
    """A checkpoint after every epoch of 4 steps, killed in the third; it holds if one way to name it is right."""
    unbroken, *resumed = runs("trains_lightning", side, kill_at=10, resume=[[], ["--by-attribute"]])
    ways = dict(zip(("fit(ckpt_path=...)", "trainer.ckpt_path = ..."), resumed, strict=True))
    found = {way: compare(unbroken, each, kill_at=10, about=f"resumed by {way}") for way, each in ways.items()}
    return Outcome(
        holds=any(each.holds for each in found.values()),
        measured={way: each.measured for way, each in found.items()},
        says="; ".join(each.says for each in found.values()),
    )


def avalanche() -> Outcome:
    """EWC, a checkpoint after every experience as its example has it; killed in the second of two."""
    return compare(*runs("trains_avalanche", kill_at=12), kill_at=12, about="EWC over two experiences of 8 steps")


SIDES = {
    "ours": ours,
    "lightning": lambda: lightning_side("lightning"),
    "finetuning-scheduler": lambda: lightning_side("finetuning-scheduler"),
    "avalanche-lib": avalanche,
}

if __name__ == "__main__":
    command(ROW, SIDES)
