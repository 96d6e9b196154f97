"""Is every promise about speed and memory kept? All benchmarks one after the other, one table.

    python -m benchmarks.speed.run --data CLINC150 --mobilenet FOLDER --avalanche-python P --lm-eval-python P

Each benchmark is a process with a record of its own in results/<date>/; results/<date>.json holds promises, numbers
and how quiet the machine was. The same command on the same day goes on after a stop; `--only NAME` measures a row
anew, and those that come from the same process. At the end the table stands in this folder's README, and is printed.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.speed.process import Ended, interpreter, run
from benchmarks.speed.row import Child, Record
from benchmarks.speed.rows import CHILDREN, ROWS
from benchmarks.speed.table import about, filled, markdown, outcome, processes
from hf_transfer_kit.errors import did_you_mean
from hf_transfer_kit.machine import has_gpu, library_versions, this_machine

FOLDER = Path(__file__).parent
QUIET_CORES = 0.1  # processor time of others per second that is no disturbance
NO_GPU = "torch sees no CUDA device here"
Run = Callable[[Child], Ended]


def new_record(load: Sequence[float]) -> dict[str, Any]:
    return {
        "question": "is every promise about speed and memory kept, measured one after the other on one machine",
        "date": date.today().isoformat(), "machine": this_machine(), "versions": library_versions(),
        "load_average_at_start": [round(each, 2) for each in load], "quiet": True, "processes": {}, "rows": [],
    }  # fmt: skip


def to_run(record: Record, only: Sequence[str], devices: Sequence[str]) -> list[Child]:
    """The processes asked for, else those without a record, on these devices."""
    names = {row.name: row.child for row in ROWS} | {child.name: child for child in CHILDREN}
    for name in only:
        if name not in names:
            raise SystemExit(f"--only {name}: there is no such row.{did_you_mean(name, names)}")
    chosen = {names[name] for name in only}
    done = {name for name, each in record["processes"].items() if each["error"] is None}
    wanted = [child for child in CHILDREN if (child in chosen if only else child.name not in done)]
    return [child for child in wanted if child.device in devices]


def fill(record: dict[str, Any], path: Path, children: Sequence[Child], run_child: Run) -> None:
    """Runs `children`, and writes the record after each."""
    started = time.monotonic()
    for number, child in enumerate(children, start=1):
        print(f"[{number}/{len(children)}] {child.name}: about {child.about_seconds} s ...", flush=True)
        ended = run_child(child)
        record["processes"][child.name] = {"command": child.command} | asdict(ended)
        conclude(record, path)
        left = time_left(children, number, time.monotonic() - started)
        print(f"    {ended.seconds:.0f} s; {kept(record, child)}; about {left / 60:.0f} min left", flush=True)


def kept(record: Record, child: Child) -> str:
    """What came of the promises that `child` measures, in words."""
    rows = [each for each in record["rows"] if each["process"] == child.name and each["promise"]]
    error = record["processes"][child.name]["error"]
    return error or f"{sum(each['holds'] is True for each in rows)} of {len(rows)} promises kept"


def time_left(children: Sequence[Child], done: int, spent: float) -> float:
    """Seconds for the rest, if it is as much slower than expected as what is done."""
    expected = sum(child.about_seconds for child in children[:done])
    return sum(child.about_seconds for child in children[done:]) * spent / expected


def conclude(record: dict[str, Any], path: Path) -> str:
    """Reads the records of the processes, writes the record of all, and gives the table."""
    records, reasons = {}, {}
    for child in CHILDREN:
        file = path.with_suffix("") / f"{child.name}.json"
        ended = record["processes"].get(child.name)
        if ended is None:
            reasons[child.name] = NO_GPU if child.device == "cuda" and not has_gpu() else "not run"
        elif ended["error"] is not None:
            reasons[child.name] = f"its benchmark ended with {ended['error']}"
        else:
            records[child.name] = json.loads(file.read_text(encoding="utf-8"))
    outcomes = [outcome(row, records, reasons) for row in ROWS]
    others = [each["cores_of_others"] for each in record["processes"].values()]
    record["quiet"] = all(each is None or each <= QUIET_CORES for each in others)
    record["rows"] = [each.to_dict() for each in outcomes]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    commands = processes(record, [(child.name, child.command) for child in CHILDREN])
    return f"{about(record)}\n\n{markdown(outcomes)}\n\n{commands}"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of CLINC150: train.csv, validation.csv, test.csv; columns text, intent")
    parser.add_argument("--mobilenet", help="folder of MobileNetV2 1.0 224, for the memory of its runs")
    parser.add_argument("--avalanche-python", help="interpreter that has avalanche-lib, for EWC's step")
    parser.add_argument("--lm-eval-python", help="interpreter that has lm_eval, for the label scores")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], help="this part only; else cpu, and cuda where there is one"
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure this row anew; repeat it")
    parser.add_argument("--record", type=Path, help="a record elsewhere; the README is then left alone")
    asked = parser.parse_args()
    if asked.data is None and asked.device != "cuda":
        parser.error("--data is missing: the folder of CLINC150 (or --device cuda, which needs no data).")
    return asked


def main() -> None:
    asked = options()
    load = os.getloadavg()  # before torch is loaded
    python = {
        "": interpreter("", None), "avalanche": interpreter("--avalanche-python", asked.avalanche_python),
        "lm_eval": interpreter("--lm-eval-python", asked.lm_eval_python),
    }  # fmt: skip
    given: Mapping[str, str | None] = {
        name: path and str(Path(path).expanduser().absolute())
        for name, path in (("data", asked.data), ("mobilenet", asked.mobilenet))
    }
    path = (asked.record or FOLDER / "results" / f"{date.today().isoformat()}.json").absolute()
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else new_record(load)
    devices = [device for device in ("cpu", "cuda") if asked.device in (None, device)]
    children = to_run(record, asked.only, devices if has_gpu() else ["cpu"])

    def run_child(child: Child) -> Ended:
        return run(child, python[child.python], given, path.with_suffix("") / f"{child.name}.json")

    fill(record, path, children, run_child)
    text = conclude(record, path)
    print(text)
    if asked.record is None:
        readme = FOLDER / "README.md"
        readme.write_text(filled(readme.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
