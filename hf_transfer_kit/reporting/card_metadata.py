"""The YAML at the top of a model card, as the Hub reads it. Imports no torch."""

from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.plan import Full, Gradual, Lora, PromptTuning, Scratch, TopLayers
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.places import hub_model, is_hub_name, last_part

KIT = "hf-transfer-kit"
ADAPTERS, WHOLE_MODELS = (Lora, PromptTuning), (Full, TopLayers, Gradual, Scratch)
DIGITS = 4


def card_metadata(record: RunRecord, arm: ArmResult, *, name: str, license: str | None) -> ModelCardData:
    """What the Hub sorts and searches by: base model, data, task, library, measured results.

    Args:
        arm: what `compare` says of the run alone.
        name: of the model, for its results.
        license: of the model it started from; None: not known, and left out.
    """
    base = None if isinstance(record.plan.approach, Scratch) else hub_model(record)
    data = record.plan.data.path if is_hub_name(record.plan.data.path) else None
    relation: dict[str, Any] = {"base_model_relation": _relation(record)} if base and _relation(record) else {}
    return ModelCardData(
        license=license,
        base_model=base,
        datasets=data,
        library_name=library(record),
        pipeline_tag=record.task,
        tags=[KIT, f"{KIT}:{record.plan.approach.name}", *record.plan.protection.names],
        model_name=name,
        eval_results=_results(record, arm, data),
        **relation,
    )


def library(record: RunRecord) -> str:
    """The library that loads what the run saved: "transformers", "peft", or the kit itself."""
    if isinstance(record.plan.approach, ADAPTERS):
        return "peft"
    return "transformers" if isinstance(record.plan.approach, WHOLE_MODELS) else KIT


def _relation(record: RunRecord) -> str | None:
    if isinstance(record.plan.approach, ADAPTERS):
        return "adapter"
    return "finetune" if isinstance(record.plan.approach, WHOLE_MODELS) else None


def _results(record: RunRecord, arm: ArmResult, data: str | None) -> list[EvalResult]:
    spec = record.plan.data
    metrics = {
        "accuracy": ("Accuracy", arm.accuracy),
        "f1": ("Macro F1", arm.scores.macro_f1),
        "expected_calibration_error": ("Expected calibration error", arm.scores.calibrated_error),
    }
    return [
        EvalResult(
            task_type=record.task, dataset_type=data or "own-data", dataset_name=data or last_part(spec.path),
            dataset_config=spec.config, dataset_split="test", dataset_revision=spec.revision if data else None,
            metric_type=kind, metric_name=title, metric_value=round(value, DIGITS),
        )
        for kind, (title, value) in metrics.items()
    ]  # fmt: skip
