"""How much faster are activations cached at the boundary than a Trainer that freezes the same blocks?

    python -m benchmarks.top_layers.run                                      # the demo sentences
    python -m benchmarks.top_layers.run --data clinc150 --label-column intent --classes 15 --name clinc150-15

Both sides run in one process and train the top 2 blocks and the head of the same sequence classifier, with the same
rates, batch size, dropout and epochs; they evaluate on validation each epoch and answer test once. They start with
texts in memory and load the model. Writes results/<date>-<name>.json.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.against_trainer import BATCH_SIZE, Times, draw, options, report, run_kit, train_plainly  # one thread

# isort: split
from transformers import AutoModelForSequenceClassification

from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.plan import DataSpec, ModelSpec, TopLayers, Training, TransferPlan

EPOCHS, OPEN_BLOCKS, LEARNING_RATE = 3, 2, 1e-4


def frozen_below(source: str, classes: int) -> Any:
    """A sequence classifier of which the top blocks and the head train."""
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=classes)
    for unit in find_blocks(model).below(OPEN_BLOCKS):
        for parameter in unit.parameters(model):
            parameter.requires_grad_(False)
    return model


def kit_plan(asked: Any, folder: str, cache_limit_mib: int) -> TransferPlan:
    """The Trainer's settings, in the kit's words."""
    return TransferPlan(
        data=DataSpec(path=folder),
        model=ModelSpec(name=asked.model),
        approach=TopLayers(
            blocks=OPEN_BLOCKS, learning_rate=LEARNING_RATE, head_learning_rate=LEARNING_RATE, decay=1.0,
            cache_limit_mib=cache_limit_mib,
        ),
        training=Training(
            epochs=EPOCHS, min_steps=0, patience=EPOCHS + 1, batch_size=BATCH_SIZE, weight_decay=0.0, warmup_share=0.0,
            dropout=None,
        ),
        seed=asked.seed,
    )  # fmt: skip


def main() -> None:
    asked = options(__doc__.split("\n")[0])
    plain, cached, uncached, whole = (Times() for _ in range(4))
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(asked, ["train", "validation", "test"], Path(folder))
        for _ in range(asked.repeats):
            train_plainly(frozen_below, drawn, asked, plain, epochs=EPOCHS, learning_rate=LEARNING_RATE)
            record = run_kit(kit_plan(asked, folder, 2048), cached, whole)
            run_kit(kit_plan(asked, folder, 0), uncached, Times())
        times = {
            f"Trainer, {EPOCHS} epochs": plain,
            "top_layers": cached,
            "top_layers, cache switched off": uncached,
            "  with files and record": whole,
        }
        numbers = {
            "times_faster": round(plain.middle / cached.middle, 2),
            "times_faster_without_the_cache": round(plain.middle / uncached.middle, 2),
            "cache": record.details["boundary_cache"],
            "cache_mib": record.details.get("boundary_cache_mib"),
            "blocks": record.details["blocks"],
            "open_blocks": record.details["open_blocks"],
        }
        question = "CPU seconds from texts to answers on test: Trainer with frozen lower blocks, boundary cache"
        report(Path(__file__).parent, asked, drawn, question, times, numbers)


if __name__ == "__main__":
    main()
