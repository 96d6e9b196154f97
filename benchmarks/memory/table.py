"""Makes hf_transfer_kit/advisor/knowledge/memory.toml: the memory of known models, from their configurations alone.

    python -m benchmarks.memory.table                   # some minutes
    python -m benchmarks.memory.table --only bert vit   # prints their lines

Of each model and each method that it can take: what `estimate_memory` says at two sizes of a batch, as weights, what
does not grow with the batch, and what each example adds.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.memory.architectures import CONFIGURATIONS
from hf_transfer_kit.advisor.knowledge.memory_table import (
    FEW_SHOT_TOKENS,
    LIBRARIES,
    TOKENS,
    MemoryEntry,
    advised_batch,
)
from hf_transfer_kit.advisor.knowledge.models import known_models
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.memory.estimate import MIB, MemoryEstimate, estimate_memory
from hf_transfer_kit.plan import Approach, TopLayers

TABLE = Path(__file__).parents[2] / "hf_transfer_kit" / "advisor" / "knowledge" / "memory.toml"
METHODS = ("zero_shot", "few_shot", "features", "top_layers", "gradual", "full", "lora", "scratch")
PROMPTED = METHODS[:2]
CLASSES = 10
HEAD = f"""# Made by `python -m benchmarks.memory.table`; do not edit. MiB on a machine without a GPU, estimated from
# configurations: {TOKENS} tokens of text ({FEW_SHOT_TOKENS} with examples), or an image of the model's own size.
# fp32; language models that are asked in bf16. frozen, trained: weights; a trained one has a gradient, two moments of
# AdamW and a best copy besides. held: does not grow with the batch. each: of one example of it.
"""


def entry(key: str, method: str) -> MemoryEntry:
    """The line of one model and one method.

    Raises:
        TransferKitError: the model does not take the method.
    """
    batch = advised_batch(known_models()[key], method)
    small, large = (_estimate(key, method, size) for size in (batch, 2 * batch))
    weights = MemoryEntry(frozen=_mib(small.frozen), trained=_mib(small.trained))
    beside = small.total / MIB - (weights.total(batch) - LIBRARIES)
    each = round(min((large.total - small.total) / batch / MIB, beside / batch), 1)
    return replace(weights, held=round(max(beside - batch * each, 0.0), 1), each=each)


def _estimate(key: str, method: str, batch: int) -> MemoryEstimate:
    model = known_models()[key]
    tokens = FEW_SHOT_TOKENS if method == "few_shot" else TOKENS
    precision = "bf16" if model.kind == "language_model" and method in PROMPTED else "fp32"
    approach = TopLayers(blocks=model.top_blocks) if method == "top_layers" else method
    return _estimated(CONFIGURATIONS[key], approach, batch, tokens if model.reads_text else None, precision)


@cache  # several models are of one architecture
def _estimated(
    make: Callable[[], Any], approach: Approach | str, batch: int, length: int | None, precision: str
) -> MemoryEstimate:
    rows = 1  # so that `top_layers` stores what reaches its blocks, as it does with rows that fit
    return estimate_memory(make(), approach, batch, length, precision, n_classes=CLASSES, rows=rows)


def _mib(value: float) -> float:
    """MiB, to three digits or one behind the point."""
    mib = value / MIB
    return round(mib, 1) if mib < 100 else round(mib)


def lines(keys: Collection[str]) -> Iterator[str]:
    """The table of these models."""
    for key in keys:
        print(key, file=sys.stderr, flush=True)
        yield f"\n[{key}]"
        for method in METHODS:
            if method in PROMPTED and known_models()[key].kind in ("cnn", "vision_transformer"):
                continue  # pictures alone know no words
            try:
                yield f"{method} = {entry(key, method).as_toml}"
            except TransferKitError as error:
                print(f"{key}, {method}: {error}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=CONFIGURATIONS, help="print the lines of these models")
    only = parser.parse_args().only
    warnings.simplefilter("ignore")
    text = "\n".join(lines(only or CONFIGURATIONS)) + "\n"
    if only:
        print(text)
    else:
        TABLE.write_text(HEAD + text, encoding="utf-8")


if __name__ == "__main__":
    main()
