"""What the four guides say, row by row: the facts each row means, and what must then hold of the advice.

Rules that are cited on the way are named too: a rule that never speaks would be dead text.
"""

from dataclasses import dataclass, field
from typing import Any

IMAGES = {"task": "classification", "modality": "image"}
TEXTS = {"task": "classification", "modality": "text"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row. Fields: `first` and `models` are families; `hyper` is part of the settings; `text` stands in the rule."""

    id: str
    facts: dict[str, Any]
    method: str | None = None
    depth: int | None = None
    first: str | None = None
    not_first: str | None = None
    models: tuple[str, ...] = ()
    not_models: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    protections: tuple[str, ...] = ()
    not_protections: tuple[str, ...] = ()
    hyper: dict[str, Any] = field(default_factory=dict)
    asks: str | None = None
    text: tuple[str, ...] = ()


def row(id: str, facts: dict[str, Any], **expected: Any) -> Case:
    several = {key: (value,) if isinstance(value, str) else value for key, value in expected.items() if key in _TUPLES}
    return Case(id=id, facts=facts, **expected | several)


_TUPLES = {
    "models", "not_models", "reasons", "warnings", "evaluation", "alternatives", "protections", "not_protections",
    "text",
}  # fmt: skip
_KEEP = TEXTS | {"n_labelled": 5000, "keep_old_skills": True}
_CLUSTER = {"n_labelled": 2_000_000, "similarity": "different", "compute": "cluster"}
_RADAR = {"n_labelled": 500, "domain": "radar spectra", "modality": "series"}
_TRAPS = IMAGES | {"domain": "wildlife", "n_labelled": 5000}

CASES = [
    # size and similarity
    row("A1", IMAGES | {"n_labelled": 80, "similarity": "same"}, method="features", reasons=("A1", "B1")),
    row(
        "A2",
        IMAGES | {"n_labelled": 50_000, "similarity": "same", "compute": "cpu"},
        method="top_layers",
        reasons=("A2", "X2"),
        alternatives="full",
    ),
    row(
        "A3",
        IMAGES | {"n_labelled": 80, "similarity": "different"},
        method="features",
        reasons=("A3", "X1"),
        alternatives="top_layers",
        hyper={"layer": "auto"},
    ),
    row("A4", IMAGES | {"n_labelled": 50_000, "similarity": "different"}, method="full", depth=4, reasons="A4"),
    row("A5", TEXTS | {"n_labelled": 80, "similarity": "same"}, method="features", reasons="A5"),
    row("A6", TEXTS | {"n_labelled": 80, "similarity": "different"}, alternatives="top_layers", reasons=("A6", "X1")),
    row(
        "A7",
        TEXTS | {"n_labelled": 50_000, "similarity": "same", "priority": "accuracy", "compute": "gpu"},
        method="full",
        reasons=("A7", "X2"),
        alternatives="top_layers",
    ),
    row(
        "A8",
        IMAGES | {"n_labelled": 50_000, "similarity": "different"},
        method="full",
        alternatives="scratch",
        reasons=("A8", "X4"),
    ),
    row("A9", IMAGES | {"n_labelled": 80, "similarity": "same", "priority": "speed"}, method="features", reasons="A9"),
    row(
        "A10",
        IMAGES | {"n_labelled": 2000, "similarity": "moderate"},
        method="top_layers",
        depth=2,
        reasons="A10",
        hyper={"head_learning_rate": 1e-3, "learning_rate": 1e-5},
    ),
    row(
        "A11",
        TEXTS | {"n_labelled": 50_000, "similarity": "different", "priority": "accuracy"},
        method="full",
        reasons="A11",
        hyper={"head_learning_rate": 1e-3, "learning_rate": 5e-5},
    ),
    *(
        row(
            "B1",
            IMAGES | {"n_labelled": labels},
            method="features",
            depth=1,
            reasons="B1",
            hyper={"classifier": "logistic regression"},
        )
        for labels in (1, 50, 99)
    ),
    row(
        "B1", IMAGES | {"n_labelled": 0}, method="zero_shot", alternatives="features", reasons=("B1", "E9")
    ),  # nothing to fit a classifier on
    *(
        row("B2", TEXTS | {"n_labelled": labels}, method="top_layers", depth=2, reasons="B2")
        for labels in (100, 101, 5000, 9999, 10_000)
    ),
    *(row("B3", TEXTS | {"n_labelled": labels}, method="full", depth=4, reasons="B3") for labels in (10_001, 100_000)),
    row(
        "B4",
        IMAGES | {"n_labelled": 2000, "domain": "medical", "similarity": "same"},
        method="top_layers",
        alternatives="features",
        reasons="B4",
    ),
    row("B4", IMAGES | {"n_labelled": 50, "similarity": "same"}, method="features", reasons="B4"),
    row("B5", IMAGES | {"n_labelled": 2000, "domain": "satellite"}, method="gradual", depth=3, reasons="B5"),
    row(
        "B6",
        TEXTS | {"n_labelled": 2000, "similarity": "same", "complexity": "simple"},
        method="features",
        alternatives="top_layers",
        reasons="B6",
    ),
    row(
        "B6",
        TEXTS | {"n_labelled": 2000, "complexity": "simple"},
        method="top_layers",
        alternatives="features",
        reasons="B6",
    ),
    row(
        "B7",
        {"task": "segmentation", "n_labelled": 500},
        method="full",
        depth=4,
        reasons=("B7", "X6"),
        protections=("early_stopping", "gradual_unfreezing"),
    ),
    row("B7", {"task": "segmentation", "n_labelled": 99}, depth=1, warnings="X6s"),
    row("B8", IMAGES | {"n_labelled": 500}, models=("ResNet", "EfficientNet", "ViT"), reasons="B8"),
    row("B9", TEXTS | {"n_labelled": 500}, models=("BERT", "RoBERTa", "DeBERTa"), reasons="B9"),
    row("B10", {"modality": "image+text", "n_labelled": 500}, models=("CLIP", "BLIP"), reasons="B10"),
    row("B11", {"task": "generation"}, models=("GPT", "LLaMA"), reasons="B11"),
    # transfer, prompts, scratch
    row("C1", TEXTS | {"n_labelled": 9999}, reasons="C1"),
    row("C2", IMAGES | {"n_labelled": 500, "domain": "x-ray"}, reasons=("C2", "X3"), warnings="D1b2"),
    row("C3", TEXTS | {"n_labelled": 50_000, "compute": "cpu"}, reasons="C3"),
    row("C4", _RADAR, warnings="C4", text=("negative transfer", "randomly initialised copy")),
    row(
        "C5", TEXTS | {"n_labelled": 500, "language": "fi"}, first="XLM-RoBERTa", warnings="C5", text="tokens per word"
    ),
    row(
        "C6",
        TEXTS | {"n_labelled": 2_000_000, "similarity": "moderate", "compute": "cluster"},
        method="full",
        alternatives="scratch",
        reasons="C6",
    ),
    row("C7", IMAGES | _CLUSTER, method="scratch", depth=5, reasons=("C7", "X4")),
    row("C7", IMAGES | _CLUSTER | {"n_labelled": 999_999}, method="full"),
    row("C7", IMAGES | _CLUSTER | {"similarity": "moderate"}, method="full"),
    row("C7", IMAGES | _CLUSTER | {"compute": "multi_gpu"}, method="full"),
    row(
        "C8",
        IMAGES | _CLUSTER,
        reasons="C8",
        text=("1M+", "weeks on a GPU cluster", "$10K-$100K+", "very high", "60-70%"),
    ),
    row(
        "C9",
        TEXTS | {"n_labelled": 500},
        reasons="C9",
        text=("100-10K", "hours on one GPU", "$1-$100", "90-95%+", "a claim, not a promise"),
    ),
    row("C10", {}, method="features", reasons="C10"),
    row("C11", {"llm": True, "n_labelled": 0}, method="zero_shot", reasons=("C11", "X14")),
    row(
        "C11",
        TEXTS | {"llm": True, "n_labelled": 40},
        method="few_shot",
        depth=0,
        reasons="C11",
        alternatives="features",
    ),
    row("C12", _TRAPS, reasons="C12", text=("massive", "computationally expensive")),
    row("C13", IMAGES | {"n_labelled": 20}, method="features", reasons="C13"),
    row("C14", IMAGES | {"n_labelled": 20}, reasons="C14", text=("fastest", "least")),
    row("C15", TEXTS | {"n_labelled": 500}, reasons="C15", text=("very low", "production")),
    row("C16", TEXTS | {"n_labelled": 500}, reasons="C16", text="more data and compute"),
    # what transfers where
    row("D1a1", IMAGES | {"n_labelled": 500, "domain": "medical"}, first="ResNet", reasons=("D1a1", "X3m")),
    row("D1a2", _TRAPS, first="ResNet", reasons="D1a2"),
    row(
        "D1b1",
        IMAGES | {"n_labelled": 500, "domain": "satellite"},
        not_first="ResNet",
        models="ResNet",
        warnings="D1b1",
    ),
    row(
        "D1b2", IMAGES | {"n_labelled": 500, "domain": "x-ray"}, not_first="ResNet", first="RAD-DINO", warnings="D1b2"
    ),
    row(
        "D2a1",
        {"task": "detection", "n_labelled": 500, "domain": "surveillance"},
        models="Faster R-CNN",
        reasons="D2a1",
    ),
    row(
        "D2a2", {"task": "detection", "n_labelled": 500, "domain": "pedestrian"}, models="Faster R-CNN", reasons="D2a2"
    ),
    row("D2a3", {"task": "detection", "n_labelled": 500, "domain": "retail"}, models="Faster R-CNN", reasons="D2a3"),
    row("D2b1", {"task": "detection", "n_labelled": 500, "domain": "industrial"}, first="RT-DETR", warnings="D2b1"),
    row(
        "D2b2",
        {"task": "segmentation", "n_labelled": 500},
        first="SegFormer",
        not_models="Faster R-CNN",
        warnings="D2b2",
    ),
    row("D3a1", TEXTS | {"n_labelled": 500, "domain": "sentiment"}, first="BERT", reasons="D3a1"),
    row("D3a2", TEXTS | {"n_labelled": 500, "domain": "document"}, first="BERT", reasons="D3a2"),
    row("D3a3", {"task": "question_answering", "n_labelled": 500}, first="BERT", reasons="D3a3"),
    row("D3b1", {"task": "generation", "domain": "creative", "n_labelled": 500}, not_models="BERT", warnings="D3b1"),
    row(
        "D3b2",
        TEXTS | {"n_labelled": 500, "domain": "legal"},
        first="LegalBERT",
        not_models="BERT",
        warnings="D3b2",
        reasons="X12",
    ),
    row(
        "D3b2",
        TEXTS | {"n_labelled": 500, "domain": "expert knowledge of pumps"},
        not_first="BERT",
        models="BERT",
        warnings="D3b2",
    ),
    row("D4a1", {"task": "chat"}, first="GPT", reasons="D4a1"),
    row("D4a2", {"task": "summarization", "llm": True}, first="GPT", reasons="D4a2"),
    row("D4a3", {"task": "generation", "domain": "creative"}, first="GPT", reasons="D4a3"),
    row("D4a4", {"task": "generation"}, first="GPT", reasons="D4a4"),
    row("D4b1", TEXTS | {"n_labelled": 0, "llm": True, "domain": "scientific"}, not_first="GPT", warnings="D4b1"),
    row("D4b2", {"task": "generation", "domain": "legal"}, not_first="GPT", models="GPT", warnings="D4b2"),
    # families
    row("E1", {"task": "detection", "n_labelled": 500}, models="ResNet", reasons="E1"),
    row("E1", IMAGES | {"n_labelled": 500}, models=("ResNet", "EfficientNet"), reasons="E1"),
    row("E2", IMAGES | {"n_labelled": 500, "high_resolution": True}, models=("ViT", "Swin"), reasons="E2"),
    row(
        "E3",
        {"task": "forecasting", "n_labelled": 500},
        models=("LSTM", "GRU", "PatchTST"),
        reasons="E3",
        text="our own addition",
    ),
    row("E4", {"task": "generation", "n_labelled": 500}, first="GPT", reasons="E4"),
    row("E4", {"task": "question_answering", "n_labelled": 500}, models=("BERT", "T5"), reasons="E4"),
    row("E5", {"task": "captioning"}, first="BLIP", models="CLIP", reasons="E5"),
    row("E6", {"task": "ner", "n_labelled": 500}, first="BERT", reasons="E6"),
    row("E7", {"task": "generation"}, first="GPT", reasons="E7", text="most capable in the family"),
    row("E8", {"task": "translation", "n_labelled": 500}, first="T5", reasons="E8"),
    row("E9", IMAGES | {"n_labelled": 0}, first="CLIP", method="zero_shot", reasons="E9"),
    row("E9", {"task": "search", "modality": "image+text"}, first="CLIP", method="zero_shot", reasons="E9"),
    row("E10", IMAGES | {"n_labelled": 500}, first="ResNet", reasons="E10"),
    row("E11", IMAGES | {"n_labelled": 500, "priority": "balance"}, first="EfficientNet", reasons="E11"),
    row("E12", {}, models=("BERT", "ResNet", "CLIP"), reasons="E12"),
    # size, speed, place
    row(
        "F1",
        IMAGES | {"n_labelled": 500, "target": "edge", "real_time": True},
        models="ResNet",
        reasons=("F1", "X16"),
        text="~11M",
    ),
    row(
        "F2",
        IMAGES | {"n_labelled": 500, "high_resolution": True, "compute": "gpu"},
        first="ViT",
        reasons="F2",
        text="~307M",
    ),
    row("F3", {"task": "generation", "domain": "math"}, first="Mistral", reasons="F3", warnings="F3", text="~123B"),
    row(
        "F4",
        {"task": "generation", "llm": True},
        first="GPT",
        reasons="F4",
        warnings="F4",
        text=("~1.8T", "claimed", "API"),
    ),
    row("F5", IMAGES | {"n_labelled": 500, "target": "edge"}, first="MobileNet", reasons="F5"),
    row("F5", TEXTS | {"n_labelled": 500, "target": "edge"}, first="DistilBERT", reasons="F5"),
    row(
        "F6",
        IMAGES | {"n_labelled": 500, "target": "server", "compute": "gpu", "priority": "accuracy"},
        models="ViT",
        reasons="F6",
    ),
    row("F7", IMAGES | {"n_labelled": 500, "real_time": True}, first="EfficientNet", models="ResNet", reasons="F7"),
    row(
        "F8",
        TEXTS | {"n_labelled": 500, "real_time": True, "target": "server"},
        first="DistilBERT",
        reasons=("F8", "X15"),
    ),
    row(
        "F9",
        TEXTS | {"n_labelled": 50_000, "memory_gib": 5},
        method="full",
        first="BERT",
        not_models="DeBERTa",
        warnings="F9",
        reasons="F9",
    ),
    row(
        "F10",
        IMAGES | {"n_labelled": 500, "priority": "simplicity"},
        first="VGG",
        reasons="F10",
        text="VGG16/19: 138M/144M params, top-5 92.7%",
    ),
    row(
        "F11",
        IMAGES | {"n_labelled": 500, "priority": "deep"},
        first="ResNet",
        reasons="F11",
        text="ResNet50/101: 25M/44M params, top-5 93.3%",
    ),
    row(
        "F12",
        IMAGES | {"n_labelled": 500, "priority": "multi_scale"},
        first="Inception",
        reasons="F12",
        text="InceptionV3: 24M params, top-5 93.7%",
    ),
    row(
        "F13",
        IMAGES | {"n_labelled": 500, "priority": "small_model"},
        first="MobileNet",
        reasons="F13",
        text="MobileNetV2: 3.4M params, top-5 90.1%",
    ),
    row(
        "F14",
        IMAGES | {"n_labelled": 500, "priority": "balance"},
        first="EfficientNet",
        reasons="F14",
        text="EfficientNet: 5-66M params, top-5 97.1%",
    ),
    row(
        "F15",
        IMAGES | {"n_labelled": 500, "max_parameters": 5_000_000},
        first="MobileNet",
        reasons="F15",
        not_models="ResNet",
    ),
    row(
        "F16", IMAGES | {"n_labelled": 500, "priority": "accuracy"}, first="EfficientNet", reasons="F16", text="97.1%"
    ),
    # the wildlife case
    row(
        "G1",
        _TRAPS | {"several_objects": True, "compute": "cluster"},
        first="Swin",
        reasons=("G1", "X10"),
        text="expensive",
    ),
    row(
        "G2",
        _TRAPS | {"several_objects": True, "compute": "cpu"},
        first="ResNet",
        reasons="G2",
        text=("one label per picture", "natural settings"),
    ),
    row(
        "G3",
        _TRAPS | {"several_objects": True, "compute": "cluster", "n_labelled": 5_000_000},
        alternatives="scratch",
        reasons="G3",
        text=("massive", "expensive"),
    ),
    row("G4", _TRAPS | {"several_objects": False}, first="ResNet", reasons=("G4", "D1a2")),
    # layers
    row("H1", TEXTS | {"n_labelled": 500}, method="top_layers", reasons="H1", text=("edges, colours", "frozen")),
    row("H2", TEXTS | {"n_labelled": 500, "similarity": "different"}, reasons="H2", text="low rate"),
    row("H3", TEXTS | {"n_labelled": 500}, reasons="H3", text="low rate"),
    row("H4", TEXTS | {"n_labelled": 500}, reasons="H4", text="new head"),
    row("H5", TEXTS | {"n_labelled": 50_000}, reasons="H5", hyper={"decay": 0.95}, text="rise"),
    row("H6", TEXTS | {"n_labelled": 500, "similarity": "same"}, reasons="H6", text="fewer layers"),
    row(
        "H7",
        TEXTS | {"n_labelled": 500, "similarity": "different"},
        reasons=("H7", "X7"),
        hyper={"order": "top_down"},
        text="bottom_up",
    ),
    # rates
    row("I1", IMAGES | {"n_labelled": 500, "learning_rate": 1e-4}, reasons="I1", hyper={"learning_rate": 1e-4}),
    row(
        "I1", IMAGES | {"n_labelled": 500, "learning_rate": 2e-4}, warnings=("I6", "J2"), hyper={"learning_rate": 1e-5}
    ),
    row("I2", TEXTS | {"n_labelled": 500}, reasons=("I2", "X8"), hyper={"learning_rate": 5e-5}),
    row(
        "I3",
        IMAGES | {"n_labelled": 500, "n_classes": 7},
        reasons=("I3", "X9"),
        hyper={
            "learning_rate": 1e-5,
            "head_learning_rate": 1e-3,
            "optimizer": "AdamW",
            "weight_decay": 1e-4,
            "blocks": 3,
        },
        text=("layer4 at 1e-5", "at 1e-3", "AdamW", "1e-4", "Linear(2048, n)"),
    ),
    row(
        "I4",
        IMAGES | {"n_labelled": 50, "n_classes": 7},
        reasons="I4",
        hyper={"optimizer": "Adam", "head_learning_rate": 1e-3, "head": "Linear(2048, 7)"},
    ),
    row("I5", TEXTS | {"n_labelled": 500}, reasons="I5", hyper={"head_learning_rate": 1e-3}),
    row(
        "I6",
        TEXTS | {"n_labelled": 50_000, "learning_rate": 1e-3},
        warnings="I6",
        hyper={"learning_rate": 5e-5},
        text=("1e-5 to 1e-4", "2e-5 to 5e-5"),
    ),
    row(
        "I7",
        TEXTS | {"n_labelled": 50_000, "learning_rate": 1e-6},
        warnings="I7",
        hyper={"learning_rate": 5e-5},
        text="hardly move",
    ),
    # forgetting
    row("J1", TEXTS | {"n_labelled": 500, "similarity": "different"}, warnings="J1"),
    row("J2", TEXTS | {"n_labelled": 500, "learning_rate": 6e-5}, warnings="J2"),
    row("J3", TEXTS | {"n_labelled": 500}, reasons="J3", protections="early_stopping"),
    row("J4", TEXTS | {"n_labelled": 500, "complexity": "complex"}, warnings="J4"),
    row("J5", _KEEP, reasons="J5", protections="low_learning_rate", hyper={"learning_rate": 2e-5}),
    row("J6", _KEEP, reasons="J6", protections="early_stopping"),
    row("J7", _KEEP, reasons="J7", protections=("weight_decay", "dropout")),
    row("J8", _KEEP | {"old_data": True}, reasons="J8", protections="replay"),
    row("J9", _KEEP, reasons="J9", protections="gradual_unfreezing"),
    row("J10", _KEEP | {"old_data": False}, reasons="J10", protections="ewc"),
    row("J11", _KEEP, reasons="J11", protections=("low_learning_rate", "weight_decay", "gradual_unfreezing")),
    row("J12", _KEEP | {"old_data": True}, reasons="J12", protections="replay", not_protections=("ewc", "l2sp")),
    row("J12", _KEEP | {"old_data": False}, reasons="J12", protections=("ewc", "l2sp"), not_protections="replay"),
    # measuring
    row("K1", TEXTS | {"n_labelled": 500}, evaluation="K1", text=("optimistic", "independent", "copies")),
    row(
        "K2",
        TEXTS | {"n_labelled": 500, "test_set": False},
        evaluation=("K1", "K2"),
        text=("not ranked", "stratified split"),
    ),
    row("K3", TEXTS | {"n_labelled": 500, "high_impact": True}, evaluation="K3", text="interpretability"),
    row(
        "K4",
        TEXTS | {"n_labelled": 500, "deployment": True},
        evaluation="K4",
        text=("degradation", "out-of-distribution"),
    ),
    row("K5", TEXTS | {"n_labelled": 500}, evaluation="K5", text="out-of-distribution score"),
    row(
        "K6",
        TEXTS | {"n_labelled": 50_000},
        evaluation="K6",
        protections="low_learning_rate",
        text=("conservative", "independent", "monitoring"),
    ),
    # questions
    row("Q1", {}, asks="task"),
    row("Q2", TEXTS | {"n_labelled": 5000, "compute": "gpu", "real_time": False}, asks="similarity"),
    row("Q3", TEXTS, asks="n_labelled"),
    row("Q4", TEXTS | {"n_labelled": 5000, "similarity": "moderate", "complexity": "medium"}, asks="compute"),
    row(
        "Q5",
        IMAGES
        | {"n_labelled": 5000, "domain": "wildlife", "complexity": "medium", "compute": "gpu", "priority": "speed"},
        asks="real_time",
    ),
    row("Q6", TEXTS, asks="n_labelled"),
    row("Q7", TEXTS | {"n_labelled": 5000, "compute": "gpu"}, asks="similarity"),
    row("Q8", TEXTS | {"n_labelled": 5000, "similarity": "moderate", "compute": "gpu"}, asks="complexity"),
    row("Q9", IMAGES | {"n_labelled": 5000, "compute": "gpu"}, asks="similarity"),
]

# Every id of the guides' list: A1..A11 and so on.
COUNTS = {"A": 11, "B": 11, "C": 16, "E": 12, "F": 16, "G": 4, "H": 7, "I": 7, "J": 12, "K": 6, "Q": 9}
POOR_OR_GOOD = (
    "D1a1 D1a2 D1b1 D1b2 D2a1 D2a2 D2a3 D2b1 D2b2 D3a1 D3a2 D3a3 D3b1 D3b2 D4a1 D4a2 D4a3 D4a4 D4b1 D4b2".split()
)
IDS = {f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)} | set(POOR_OR_GOOD)
