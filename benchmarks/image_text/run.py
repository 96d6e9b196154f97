"""What does it save to pass label texts through the text tower once, and not once per image?

    python -m benchmarks.image_text.run

One process, one thread, CPU seconds. 100 images and 50 labels, a CLIP model with random weights (text tower 12 layers
x 256, image tower 6 x 256, patches of 32 on 224 pixels): ImageTextClassifier, its texts included, against the
zero-shot-image-classification pipeline of transformers with the same model and the same label texts, one image at a
time (its default) and 16, in turn. Checks that all give the same probabilities. Writes results/<date>.json.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast, pipeline

from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.embeddings.image_text import ImageTextClassifier
from hf_transfer_kit.prompting.prompts import Prompt

IMAGES, LABELS, BATCH, TOLERANCE = 100, 50, 16, 1e-4
TEMPLATE = "a photo of a {}."
ADJECTIVES = ("red", "small", "wooden", "wild", "old", "shiny", "round", "paper", "garden", "toy")
NOUNS = ("bird", "boat", "chair", "fruit", "train")
WIDTH = {"hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 4}
LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "tokenizers", "pillow")


def make_model(folder: Path) -> None:
    """Writes the model, its tokenizer (a token per word) and its image processor."""
    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    numbers = {word: i for i, word in enumerate([*special, *TEMPLATE.replace(".", " .").split(), *ADJECTIVES, *NOUNS])}
    words = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, model_max_length=77, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    text = WIDTH | {"num_hidden_layers": 12, "vocab_size": 64, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    vision = WIDTH | {"num_hidden_layers": 6, "image_size": 224, "patch_size": 32}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=256)).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)


def make_images() -> list[Image.Image]:
    """Noise, of a size that has to be scaled down."""
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 255, (240, 320, 3), dtype=np.uint8)) for _ in range(IMAGES)]


def ours(folder: Path, images: list[Image.Image], labels: list[str]) -> Callable[[], np.ndarray]:
    """Labels, then images; gives (images, labels) probabilities."""
    prompt = Prompt(name="photo", label_templates=(TEMPLATE.replace("{}", "{{ label }}"),))
    classifier = ImageTextClassifier(ModelSpec(name=str(folder)), prompt)
    classifier.fit(labels[:1])  # loads the model, which the pipeline has done by now as well

    def run() -> np.ndarray:
        classifier.fit(labels)
        return torch.tensor(classifier.score(images).log_scores).softmax(dim=1).numpy()

    return run


def of_pipeline(folder: Path, images: list[Image.Image], labels: list[str], batch: int) -> Callable[[], np.ndarray]:
    """The same from transformers' pipeline."""
    classify = pipeline("zero-shot-image-classification", model=str(folder), device="cpu")

    def run() -> np.ndarray:
        answers = classify(images, candidate_labels=labels, hypothesis_template=TEMPLATE, batch_size=batch)
        scores = [{each["label"]: each["score"] for each in answer} for answer in answers]
        return np.array([[row[label] for label in labels] for row in scores])

    return run


def measure(sides: dict[str, Callable[[], np.ndarray]], repeats: int) -> tuple[dict[str, list[float]], float]:
    """(CPU seconds of every repetition of every side, largest difference of probabilities)."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    difference = 0.0
    for repetition in range(repeats + 1):
        results = {}
        for name, side in sides.items():
            before = time.process_time()
            results[name] = side()
            if repetition:  # the first one warms up
                times[name].append(round(time.process_time() - before, 3))
        first, *others = results.values()
        difference = max(difference, *(float(np.abs(first - other).max()) for other in others))
    return times, difference


def cpu_model() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="of every side; the middle one counts")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    labels = [f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS][:LABELS]
    images = make_images()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder)
        sides = {
            "ImageTextClassifier": ours(folder, images, labels),
            "pipeline": of_pipeline(folder, images, labels, 1),
            f"pipeline, batch_size={BATCH}": of_pipeline(folder, images, labels, BATCH),
        }
        times, difference = measure(sides, asked.repeats)
    if difference > TOLERANCE:
        raise SystemExit(f"the sides differ by {difference}: nothing to compare.")
    middle = {name: median(each) for name, each in times.items()}
    print(f"{'':24} {'CPU s':>8} {'ratio':>8}")
    for name, value in middle.items():
        print(f"{name:24} {value:8.2f} {value / middle['ImageTextClassifier']:6.1f} x")
    print(f"largest difference of a probability: {difference:.1e}")
    record = {
        "question": "CPU seconds for 100 images x 50 labels with a CLIP model",
        "date": date.today().isoformat(),
        "images": IMAGES,
        "labels": LABELS,
        "model": "CLIP, random weights: text 12 x 256, image 6 x 256, 224 pixels in patches of 32",
        "cpu_seconds": times,
        "middle": middle,
        "times_ours": {name: round(value / middle["ImageTextClassifier"], 2) for name, value in middle.items()},
        "largest_difference_of_a_probability": difference,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
    }
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
