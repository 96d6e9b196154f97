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
    from hf_transfer_kit.advisor.advice import Advice
    from hf_transfer_kit.advisor.at_hand.measuring import evidence_of
    from hf_transfer_kit.advisor.conversation.consultation import Consultation
    from hf_transfer_kit.advisor.conversation.dialogue import reply
    from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState
    from hf_transfer_kit.advisor.evidence import Evidence
    from hf_transfer_kit.advisor.exports.plan_export import export_plan
    from hf_transfer_kit.advisor.facts import TaskFacts
    from hf_transfer_kit.advisor.rules import advise
    from hf_transfer_kit.blocks import find_blocks
    from hf_transfer_kit.callbacks.ewc import EWC
    from hf_transfer_kit.callbacks.forgetting import ForgettingMonitor
    from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
    from hf_transfer_kit.callbacks.l2sp import L2SP
    from hf_transfer_kit.callbacks.replay import Replay
    from hf_transfer_kit.checking.checks import check_data
    from hf_transfer_kit.comparison.compare import compare
    from hf_transfer_kit.comparison.result import Comparison
    from hf_transfer_kit.continual import average_accuracy, backward_transfer, forgetting, forward_transfer
    from hf_transfer_kit.data.labelled import LabelledData, load_data
    from hf_transfer_kit.errors import (
        DataError,
        FormatError,
        MissingExtraError,
        ModelError,
        OutputError,
        PlanError,
        PromptError,
        RemoteError,
        ResourceError,
        TransferKitError,
        UnsupportedSetupError,
    )
    from hf_transfer_kit.findings import CheckReport
    from hf_transfer_kit.fisher import estimate_fisher
    from hf_transfer_kit.interpolation import interpolate, interpolation_table, sweep_interpolation
    from hf_transfer_kit.memory.estimate import MemoryEstimate, estimate_memory
    from hf_transfer_kit.optim import discriminative_lr
    from hf_transfer_kit.plan import (
        DataSpec,
        EwcSettings,
        Features,
        FewShot,
        Full,
        Gradual,
        L2spSettings,
        Lora,
        Majority,
        ModelSpec,
        PromptTuning,
        Protection,
        Prototype,
        Remote,
        ReplaySettings,
        Scratch,
        Shallow,
        TopLayers,
        Training,
        TransferPlan,
        ZeroShot,
    )
    from hf_transfer_kit.prediction import Prediction, predict
    from hf_transfer_kit.prompting.classifier import Demonstration, PromptClassifier
    from hf_transfer_kit.prompting.label_scoring.label_scorer import LabelScorer
    from hf_transfer_kit.prompting.make import make_classifier
    from hf_transfer_kit.prompting.prompts import Prompt, load_prompt
    from hf_transfer_kit.prompting.scores import Scores, Usage
    from hf_transfer_kit.records import RunRecord
    from hf_transfer_kit.reporting.report import write_report
    from hf_transfer_kit.study.method import Method
    from hf_transfer_kit.study.study import Study, carry_out
    from hf_transfer_kit.transferability.ranking import rank
    from hf_transfer_kit.transferability.result import Ranking

__all__ = [
    "EWC",
    "L2SP",
    "Advice",
    "CheckReport",
    "Comparison",
    "Consultation",
    "DataError",
    "DataSpec",
    "Demonstration",
    "DialogueState",
    "Evidence",
    "EwcSettings",
    "Features",
    "FewShot",
    "ForgettingMonitor",
    "FormatError",
    "Full",
    "Gradual",
    "GradualUnfreezing",
    "L2spSettings",
    "LabelScorer",
    "LabelledData",
    "Lora",
    "Majority",
    "MemoryEstimate",
    "Method",
    "MissingExtraError",
    "ModelError",
    "ModelSpec",
    "OutputError",
    "PlanError",
    "Prediction",
    "Prompt",
    "PromptClassifier",
    "PromptError",
    "PromptTuning",
    "Protection",
    "Prototype",
    "Ranking",
    "Remote",
    "RemoteError",
    "Replay",
    "ReplaySettings",
    "ResourceError",
    "RunRecord",
    "Scores",
    "Scratch",
    "Shallow",
    "Study",
    "TaskFacts",
    "TopLayers",
    "Training",
    "TransferKitError",
    "TransferPlan",
    "UnsupportedSetupError",
    "Usage",
    "ZeroShot",
    "advise",
    "average_accuracy",
    "backward_transfer",
    "carry_out",
    "check_data",
    "compare",
    "discriminative_lr",
    "estimate_fisher",
    "estimate_memory",
    "evidence_of",
    "export_plan",
    "find_blocks",
    "forgetting",
    "forward_transfer",
    "interpolate",
    "interpolation_table",
    "load_data",
    "load_prompt",
    "make_classifier",
    "predict",
    "rank",
    "reply",
    "sweep_interpolation",
    "write_report",
]

_HOMES = {
    "Advice": "advisor.advice",
    "CheckReport": "findings",
    "Comparison": "comparison.result",
    "Consultation": "advisor.conversation.consultation",
    "DataError": "errors",
    "DataSpec": "plan",
    "Demonstration": "prompting.classifier",
    "DialogueState": "advisor.conversation.dialogue_state",
    "EWC": "callbacks.ewc",
    "Evidence": "advisor.evidence",
    "EwcSettings": "plan",
    "Features": "plan",
    "FewShot": "plan",
    "ForgettingMonitor": "callbacks.forgetting",
    "FormatError": "errors",
    "Full": "plan",
    "Gradual": "plan",
    "GradualUnfreezing": "callbacks.gradual_unfreezing",
    "L2SP": "callbacks.l2sp",
    "L2spSettings": "plan",
    "LabelScorer": "prompting.label_scoring.label_scorer",
    "LabelledData": "data.labelled",
    "Lora": "plan",
    "Majority": "plan",
    "MemoryEstimate": "memory.estimate",
    "Method": "study.method",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "ModelSpec": "plan",
    "OutputError": "errors",
    "PlanError": "errors",
    "Prediction": "prediction",
    "Prompt": "prompting.prompts",
    "PromptClassifier": "prompting.classifier",
    "PromptError": "errors",
    "PromptTuning": "plan",
    "Protection": "plan",
    "Prototype": "plan",
    "Ranking": "transferability.result",
    "Remote": "plan",
    "RemoteError": "errors",
    "Replay": "callbacks.replay",
    "ReplaySettings": "plan",
    "ResourceError": "errors",
    "RunRecord": "records",
    "Scores": "prompting.scores",
    "Scratch": "plan",
    "Shallow": "plan",
    "Study": "study.study",
    "TaskFacts": "advisor.facts",
    "TopLayers": "plan",
    "Training": "plan",
    "TransferKitError": "errors",
    "TransferPlan": "plan",
    "UnsupportedSetupError": "errors",
    "Usage": "prompting.scores",
    "ZeroShot": "plan",
    "advise": "advisor.rules",
    "average_accuracy": "continual",
    "backward_transfer": "continual",
    "carry_out": "study.study",
    "check_data": "checking.checks",
    "compare": "comparison.compare",
    "discriminative_lr": "optim",
    "estimate_fisher": "fisher",
    "estimate_memory": "memory.estimate",
    "evidence_of": "advisor.at_hand.measuring",
    "export_plan": "advisor.exports.plan_export",
    "find_blocks": "blocks",
    "forgetting": "continual",
    "forward_transfer": "continual",
    "interpolate": "interpolation",
    "interpolation_table": "interpolation",
    "load_data": "data.labelled",
    "load_prompt": "prompting.prompts",
    "make_classifier": "prompting.make",
    "predict": "prediction",
    "rank": "transferability.ranking",
    "reply": "advisor.conversation.dialogue",
    "sweep_interpolation": "interpolation",
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
