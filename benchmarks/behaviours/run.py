"""Every row of the table for every side, each in a process of its own; writes results/<date>.json, prints the table.

    python -m benchmarks.behaviours.run --peer-python clearn-ai=ENVIRONMENT/bin/python --peer-python setfit=...

A side without an environment is "not run"; `transformers` and `torch` are those of this one. Each cell is written
when it is there, and the same command on the same day goes on with those that are missing.
"""

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.behaviours.outcome import OURS, QUIET, Outcome, versions

ROWS = (
    "accumulation", "strength", "two_processes", "resume", "dict_batches", "log_me", "label_scores", "stop",
)  # fmt: skip
OF_THIS_ENVIRONMENT = (OURS, "transformers", "torch")
RESULTS = Path(__file__).parent / "results"
REPOSITORY = Path(__file__).parents[2]
SECONDS = 900.0

Cell = dict[str, Any]  # a line that a row prints, and its CPU seconds


def cells_to_fill() -> list[tuple[str, str, str]]:
    """(module, row, side), ours first in every row."""
    modules = {name: importlib.import_module(f"benchmarks.behaviours.{name}") for name in ROWS}
    return [(name, module.ROW, side) for name, module in modules.items() for side in module.SIDES]


def run_cell(python: str, module: str, row: str, side: str) -> Cell:
    """What one side prints; where it prints nothing, that is its outcome."""
    command = [python, "-m", f"benchmarks.behaviours.{module}", "--side", side]
    environment = os.environ | QUIET
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        cell = json.loads(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else None
        ending = f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        cell, ending = None, f"no end within {SECONDS:.0f} s"
    if cell is None:
        outcome = Outcome(holds=False, measured={"error": ending}, says=f"{side} could not be measured: {ending}")
        cell = {"row": row, "side": side} | asdict(outcome) | {"versions": {}}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cell | {"cpu_seconds": round(used, 1), "seconds": round(time.monotonic() - started, 1)}


def name_of(cell: Cell) -> str:
    """The side, with its version."""
    side = "hf_transfer_kit" if cell["side"] == OURS else cell["side"]
    number = cell["versions"].get("hf-transfer-kit" if cell["side"] == OURS else cell["side"])
    return f"{side} {number}" if number else side


def table(cells: Iterable[Cell], wanted: Iterable[tuple[str, str, str]]) -> str:
    """The table in Markdown; what is wanted and not there is "not run"."""
    there = {(cell["row"], cell["side"]): cell for cell in cells}
    lines = ["| behaviour | side | holds | what came out |", "|---|---|---|---|"]
    shown = None
    for _, row, side in wanted:
        cell = there.get((row, side))
        behaviour, shown = ("" if row == shown else row), row
        if cell is None:
            lines.append(f"| {behaviour} | {side} | not run | |")
        else:
            said = cell["says"].replace("|", "\\|")
            lines.append(f"| {behaviour} | {name_of(cell)} | {'yes' if cell['holds'] else '**no**'} | {said} |")
    return "\n".join(lines)


def interpreters(pairs: Sequence[str]) -> dict[str, str]:
    """By side: the interpreter of its environment, from NAME=PATH."""
    found = dict.fromkeys(OF_THIS_ENVIRONMENT, sys.executable)
    for pair in pairs:
        name, separator, path = pair.partition("=")
        if not separator or not Path(path).expanduser().exists():
            raise SystemExit(f"--peer-python {pair}: give NAME=PATH, with the path of an interpreter that is there.")
        found[name] = str(Path(path).expanduser().absolute())
    return found


def fill(record: dict[str, Any], path: Path, python: Mapping[str, str], again: Iterable[str]) -> None:
    """Runs what is missing, and what is asked for again, and writes the record after every cell."""
    wanted = cells_to_fill()
    record["cells"] = [cell for cell in record["cells"] if cell["side"] not in again and cell["row"] not in again]
    there = {(cell["row"], cell["side"]) for cell in record["cells"]}
    missing = [each for each in wanted if each[1:] not in there and each[2] in python]
    started = time.monotonic()
    for number, (module, row, side) in enumerate(missing):
        cell = run_cell(python[side], module, row, side)
        record["cells"].append(cell)
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        left = (time.monotonic() - started) / (number + 1) * (len(missing) - number - 1)
        print(f"{row}, {side}: {'holds' if cell['holds'] else 'does not hold'}, {cell['cpu_seconds']} CPU s; "
              f"{len(missing) - number - 1} to go, about {left / 60:.0f} min", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-python", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--again", action="append", default=[], metavar="ROW|SIDE", help="run these anew")
    given = parser.parse_args()
    from hf_transfer_kit.machine import this_machine

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{date.today().isoformat()}.json"
    record: dict[str, Any] = {
        "question": "which behaviours hold, by side", "date": date.today().isoformat(), "machine": this_machine(),
        "versions": versions(OURS), "cells": [],
    }  # fmt: skip
    if path.exists():
        record["cells"] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    fill(record, path, interpreters(given.peer_python), given.again)
    print(table(record["cells"], cells_to_fill()))


if __name__ == "__main__":
    main()
