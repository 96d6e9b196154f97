"""The approaches, each under the dataclass that holds its settings. To add one: a dataclass in `plan`, a line here."""

from typing import Any

from hf_transfer_kit.approaches.approach import Fit, Job, KnownTask, Outcome, Predictor
from hf_transfer_kit.approaches.controls import MajorityFit, ShallowFit
from hf_transfer_kit.approaches.frozen import FeaturesFit
from hf_transfer_kit.approaches.prompted import PromptedFit
from hf_transfer_kit.approaches.trained import TrainedFit
from hf_transfer_kit.plan import (
    Features,
    FewShot,
    Full,
    Gradual,
    Lora,
    Majority,
    PromptTuning,
    Prototype,
    Scratch,
    Shallow,
    TopLayers,
    ZeroShot,
)

__all__ = ["FITS", "Fit", "Job", "KnownTask", "Outcome", "Predictor"]

FITS: dict[type[Any], Fit] = {
    Majority: MajorityFit(),
    Shallow: ShallowFit(),
    ZeroShot: PromptedFit(),
    FewShot: PromptedFit(),
    Prototype: PromptedFit(),
    Features: FeaturesFit(),
    TopLayers: TrainedFit(),
    Full: TrainedFit(),
    Gradual: TrainedFit(),
    Lora: TrainedFit(),
    PromptTuning: TrainedFit(),
    Scratch: TrainedFit(),
}
