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
    PROMPTED,
    PROTECTABLE,
    TRAINED,
    Approach,
    Features,
    Full,
    Gradual,
    Lora,
    Majority,
    Scratch,
    Shallow,
    TopLayers,
    approach_from_mapping,
)
from hf_transfer_kit.plan.prompting import FewShot, PromptTuning, Prototype, ZeroShot
from hf_transfer_kit.plan.protection import (
    PROTECTIONS,
    EwcSettings,
    L2spSettings,
    Protection,
    ReplaySettings,
    protection_named,
)
from hf_transfer_kit.plan.specs import DataSpec, ModelSpec, Remote, Training
from hf_transfer_kit.plan.transfer_plan import FORMAT, VERSION, TransferPlan

__all__ = [
    "APPROACHES",
    "CONTROLS",
    "DETERMINISTIC",
    "FORMAT",
    "PROMPTED",
    "PROTECTABLE",
    "PROTECTIONS",
    "TRAINED",
    "VERSION",
    "Approach",
    "DataSpec",
    "EwcSettings",
    "Features",
    "FewShot",
    "Full",
    "Gradual",
    "L2spSettings",
    "Lora",
    "Majority",
    "ModelSpec",
    "PromptTuning",
    "Protection",
    "Prototype",
    "Remote",
    "ReplaySettings",
    "Scratch",
    "Shallow",
    "TopLayers",
    "Training",
    "TransferPlan",
    "ZeroShot",
    "approach_from_mapping",
    "protection_named",
]
