"""What do a bf16 step, EWC, frozen blocks and label scores cost on a GPU?

    python -m benchmarks.speed.on_device --device cuda
    python -m benchmarks.speed.on_device --device cpu --tiny        # the same functions, to try them

Random weights of known shapes, so nothing is downloaded. Writes results/<date>-<device>.json.
"""

import argparse
import json
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch
from transformers.utils import logging

from benchmarks.speed.device_labels import LARGE_LABELS, TINY_LABELS, label_scores
from benchmarks.speed.device_steps import LARGE_STEPS, TINY_STEPS, bf16_step, ewc, unfreezing
from hf_transfer_kit.machine import this_machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models and few repeats: a test of the benchmark")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; --device cpu --tiny tries the same functions.")
    logging.disable_progress_bar()
    steps, labels = (TINY_STEPS, TINY_LABELS) if asked.tiny else (LARGE_STEPS, LARGE_LABELS)
    device = torch.device(asked.device)
    record = {
        "question": "wall seconds of training steps, EWC's pull and label scores on one device",
        "date": date.today().isoformat(),
        "device": asked.device,
        "tiny": asked.tiny,
        "bf16_step": bf16_step(steps, device),
        "ewc": ewc(steps, device),
        "unfreezing": unfreezing(steps, device),
        "labels": label_scores(labels, device),
        "versions": {"python": platform.python_version(), "cuda": torch.version.cuda}
        | {name: version(name) for name in ("hf-transfer-kit", "torch", "transformers")},
        "machine": this_machine(),
    }
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}-{asked.device}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
