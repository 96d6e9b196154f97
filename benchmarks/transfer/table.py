"""The tables of the README, from a record.

python -m benchmarks.transfer.table RECORD
"""

import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.transfer.measure import Measured
from benchmarks.transfer.regret import ALWAYS, Cell, cells, mean_over
from hf_transfer_kit.values import read_json

ORDER = (
    "zero_shot", "few_shot", "prototype", "features", "top_layers", "full", "gradual", "lora", "scratch", "shallow",
)  # fmt: skip
CONTROL = {"text": "TF-IDF", "image": "raw pixels"}


def measured_in(record: dict[str, Any]) -> list[Measured]:
    """The units of a record."""
    kept = [unit | {"advice": unit["advice"] | {"notes": ()}} for unit in record["units"]]
    return [Measured.of(unit) for unit in kept]


def print_accuracies(found: Sequence[Cell], units: Sequence[Measured], control: str) -> None:
    """One data set: approaches below each other, numbers of training rows beside each other; the best in bold.

    A star: with every seed the last evaluation was the best, so more epochs may help.
    """
    print("\n| | " + " | ".join(f"{cell.size}" for cell in found) + " |\n" + "|---" * (len(found) + 1) + "|")
    for name in ORDER:
        if not any(name in cell.accuracy for cell in found):
            continue
        row = [_accuracy(cell, name, [unit for unit in units if unit.size == cell.size]) for cell in found]
        print(f"| {control if name == 'shallow' else name} | " + " | ".join(row) + " |")
    print("| seeds | " + " | ".join(str(cell.seeds) for cell in found) + " |")


def _accuracy(cell: Cell, name: str, units: Sequence[Measured]) -> str:
    if name not in cell.accuracy:
        return "not run"
    runs = [unit.arms[name] for unit in units if name in unit.arms]
    star = "*" if all(run.steps is not None and run.steps == run.best_step for run in runs) else ""
    shown = f"{cell.accuracy[name]:.3f}"
    return f"**{shown}**{star}" if name == cell.best else shown + star


def print_regret(found: Sequence[Cell]) -> None:
    """The advisor's regret for each data set and size, and its means."""
    always = " | ".join(f"always {name}" for name in ALWAYS)
    print(f"\n| data set | rows | best | advised, measured | regret | cost | rules alone | regret | {always} |")
    print("|---" * (8 + len(ALWAYS)) + "|")
    for name in dict.fromkeys(cell.data_set for cell in found):
        own = [cell for cell in found if cell.data_set == name]
        for cell in own:
            said = f"{cell.best} {cell.accuracy[cell.best]:.3f} | {_counted(cell.methods)} {cell.advised_accuracy:.3f}"
            print(f"| {name} | {cell.size} | {said} | {_numbers([cell], _counted(cell.by_rules))} |")
        print(f"| **{name}** | mean | | | {_numbers(own)} |")
    print(f"| **all** | mean | | | {_numbers(found)} |")


def _numbers(found: Sequence[Cell], rules: str = "") -> str:
    """Regret, cost share and the controls, meaned over `found`."""
    shares = mean_over(found, lambda cell: cell.cost_share) or 0.0
    regrets = [_points(mean_over(found, lambda cell: cell.regret)), f"{shares:.0%}", rules]
    regrets.append(_points(mean_over(found, lambda cell: cell.rules_regret)))
    regrets += [_points(mean_over(found, partial(Cell.regret_of, approach=name))) for name in ALWAYS]
    return " | ".join(regrets)


def _points(value: float | None) -> str:
    return "not run" if value is None else f"{value:.1f}"


def _counted(methods: Sequence[str]) -> str:
    """ "features" where all seeds agree, else "features 2, gradual 1"."""
    counts = Counter(methods)
    return methods[0] if len(counts) == 1 else ", ".join(f"{name} {count}" for name, count in counts.items())


def print_crossovers(found: dict[str, Any]) -> None:
    """From how many labels on training is ahead of a prompt."""
    print("\n| data set | prompting is ahead below | between | measured |\n|---|---|---|---|")
    for name, each in found.items():
        if "labels" not in each:
            print(f"| {name} | one size only | | |")
            continue
        low, labels, high = (_labels(each[key], each["last"]) for key in ("low", "labels", "high"))
        arms, span = f"{each['prompting']} and {each['trained']}", f"{each['first']} to {each['last']} labels"
        print(f"| {name} | {labels} labels [{low}, {high}] | {arms} | {span} |")


def _labels(value: float | None, last: int) -> str:
    return f"more than {last}" if value is None else f"{value:.0f}"


def print_tables(file: Path) -> None:
    """All of them, as Markdown."""
    record = read_json(file)
    units = measured_in(record)
    found = cells(units)
    for data_set in record["data_sets"]:
        own = [cell for cell in found if cell.data_set == data_set["name"]]
        if own:
            print(f"\n{data_set['name']}, {data_set['classes']} classes")
            of_set = [unit for unit in units if unit.data_set == data_set["name"]]
            print_accuracies(own, of_set, CONTROL[data_set["kind"]])
    print_crossovers(record["crossover"])
    print_regret(found)


if __name__ == "__main__":
    print_tables(Path(sys.argv[1]))
