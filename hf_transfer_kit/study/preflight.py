"""What is looked at before the first run of a study: hours of work must not end in a line that could come first."""

import importlib.util
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from hf_transfer_kit.errors import MissingExtraError, ModelError, PlanError, ResourceError, did_you_mean
from hf_transfer_kit.plan import (
    CONTROLS,
    PROMPTED,
    TRAINED,
    Full,
    Gradual,
    Lora,
    ModelSpec,
    PromptTuning,
    Scratch,
    TopLayers,
    TransferPlan,
    ZeroShot,
)
from hf_transfer_kit.reporting import quantities

if TYPE_CHECKING:
    from hf_transfer_kit.study.study import Study

TRACKERS = ("trackio", "tensorboard", "wandb")
# Memory for weights, gradients and both moments of AdamW, and the weights kept on disk, in sizes of the model.
MEMORY = {Full: 4.0, Gradual: 4.0, Scratch: 4.0, TopLayers: 2.0, Lora: 1.5, PromptTuning: 1.1}
KEPT = {Full: 1.0, Gradual: 1.0, Scratch: 1.0, TopLayers: 1.0, Lora: 0.1, PromptTuning: 0.1}
EWC, L2SP = 2.0, 1.0  # sizes of what trains: importance and anchor; the anchor alone. In memory, and on disk meanwhile
CHECKPOINT = 5.0  # sizes of the model on disk while one run trains: weights, both moments, and the best weights so far


def check_found(models: Sequence[ModelSpec]) -> None:
    """Raises ModelError where a model is nowhere to be found; asks no library that takes seconds to import."""
    from hf_transfer_kit.models import resolve

    for model in models:
        if model.remote is None:
            resolve(model)


def check_models(study: "Study", task_name: str) -> None:
    """Models are of the right kind, with their processors and readable weights, and trackers are installed.

    Raises:
        ModelError, PlanError, MissingExtraError: the first that is not.
    """
    from hf_transfer_kit.models import load_config
    from hf_transfer_kit.prompting.kinds import kind_of, knows_words
    from hf_transfer_kit.prompting.prompts import load_prompt
    from hf_transfer_kit.tasks import get_task

    for method in study.methods:
        if file := getattr(method.approach, "prompt", None):
            load_prompt(file)
    for tracker in study.training.report_to:
        if tracker not in TRACKERS:
            raise PlanError(f"--report-to: unknown experiment tracker '{tracker}'; {did_you_mean(tracker, TRACKERS)}")
        if importlib.util.find_spec(tracker) is None:
            raise MissingExtraError(f"--report-to {tracker} needs a package: pip install {tracker}")
    for model in study.models:
        load_config(model)
        if any(not isinstance(method.approach, PROMPTED) for method in study.methods):
            get_task(task_name).check_model(model)
        if any(not isinstance(method.approach, Scratch) for method in study.methods):
            _check_weights(model)
    for model in study.prompt_models:
        if model.remote is not None:
            from hf_transfer_kit.prompting.remote.remote_access import find_key

            find_key(model.remote)
        elif kind_of(model, task_name) and knows_words(model, task_name):
            _check_weights(model)
        else:
            raise ModelError(f"model '{model.name}' reads no words, so that it cannot be asked; choose another one.")


def possible(plans: Mapping[str, TransferPlan], task_name: str) -> tuple[dict[str, TransferPlan], list[str]]:
    """(the plans that can be carried out, a sentence on each approach that is left out).

    Raises:
        PlanError: all that was asked for is left out.
    """
    from hf_transfer_kit.prompting.kinds import knows_words

    kept: dict[str, TransferPlan] = {}
    left_out: dict[str, None] = {}  # each sentence once, in order
    for name, plan in plans.items():
        reason = ""
        if isinstance(plan.approach, PromptTuning) and task_name != "text-classification":
            reason = "there is no text to put a prompt before"
        elif isinstance(plan.approach, ZeroShot) and plan.model and not knows_words(plan.model, task_name):
            reason = "it reads no label names; models with a text side, such as CLIP, do"
        if reason:
            left_out[f"{plan.approach.name} is left out on {plan.model.name if plan.model else ''}: {reason}."] = None
        else:
            kept[name] = plan
    if left_out and all(isinstance(plan.approach, CONTROLS) for plan in kept.values()):
        raise PlanError(next(iter(left_out)))
    return kept, list(left_out)


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


def check_room(plans: Iterable[TransferPlan], out: Path, *, learns_old: bool = False) -> None:
    """Disk for the models and checkpoints of `plans`, memory for the largest run, as far as the weights' sizes tell.

    Args:
        learns_old: the models learn old data first.

    Raises:
        ResourceError: one of them does not suffice.
    """
    from hf_transfer_kit.models import weights_bytes

    with_model = [
        (plan, weights_bytes(plan.model)) for plan in plans if plan.model is not None and plan.model.remote is None
    ]
    trained = [(plan, size) for plan, size in with_model if isinstance(plan.approach, TRAINED)]
    learning = {  # the models that learn old data first, once for all runs
        plan.model: size
        for plan, size in with_model
        if learns_old and not isinstance(plan.approach, (Scratch, *PROMPTED))
    }
    if not trained and not learning:
        return
    extra = [_guarded(plan) * size for plan, size in trained]
    needed = [MEMORY[type(plan.approach)] * size + more for (plan, size), more in zip(trained, extra, strict=True)]
    needed += [MEMORY[Full] * size for size in learning.values()]
    kept = [KEPT[type(plan.approach)] * size for plan, size in trained] + list(learning.values())
    meanwhile = CHECKPOINT * max(size for _, size in with_model) + max(extra, default=0.0)
    disk, memory = int(sum(kept) + meanwhile), int(max(needed))
    free = shutil.disk_usage(out).free
    if disk > free:
        raise ResourceError(
            f"the runs need about {_size(disk)} of disk, '{out}' has {_size(free)} free; "
            "make room, or choose fewer seeds or approaches, or an --out on another disk."
        )
    available = psutil.virtual_memory().available
    if memory > available and not _has_gpu():
        raise ResourceError(
            f"training needs at least {_size(memory)} of memory (weights, gradients, optimizer), {_size(available)} "
            "are free; close other programs, choose a smaller model, or --approaches features."
        )


def _guarded(plan: TransferPlan) -> float:
    """What the protections of a plan add, in sizes of the model: they guard what trains."""
    trains = (MEMORY[type(plan.approach)] - 1) / 3  # the rest of MEMORY: gradients and two moments of what trains
    return trains * ((EWC if plan.protection.ewc else 0.0) + (L2SP if plan.protection.l2sp else 0.0))


def _size(count: int) -> str:
    return quantities.mebibytes(count / 2**20)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
