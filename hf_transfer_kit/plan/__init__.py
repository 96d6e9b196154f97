"""TransferPlan: everything that decides a run, as frozen dataclasses; YAML in and out.

One plan is one run: one data set, one model, one approach, one seed. `transfer-kit compare` is nothing but many plans.

    format: hf_transfer_kit.plan
    version: 1
    data: {path: reviews.csv}
    model: {name: distilbert-base-uncased}
    approach: {name: full, learning_rate: 5.0e-5}
    seed: 0

Unknown settings, wrong types and unknown versions are errors. Imports no torch.
"""

from hf_transfer_kit.plan.approaches import (
    APPROACHES,
    CONTROLS,
    DETERMINISTIC,
    Approach,
    Features,
    Full,
    Lora,
    Majority,
    Scratch,
    Shallow,
    TopLayers,
    approach_from_mapping,
)
from hf_transfer_kit.plan.specs import DataSpec, ModelSpec, Training
from hf_transfer_kit.plan.transfer_plan import FORMAT, VERSION, TransferPlan

__all__ = [
    "APPROACHES",
    "CONTROLS",
    "DETERMINISTIC",
    "FORMAT",
    "VERSION",
    "Approach",
    "DataSpec",
    "Features",
    "Full",
    "Lora",
    "Majority",
    "ModelSpec",
    "Scratch",
    "Shallow",
    "TopLayers",
    "Training",
    "TransferPlan",
    "approach_from_mapping",
]
