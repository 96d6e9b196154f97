"""One pass through a frozen model: the features of every layer, cached on disk.

Frozen features never change, so the model needs to see every input once, whatever is trained on top and however often.
Batches hold inputs of like length, which saves most of the padding. The cache's key is the hash of everything the
features depend on: weights, inputs and their order, preprocessing.

Cost against training with a frozen backbone: benchmarks/features.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hf_transfer_kit.errors import ModelError, ResourceError, TransferKitError
from hf_transfer_kit.measure import Meter, flop_counter
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

if TYPE_CHECKING:
    from hf_transfer_kit.tasks.task import Row, Task

VERSION = 1  # part of the key: raise it when the same inputs would give other features
WINDOW = 2048  # rows encoded and sorted at a time where lengths differ

Progress = Callable[[int, int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCost:
    """What one pass over a part of the data cost.

    Fields:
        rows: examples passed.
        seconds, cpu_seconds: wall and processor time.
        flops: floating-point operations, counted on the first batch and scaled by the padded lengths.
        parameters: of the model.
        peak_mib: highest memory above that before, MiB.
        load_seconds, load_cpu_seconds: wall and processor time of loading the model before the pass; not in the above.
    """

    rows: int
    seconds: float
    cpu_seconds: float
    flops: float
    parameters: int
    peak_mib: float
    load_seconds: float = 0.0
    load_cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFeatures:
    """Features of one part of the data.

    Fields:
        layers: bottom to top, each (rows, width), fp32; widths may differ.
        cost: of the pass that made them.
        cached: True where that pass was an earlier one.
    """

    layers: tuple[np.ndarray, ...]
    cost: PassCost
    cached: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what a head can stand on: every layer's number, "0" being the stem's output, and "mean"."""
        return (*map(str, range(len(self.layers))), *(["mean"] if len(self._alike) > 1 else []))

    def named(self, name: str) -> np.ndarray:
        """(rows, width): the layer called `name`; "mean" is that of the layers as wide as the last one."""
        return np.mean(self._alike, axis=0) if name == "mean" else self.layers[int(name)]

    @property
    def _alike(self) -> list[np.ndarray]:
        return [layer for layer in self.layers if layer.shape[1] == self.layers[-1].shape[1]]


def cache_folder() -> Path:
    """Where features are kept: HF_TRANSFER_KIT_CACHE, else `transfer_kit` in the Hugging Face cache."""
    from huggingface_hub.constants import HF_HOME

    return Path(os.environ.get("HF_TRANSFER_KIT_CACHE") or Path(HF_HOME) / "transfer_kit")


def cache_key(**parts: str | int | None) -> str:
    """A name for the features that depend on `parts` alone."""
    text = json.dumps({"version": VERSION} | parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached_features(key: str) -> LayerFeatures | None:
    """The features stored under `key`, or None. An unreadable entry is removed and counts as none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = cache_folder() / "features" / key
    if not folder.is_dir():
        return None
    try:
        tensors = load_file(folder / "layers.safetensors")
        cost = from_mapping(PassCost, read_json(folder / "cost.json"), "cost.json")
    except (OSError, ValueError, SafetensorError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return LayerFeatures(layers=tuple(tensors[name] for name in sorted(tensors)), cost=cost, cached=True)


def store_features(key: str, features: LayerFeatures) -> None:
    """Stores `features` under `key`; a reader sees nothing or all of it. An entry that is there already stays.

    Raises:
        ResourceError: the disk has no room, or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    root = cache_folder() / "features"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_room(root, sum(layer.nbytes for layer in features.layers))
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=root, ignore_cleanup_errors=True) as temporary:
            layers = {f"{number:03d}": layer for number, layer in enumerate(features.layers)}
            save_file(layers, Path(temporary) / "layers.safetensors")
            write_json(Path(temporary) / "cost.json", to_mapping(features.cost))
            os.rename(temporary, root / key)
    except TransferKitError:
        raise
    except (OSError, SafetensorError) as error:
        if not (root / key).is_dir():  # else another run with the same features was faster
            raise ResourceError(
                f"the features cannot be stored in '{root}' ({error}); make room, or set HF_TRANSFER_KIT_CACHE to a "
                "folder on another disk."
            ) from error


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > 0.9 * free:
        raise ResourceError(
            f"the features need {size >> 20} MiB, the disk of '{folder}' has {free >> 20} MiB free; make room, or set "
            "HF_TRANSFER_KIT_CACHE to a folder on another disk."
        )


def batches_by_length(
    task: "Task", processor: Any, inputs: Sequence[Any], max_length: int, batch_size: int
) -> Iterator[tuple[list[int], "list[Row]"]]:
    """(positions in `inputs`, encoded rows) per batch of inputs of like length, covering every input once."""
    window = WINDOW if task.pads else batch_size  # encoded images are large, and there is nothing to sort
    for start in range(0, len(inputs), window):
        rows = task.encode(processor, inputs[start : start + window], max_length)
        order = sorted(range(len(rows)), key=lambda i: task.length(rows[i]))
        for first in range(0, len(order), batch_size):
            chosen = order[first : first + batch_size]
            yield [start + i for i in chosen], [rows[i] for i in chosen]


def extract(
    task: "Task",
    backbone: Any,
    processor: Any,
    inputs: Sequence[Any],
    *,
    max_length: int,
    batch_size: int | None = None,
    count_flops: bool = True,
    on_progress: Progress | None = None,
) -> LayerFeatures:
    """The pooled hidden states of every layer for `inputs`, in the order of `inputs`.

    Args:
        backbone: a model in eval mode, on the device to use.
        max_length: longest input in tokens.
        count_flops: False leaves them at 0, which makes the first batch faster.
        on_progress: called with (rows done, rows).

    Raises:
        ModelError: the model gives numbers that are not finite.
    """
    import torch

    device = next(backbone.parameters()).device
    layers: list[np.ndarray] = []
    flops_per_unit, units, done = 0.0, 0, 0
    with Meter() as meter, torch.inference_mode():
        for positions, rows in batches_by_length(
            task, processor, inputs, max_length, batch_size or task.inference_batch
        ):
            batch = {name: tensor.to(device) for name, tensor in task.collate(processor, rows).items()}
            size = len(rows) * max(task.length(row) for row in rows)
            if not layers:
                pooled, flops = _counted(partial(_pooled_layers, task, backbone, batch), count_flops)
                flops_per_unit = flops / size
                layers = [np.empty((len(inputs), layer.shape[1]), dtype=np.float32) for layer in pooled]
            else:
                pooled = _pooled_layers(task, backbone, batch)
            for store, layer in zip(layers, pooled, strict=True):
                store[positions] = layer.float().cpu().numpy()
            units, done = units + size, done + len(rows)
            if on_progress is not None:
                on_progress(done, len(inputs))
    for number, layer in enumerate(layers):
        if not np.isfinite(layer).all():
            raise ModelError(
                f"layer {number} of model '{backbone.name_or_path}' gives numbers that are not finite: its weights "
                "are damaged; load them again, or choose another model."
            )
    cost = PassCost(
        rows=len(inputs),
        seconds=meter.seconds,
        cpu_seconds=meter.cpu_seconds,
        flops=flops_per_unit * units,
        parameters=sum(p.numel() for p in backbone.parameters()),
        peak_mib=meter.peak_mib,
    )
    return LayerFeatures(layers=tuple(layers), cost=cost, cached=False)


def _counted(call: Callable[[], T], count: bool) -> tuple[T, float]:
    """(what `call` returns, its floating-point operations, or 0 where they are not wanted)."""
    if not count:
        return call(), 0.0
    with flop_counter() as counter:
        result = call()
    return result, float(counter.get_total_flops())


def _pooled_layers(task: "Task", backbone: Any, batch: dict[str, Any]) -> list[Any]:
    """One (batch, width) tensor per layer, bottom to top, the model's final output last."""
    output = backbone(**batch, output_hidden_states=True)
    hidden = [state for state in output.hidden_states or () if state is not None]
    final = output.last_hidden_state
    # Many models end with a norm or a widening convolution that is not among the hidden states.
    if not hidden or final.shape != hidden[-1].shape or not bool((final == hidden[-1]).all()):
        hidden.append(final)
    return [task.pool(state, batch) for state in hidden]
