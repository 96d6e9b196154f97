"""The table of both sides, from the record of permuted images.

python -m benchmarks.forgetting.permuted_table RECORD
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy import stats

from benchmarks.forgetting.permuted_tasks import METHODS, Cell, Record, Setting
from hf_transfer_kit.continual import average_accuracy, backward_transfer, forgetting

SIDES = ("hf_transfer_kit", "avalanche")
MEASURES: dict[str, Callable[[Cell], float]] = {
    "average accuracy": lambda cell: average_accuracy(cell.accuracy),
    "backward transfer": lambda cell: backward_transfer(cell.accuracy),
    "forgetting": lambda cell: forgetting(cell.accuracy),
    "CPU s a task": lambda cell: mean(cell.cpu_seconds),
}


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Mean over seeds, with a 95 % interval from Student's t: seeds are pairs, alike in rows, pixels and start."""
    each = np.subtract(ours, theirs)
    if len(each) < 2 or not each.any():
        return f"{each.mean():+.3f}"
    half = stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5
    return f"{each.mean():+.3f} [{each.mean() - half:+.3f}, {each.mean() + half:+.3f}]"


def by_strength(cells: Sequence[Cell], side: str, setting: Setting, method: str) -> list[list[Cell]]:
    """The compared cells of one side, strongest first, seeds in order."""
    own = [c for c in cells if (c.side, c.setting, c.method, c.role) == (side, setting, method, "final")]
    strengths = sorted({cell.strength or 0.0 for cell in own}, reverse=True)
    return [sorted((c for c in own if (c.strength or 0.0) == s), key=lambda c: c.seed) for s in strengths]


def print_table(file: Path) -> None:
    """Markdown: a table for each setting, both sides and their difference for each method."""
    cells = Record(file).cells
    for setting in dict.fromkeys(cell.setting for cell in cells):
        print(f"\n{setting}\n")
        print(f"| method | side | strength | {' | '.join(MEASURES)} |\n" + "|---" * (3 + len(MEASURES)) + "|")
        for method in METHODS:
            last = {}
            for side in SIDES:
                for group in by_strength(cells, side, setting, method):
                    strength = "" if group[0].strength is None else f"{group[0].strength:.3g}"
                    shown = [spread([measure(cell) for cell in group]) for measure in MEASURES.values()]
                    print(f"| {method} | {side} | {strength} | {' | '.join(shown)} |")
                    last[side] = group
            if len(last) == 2 and len({len(group) for group in last.values()}) == 1:
                ours, theirs = (last[side] for side in SIDES)
                shown = [difference([m(c) for c in ours], [m(c) for c in theirs]) for m in MEASURES.values()]
                print(f"| {method} | difference | | {' | '.join(shown)} |")


if __name__ == "__main__":
    print_table(Path(sys.argv[1]))
