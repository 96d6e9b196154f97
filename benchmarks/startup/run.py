"""How long do `import hf_transfer_kit` and `transfer-kit --help` take, and which heavy libraries do they load?

    python benchmarks/startup/run.py

Every command runs in processes of its own; a bare interpreter stands beside them. Writes results/<date>.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

HEAVY = ("torch", "transformers", "datasets", "accelerate", "peft", "evaluate", "sklearn", "matplotlib", "numpy")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import hf_transfer_kit": [sys.executable, "-c", "import hf_transfer_kit"],
    "transfer-kit --help": [str(Path(sys.executable).with_name("transfer-kit")), "--help"],
}
MODULES = {"import hf_transfer_kit": "hf_transfer_kit", "transfer-kit --help": "hf_transfer_kit.cli"}


def seconds(command: list[str]) -> tuple[float, float]:
    """(CPU, wall) seconds of one process."""
    started, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return round(cpu, 3), round(wall, 3)


def heavy_modules(module: str) -> list[str]:
    """Those of HEAVY that importing `module` loads."""
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15, help="runs of each command; the shortest counts")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()

    times = {name: [seconds(command) for _ in range(asked.repeats)] for name, command in COMMANDS.items()}
    record = {
        "question": "seconds to import the package and to print the command line's help; libraries they load",
        "date": date.today().isoformat(),
        "commands": {
            name: {
                "wall_seconds": min(wall for _, wall in runs),
                "cpu_seconds": min(cpu for cpu, _ in runs),
                "wall_seconds_of_all": [wall for _, wall in runs],
                "heavy_modules_loaded": heavy_modules(MODULES[name]) if name in MODULES else [],
            }
            for name, runs in times.items()
        },
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("hf-transfer-kit", "typer", "rich")},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count()},
    }
    print(f"{'':26} {'wall s':>8} {'CPU s':>8}  loads")
    for name, numbers in record["commands"].items():
        loads = ", ".join(numbers["heavy_modules_loaded"]) or "none of the heavy libraries"
        print(f"{name:26} {numbers['wall_seconds']:8.3f} {numbers['cpu_seconds']:8.2f}  {loads}")
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
