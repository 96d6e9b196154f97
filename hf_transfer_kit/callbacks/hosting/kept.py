"""Tensors that a resumed run must find again: written once, at the first step, and checked when it continues.

They lie in `<output_dir>/hf_transfer_kit/<name>.safetensors`, not in every checkpoint, because they do not change
during a run. A checkpoint only notes their digest (`hf_transfer_kit.json`), so that a file which a later run in the
same folder has written over is not taken for the right one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from hf_transfer_kit.callbacks.hosting.host import FOLDER, Host
from hf_transfer_kit.errors import FormatError, OutputError

NOTES = "hf_transfer_kit.json"  # in a checkpoint: {name: digest}


def keep(host: Host, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes `tensors` for later resumption, from the first process; returns when the file is there for all."""
    if host.state.is_world_process_zero:
        host.folder.mkdir(parents=True, exist_ok=True)
        save_tensors(host.folder / f"{name}.safetensors", tensors)
    host.wait_for_everyone()


def find_again(host: Host, name: str) -> dict[str, torch.Tensor]:
    """The tensors that `keep` wrote when this training began, on the CPU.

    Raises:
        OutputError: they are gone, or belong to another training.
        FormatError: the file is broken.
    """
    folders = [host.folder]
    if host.resumed_from is not None:
        folders.append(host.resumed_from.parent / FOLDER)
    files = [folder / f"{name}.safetensors" for folder in folders]
    file = next((file for file in files if file.is_file()), None)
    host.wait_for_everyone()  # all have looked before the first process writes below
    if file is None:
        raise OutputError(
            f"the run resumes at step {host.state.global_step}, but '{files[-1]}' is missing, without which {name} "
            "would start from the wrong weights; copy the folder beside the checkpoints too, or start afresh."
        )
    noted = _notes(host.resumed_from).get(name) if host.resumed_from is not None else None
    if noted is not None and noted != digest_of(file):
        raise OutputError(
            f"'{file}' is not the one that checkpoint '{host.resumed_from}' was trained with: another training has "
            "written to the same output_dir since; resume one of its checkpoints, or start afresh in a new folder."
        )
    tensors = load_tensors(file)
    if file.parent != host.folder:
        keep(host, name, tensors)  # the next checkpoints lie in another output_dir, beside which it is looked for
    return tensors


def note(host: Host, name: str) -> None:
    """Notes in the checkpoint just saved which file belongs to it; call in `on_save`."""
    checkpoint = Path(host.args.output_dir) / f"checkpoint-{host.state.global_step}"
    if host.state.is_world_process_zero and checkpoint.is_dir():
        notes = _notes(checkpoint) | {name: digest_of(host.folder / f"{name}.safetensors")}
        (checkpoint / f".{NOTES}").write_text(json.dumps(notes, indent=1), encoding="utf-8")
        (checkpoint / f".{NOTES}").replace(checkpoint / NOTES)


def save_tensors(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes a safetensors file that carries a digest of its content, at once or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    unfinished = file.with_name(f".{file.name}")
    save_file(tensors, unfinished, metadata={"digest": digest.hexdigest()})
    unfinished.replace(file)


def load_tensors(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, on the CPU; raises FormatError."""
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise FormatError(f"'{file}' cannot be read as safetensors: {error}.") from error


def digest_of(file: Path) -> str:
    """The digest that `save_tensors` wrote; raises FormatError."""
    try:
        with safe_open(file, framework="pt") as opened:
            return str((opened.metadata() or {}).get("digest", ""))
    except (SafetensorError, OSError) as error:
        raise FormatError(f"'{file}' cannot be read as safetensors: {error}.") from error


def _notes(checkpoint: Path) -> dict[str, str]:
    try:
        notes: dict[str, str] = json.loads((checkpoint / NOTES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}  # killed between the Trainer's own files and the callbacks' turn: nothing to compare with
    except (OSError, ValueError) as error:
        raise FormatError(f"'{checkpoint / NOTES}' cannot be read: {error}.") from error
    return notes
