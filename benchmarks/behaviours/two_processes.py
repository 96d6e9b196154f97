"""Two processes: layers that are opened during a training must be averaged over processes from then on.

Two processes under torchrun, gloo on the CPU, the same network and data on both; every process keeps its weights after
each step. `measured` has the largest difference between the two after the last step and the first step at which they
differ. Tolerance: 1e-6, since both apply the same averaged gradients to the same weights.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.behaviours.outcome import Outcome, ProcessFailedError, command

ROW = "two processes"
TOLERANCE, SECONDS = 1e-6, 240


def trained(module: str, *arguments: str, processes: int) -> list[np.ndarray]:
    """By process: its weights (steps, weights). Raises ProcessFailedError where a run fails."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *(launcher if processes > 1 else []), "-m", f"benchmarks.behaviours.{module}", folder,
             *arguments],
            capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise ProcessFailedError(
                next((line for line in done.stderr.splitlines() if "Error" in line), done.stderr[-200:])
            )
        return [np.load(Path(folder) / f"{rank}.npy") for rank in range(processes)]


def compared(ranks: Sequence[np.ndarray]) -> dict[str, float | int | None]:
    """How far apart two processes are, and since which step (from 1)."""
    apart = np.abs(ranks[0] - ranks[1]).max(axis=1)
    differing = np.flatnonzero(apart > TOLERANCE)
    return {
        "steps": len(apart), "largest_difference_at_the_end": float(f"{apart[-1]:.3g}"),
        "first_differing_step": int(differing[0]) + 1 if len(differing) else None,
    }  # fmt: skip


def ours() -> Outcome:
    """GradualUnfreezing in a Trainer; and the same training in one process with the same global batch."""
    ranks, alone = trained("trains_ours", "unfreezing", processes=2), trained("trains_ours", "unfreezing", processes=1)
    found = compared(ranks)
    from_one = float(np.abs(ranks[0][-1] - alone[0][-1]).max())
    return Outcome(
        holds=found["first_differing_step"] is None,
        measured=found | {"largest_difference_from_one_process": float(f"{from_one:.3g}")},
        says=f"after {found['steps']} steps, in which all layers were opened one by one, the two differ by "
        f"{found['largest_difference_at_the_end']:.1g}, and by {from_one:.0e} from one process with the same batch",
    )


def lightning_side(side: str) -> Outcome:
    """Under both settings of DDP; the side holds if one of them is right."""
    found = {}
    for strategy in ("ddp", "ddp_find_unused_parameters_true"):
        found[strategy] = compared(trained("trains_lightning", side, "--strategy", strategy, processes=2))
    first = {name: each["first_differing_step"] for name, each in found.items()}
    worst = max(each["largest_difference_at_the_end"] for each in found.values())
    right = [name for name, step in first.items() if step is None]
    return Outcome(
        holds=bool(right),
        measured=found,
        says=f"right with {', '.join(right)}" if right else
        f"with either setting of DDP the two drift apart, without a word, from step {min(first.values())}, the first "
        f"in which an opened layer trains; at the end by {worst:.2f}",
    )  # fmt: skip


SIDES = {
    "ours": ours,
    "lightning": lambda: lightning_side("lightning"),
    "finetuning-scheduler": lambda: lightning_side("finetuning-scheduler"),
}

if __name__ == "__main__":
    command(ROW, SIDES)
