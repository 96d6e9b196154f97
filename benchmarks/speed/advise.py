"""How long does `advise(facts)` take?

    python -m benchmarks.speed.advise

Every task out of 3 kinds of input, 5 numbers of labels and 4 kinds of machine; the middle of several calls each.
Writes results/<date>-advise.json.
"""

import argparse
import json
import os
import platform
import sys
import time
from datetime import date
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import median

from hf_transfer_kit.advisor.rules import advise

INPUTS, LABELS, MACHINES = (
    ("text", "image", "image+text"),
    (0, 80, 800, 8000, 80_000),
    ("none", "cpu", "gpu", "multi_gpu"),
)


def seconds_of(facts: dict[str, object], repeats: int) -> float:
    """The middle CPU seconds of a call."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        advise(facts)
        times.append(time.process_time() - started)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9, help="calls of each task; the middle one counts")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    tasks = [
        {"task": "classification", "modality": modality, "n_labelled": labels, "n_classes": 5, "compute": compute}
        for modality, labels, compute in product(INPUTS, LABELS, MACHINES)
    ]
    advise(tasks[0])  # reads the rules, once a process
    times = [seconds_of(task, asked.repeats) for task in tasks]
    record = {
        "question": "CPU seconds of advise(facts), once its rules are read",
        "date": date.today().isoformat(),
        "tasks": len(tasks),
        "middle_task_cpu_seconds": median(times),
        "slowest_task_cpu_seconds": max(times),
        "slowest_task": tasks[times.index(max(times))],
        "loads_torch": "torch" in sys.modules,
        "versions": {"python": platform.python_version(), "hf-transfer-kit": version("hf-transfer-kit")},
        "machine": {"cores": os.cpu_count()},
    }
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}-advise.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
