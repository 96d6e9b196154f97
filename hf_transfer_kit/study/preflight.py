"""What is looked at before the first run of a study: hours of work must not end in a line that could come first."""

import importlib.util
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from hf_transfer_kit.errors import MissingExtraError, ModelError, PlanError, ResourceError, did_you_mean
from hf_transfer_kit.plan import DETERMINISTIC, Full, Lora, ModelSpec, Scratch, TopLayers, TransferPlan
from hf_transfer_kit.reporting import quantities

if TYPE_CHECKING:
    from hf_transfer_kit.study.study import Study

TRACKERS = ("trackio", "tensorboard", "wandb")
# Memory for weights, gradients and both moments of AdamW, and the weights kept on disk, in sizes of the model.
MEMORY = {Full: 4.0, Scratch: 4.0, TopLayers: 2.0, Lora: 1.5}
KEPT = {Full: 1.0, Scratch: 1.0, TopLayers: 1.0, Lora: 0.1}
CHECKPOINT = 5.0  # sizes of the model on disk while one run trains: weights, both moments, and the best weights so far


def check_found(models: Sequence[ModelSpec]) -> None:
    """Raises ModelError where a model is nowhere to be found; asks no library that takes seconds to import."""
    from hf_transfer_kit.models import resolve

    for model in models:
        resolve(model)


def check_models(study: "Study", task_name: str) -> None:
    """Models are of the right kind, with their processors and readable weights, and trackers are installed.

    Raises:
        ModelError, PlanError, MissingExtraError: the first that is not.
    """
    from hf_transfer_kit.models import load_config
    from hf_transfer_kit.tasks import get_task

    for tracker in study.training.report_to:
        if tracker not in TRACKERS:
            raise PlanError(f"--report-to: unknown experiment tracker '{tracker}'; {did_you_mean(tracker, TRACKERS)}")
        if importlib.util.find_spec(tracker) is None:
            raise MissingExtraError(f"--report-to {tracker} needs a package: pip install {tracker}")
    for model in study.models:
        load_config(model)
        get_task(task_name).check_model(model)
        if any(not isinstance(approach, Scratch) for approach in study.approaches):
            _check_weights(model)


def _check_weights(model: ModelSpec) -> None:
    """The headers of a local model's weights can be read; those on the Hub are not here yet."""
    from safetensors import SafetensorError, safe_open

    from hf_transfer_kit.models import resolve

    folder = Path(resolve(model))
    if not folder.is_dir():
        return
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"model folder '{model.name}' has no safetensors weights, and pickle files are not read; save it again "
            "with save_pretrained."
        )
    for file in files:
        try:
            with safe_open(file, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise ModelError(f"weights '{file}' are broken ({error}); copy or download the model again.") from error


def check_room(plans: Iterable[TransferPlan], out: Path) -> None:
    """Disk for the models and checkpoints of `plans`, memory for the largest run, as far as the weights' sizes tell.

    Raises:
        ResourceError: one of them does not suffice.
    """
    from hf_transfer_kit.models import weights_bytes

    trained = [
        (type(plan.approach), weights_bytes(plan.model))
        for plan in plans
        if plan.model is not None and not isinstance(plan.approach, DETERMINISTIC)
    ]
    if not trained:
        return
    disk = int(sum(KEPT[kind] * size for kind, size in trained) + CHECKPOINT * max(size for _, size in trained))
    free = shutil.disk_usage(out).free
    if disk > free:
        raise ResourceError(
            f"the {len(trained)} runs that train need about {_size(disk)} of disk, '{out}' has {_size(free)} free; "
            "make room, or choose fewer seeds or approaches, or an --out on another disk."
        )
    memory, available = int(max(MEMORY[kind] * size for kind, size in trained)), psutil.virtual_memory().available
    if memory > available and not _has_gpu():
        raise ResourceError(
            f"training needs at least {_size(memory)} of memory (weights, gradients, optimizer), {_size(available)} "
            "are free; close other programs, choose a smaller model, or --approaches features."
        )


def _size(count: int) -> str:
    return quantities.mebibytes(count / 2**20)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
