"""From a labelled data set to a measured comparison of transfer strategies.

    from hf_transfer_kit import DataSpec, Features, Full, ModelSpec, Study, carry_out

    models = (ModelSpec(name="distilbert-base-uncased"),)
    study = Study(data=DataSpec(path="reviews.csv"), models=models, approaches=(Features(), Full()))
    comparison = carry_out(study, "my-comparison")
    print(comparison.verdict)

The names in `__all__` are public, and so is `hf_transfer_kit.run.run` for a single plan; everything else may change.
Each is imported when it is first used, so that importing the package takes milliseconds and loads no torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_transfer_kit.blocks import find_blocks
    from hf_transfer_kit.checking.checks import check_data
    from hf_transfer_kit.comparison.compare import compare
    from hf_transfer_kit.comparison.result import Comparison
    from hf_transfer_kit.data.labelled import LabelledData, load_data
    from hf_transfer_kit.errors import (
        DataError,
        FormatError,
        MissingExtraError,
        ModelError,
        OutputError,
        PlanError,
        ResourceError,
        TransferKitError,
        UnsupportedSetupError,
    )
    from hf_transfer_kit.findings import CheckReport
    from hf_transfer_kit.optim import discriminative_lr
    from hf_transfer_kit.plan import (
        DataSpec,
        Features,
        Full,
        Lora,
        Majority,
        ModelSpec,
        Scratch,
        Shallow,
        TopLayers,
        Training,
        TransferPlan,
    )
    from hf_transfer_kit.prediction import Prediction, predict
    from hf_transfer_kit.records import RunRecord
    from hf_transfer_kit.reporting.report import write_report
    from hf_transfer_kit.study.study import Study, carry_out

__all__ = [
    "CheckReport",
    "Comparison",
    "DataError",
    "DataSpec",
    "Features",
    "FormatError",
    "Full",
    "LabelledData",
    "Lora",
    "Majority",
    "MissingExtraError",
    "ModelError",
    "ModelSpec",
    "OutputError",
    "PlanError",
    "Prediction",
    "ResourceError",
    "RunRecord",
    "Scratch",
    "Shallow",
    "Study",
    "TopLayers",
    "Training",
    "TransferKitError",
    "TransferPlan",
    "UnsupportedSetupError",
    "carry_out",
    "check_data",
    "compare",
    "discriminative_lr",
    "find_blocks",
    "load_data",
    "predict",
    "write_report",
]

_HOMES = {
    "CheckReport": "findings",
    "Comparison": "comparison.result",
    "DataError": "errors",
    "DataSpec": "plan",
    "Features": "plan",
    "FormatError": "errors",
    "Full": "plan",
    "LabelledData": "data.labelled",
    "Lora": "plan",
    "Majority": "plan",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "ModelSpec": "plan",
    "OutputError": "errors",
    "PlanError": "errors",
    "Prediction": "prediction",
    "ResourceError": "errors",
    "RunRecord": "records",
    "Scratch": "plan",
    "Shallow": "plan",
    "Study": "study.study",
    "TopLayers": "plan",
    "Training": "plan",
    "TransferKitError": "errors",
    "TransferPlan": "plan",
    "UnsupportedSetupError": "errors",
    "carry_out": "study.study",
    "check_data": "checking.checks",
    "compare": "comparison.compare",
    "discriminative_lr": "optim",
    "find_blocks": "blocks",
    "load_data": "data.labelled",
    "predict": "prediction",
    "write_report": "reporting.report",
}


def __getattr__(name: str) -> Any:
    """A public name, imported on first use (PEP 562)."""
    if name == "__version__":
        return version("hf-transfer-kit")
    if name not in _HOMES:
        from hf_transfer_kit.errors import did_you_mean

        hint = "" if name.startswith("_") else f"; {did_you_mean(name, __all__)}"
        raise AttributeError(f"module 'hf_transfer_kit' has no attribute '{name}'{hint}")
    value = globals()[name] = getattr(import_module(f"hf_transfer_kit.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
