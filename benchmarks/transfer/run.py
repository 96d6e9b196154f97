"""From scratch, transfer, features or a prompt: what is best with how many labels, and does the advisor know?

    python -m benchmarks.transfer.run --data FOLDER --image-model FOLDER --out FOLDER

--data holds clinc150/, snips/, sign_digits/ and fashion_mnist/; --image-model is MobileNetV1 0.25 for 128 pixels.
Everything finished lies in --out, and the same command goes on from there. Writes results/<date>-transfer.json; the
tables are printed by `python -m benchmarks.transfer.table results/<date>-transfer.json`.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}

import datasets
import torch

from benchmarks.transfer.advised import ask
from benchmarks.transfer.approaches import EPOCHS, MAX_LENGTH, Unit, plans, training, units
from benchmarks.transfer.data_sets import DATA_SETS, IMAGE, TEXT
from benchmarks.transfer.measure import Bench, Measured
from hf_transfer_kit.approaches.loop import most_epochs
from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.machine import library_versions, this_machine
from hf_transfer_kit.models import identity
from hf_transfer_kit.plan import TRAINED, ModelSpec, Training
from hf_transfer_kit.values import read_json, to_mapping, write_json

FORMAT = "{done} of {total} units, {name}: {seconds:.0f} s of processor time; about {left:.0f} min left"


def work(unit: Unit) -> float:
    """Optimizer steps at most, and what every run costs besides, in steps."""
    runs = plans(unit, Path("pool"), ModelSpec(name="model")).values()
    loop = training(unit)
    steps = most_epochs(loop, unit.size) * -(-unit.size // loop.batch_size)
    return sum(steps * isinstance(plan.approach, TRAINED) + 20 for plan in runs)


def warm_up(bench: Bench) -> None:
    """Asks for advice once for each kind of data, so that no measured answer pays for imports."""
    with TemporaryDirectory() as folder:
        os.environ["HF_TRANSFER_KIT_CACHE"] = folder
        first = {unit.data_set.kind: unit for unit in reversed(units())}
        for kind, unit in first.items():
            ask(unit, bench.rows(unit), bench.models[kind], Path(folder) / kind)


def carry_out(bench: Bench, wanted: Sequence[Unit], write: Any) -> None:
    """Runs `wanted` in order; a unit that fails is said, and the next one runs."""
    missing = [unit for unit in wanted if bench.finished(unit) is None]
    started, done = time.monotonic(), 0.0
    for number, unit in enumerate(missing, start=1):
        before = time.process_time()
        try:
            bench.measure(unit)
        except (TransferKitError, RuntimeError) as error:
            print(f"{unit.name} failed: {error}", flush=True)
            continue
        done += work(unit)
        pace = (time.monotonic() - started) / done / 60
        left = pace * sum(work(later) for later in missing[number:])
        spent = time.process_time() - before
        print(FORMAT.format(done=number, total=len(missing), name=unit.name, seconds=spent, left=left), flush=True)
        write()


def record(bench: Bench, wanted: Sequence[Unit], file: Path) -> None:
    """Writes everything that is finished into `file`."""
    found = [measured for unit in wanted if (measured := bench.finished(unit)) is not None]
    write_json(file, about(bench) | {"units": [plain(each) for each in found], "crossover": crossovers(bench, wanted)})


def about(bench: Bench) -> dict[str, Any]:
    """What was measured, with what."""
    models = {
        kind: {"name": Path(name).name, "weights": identity(ModelSpec(name=name)).weights_digest}
        for kind, name in bench.models.items()
    }
    return {
        "question": "which approach is best with how many labels, and what does the advisor's first advice cost?",
        "date": date.today().isoformat(), "models": models, "max_length": MAX_LENGTH,
        "epochs": {"else": Training().epochs} | {f"{kind}, {size}": epochs for (kind, size), epochs in EPOCHS.items()},
        "data_sets": [asdict(each) for each in DATA_SETS], "versions": library_versions(), "machine": this_machine(),
    }  # fmt: skip


def plain(measured: Measured) -> dict[str, Any]:
    """A unit without the folders that messages may name."""
    found = asdict(measured)
    return found | {"advice": found["advice"] | {"notes": len(measured.advice.notes)}}


def crossovers(bench: Bench, wanted: Sequence[Unit]) -> dict[str, Any]:
    """Of prompting and training on each data set of texts, as the kit's comparison finds it over all sizes."""
    found = {}
    for data_set in DATA_SETS:
        records = bench.records([unit for unit in wanted if unit.data_set is data_set])
        if data_set.kind == TEXT and records:
            comparison = compare(records)
            crossover = comparison.crossover
            said = {"sentence": comparison.prompting}
            found[data_set.name] = said | ({} if crossover is None else to_mapping(crossover))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the four data sets")
    parser.add_argument("--image-model", required=True, help="MobileNetV1 0.25, 128 pixels")
    parser.add_argument("--text-model", default=MODEL)
    parser.add_argument("--out", type=Path, required=True, help="for the runs")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--largest", type=int, help="leave out sizes above this")
    parser.add_argument("--seeds", type=int, default=3, help="at most")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    bench = Bench(source=asked.data, out=asked.out, models={TEXT: asked.text_model, IMAGE: asked.image_model})
    warm_up(bench)
    os.environ["HF_TRANSFER_KIT_CACHE"] = str(asked.out / "features")  # nothing is there from before
    wanted = [unit for unit in units() if unit.seed < asked.seeds and unit.size <= (asked.largest or unit.size)]
    file = _file(asked.results, asked.out)
    carry_out(bench, wanted, lambda: record(bench, wanted, file))
    record(bench, wanted, file)
    print(file.name)


def _file(results: Path, out: Path) -> Path:
    """The record of this benchmark, of the day on which it was begun."""
    results.mkdir(parents=True, exist_ok=True)
    kept = out / "begun.json"
    if not kept.exists():
        write_json(kept, {"date": date.today().isoformat()})
    return results / f"{read_json(kept)['date']}-transfer.json"


if __name__ == "__main__":
    main()
