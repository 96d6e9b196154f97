"""The model that knows the old data, as it lies in the cache: `<cache>/old_tasks/<key>`, shared by all runs.

    model/              as save_pretrained wrote it
    before.safetensors  its logits for the old test items
    learned.json        what learning took

What a run leaves behind (adapters, a head on features) stands on that model, so it notes the key.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.features import cache_folder
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

FOLDER, MODEL_FOLDER = "old_tasks", "model"
BEFORE_FILE, LEARNED_FILE = "before.safetensors", "learned.json"
NOTE_FILE = "start.json"  # beside what stands on the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """How the model came to know the old data.

    Fields:
        learned: False where it knew before.
        seconds: wall time of learning.
        accuracy: on the old test items, among old and new labels.
    """

    learned: bool
    seconds: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartNote:
    """What a run's folder says of the model that it stands on."""

    key: str


def folder_of(key: str) -> Path:
    """Where the model called `key` lies, or would lie."""
    return cache_folder() / FOLDER / key


def starting_model(key: str, blocks: tuple[str, ...] | None = None) -> ModelSpec:
    """The model called `key`.

    Raises:
        ModelError: it is no longer in the cache.
    """
    folder = folder_of(key) / MODEL_FOLDER
    if not folder.is_dir():
        raise ModelError(
            f"the model that knows the old data, which this run stands on, is no longer in the cache ('{folder}'); "
            "set HF_TRANSFER_KIT_CACHE to where it was, or carry out the run again in an empty folder."
        )
    return ModelSpec(name=str(folder), blocks=blocks)


def write_note(folder: Path, key: str) -> None:
    """Notes in a run's `model` folder which model it stands on."""
    write_json(folder / NOTE_FILE, to_mapping(StartNote(key=key)))


def noted_model(folder: Path) -> ModelSpec:
    """The model that `write_note` noted; raises ModelError as `starting_model`, FormatError where the note is gone."""
    return starting_model(from_mapping(StartNote, read_json(folder / NOTE_FILE), NOTE_FILE).key)


def save_answers(folder: Path, before: np.ndarray, learned: Learned) -> None:
    """Writes what goes beside the model."""
    from safetensors.numpy import save_file

    save_file({"logits": np.ascontiguousarray(before, dtype=np.float32)}, folder / BEFORE_FILE)
    write_json(folder / LEARNED_FILE, to_mapping(learned))


def read_answers(key: str) -> tuple[np.ndarray, Learned]:
    """(logits of the old test items, how the model learned), as `save_answers` wrote them."""
    from safetensors.numpy import load_file

    folder = folder_of(key)
    logits: np.ndarray = load_file(folder / BEFORE_FILE)["logits"]
    return logits, from_mapping(Learned, read_json(folder / LEARNED_FILE), LEARNED_FILE)


def is_whole(key: str) -> bool:
    """Whether the model called `key` is in the cache; a damaged one is removed."""
    from safetensors import SafetensorError, safe_open

    folder = folder_of(key)
    try:
        read_answers(key)
        weights = list((folder / MODEL_FOLDER).glob("*.safetensors"))
        for file in weights:
            with safe_open(file, framework="numpy"):  # notices a file that is too short
                pass
        if weights and (folder / MODEL_FOLDER / "config.json").is_file():
            return True
    except (OSError, ValueError, LookupError, SafetensorError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return False
