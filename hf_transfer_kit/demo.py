"""The demo: the main job on data inside the package."""

import shlex
from importlib.resources import files
from pathlib import Path

from hf_transfer_kit.plan import (
    DataSpec,
    Features,
    FewShot,
    Full,
    Lora,
    ModelSpec,
    Prototype,
    Scratch,
    TopLayers,
    Training,
    ZeroShot,
)
from hf_transfer_kit.study.study import Study

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
EPOCHS = 4  # as many as two minutes on two cores allow
SEEDS = 2
SIZES = (24, 96, None)  # two and eight examples of each class, and all: where does training overtake a prompt?
TEST_SHARE = 0.35  # more test rows say more than more training rows do, and cost less time


def demo_data() -> Path:
    """The labelled demo sentences, a CSV file."""
    return Path(str(files("hf_transfer_kit") / "demo_data" / "intents.csv"))


def older_data() -> Path:
    """Sentences of another task, for what should not be forgotten; a CSV file."""
    return Path(str(files("hf_transfer_kit") / "demo_data" / "older_intents.csv"))


def demo_study() -> Study:
    """What `transfer-kit demo` compares."""
    return Study(
        data=DataSpec(path=str(demo_data()), test_share=TEST_SHARE),
        models=(ModelSpec(name=MODEL),),
        approaches=(ZeroShot(), FewShot(), Prototype(), Features(), TopLayers(), Full(), Lora(), Scratch()),
        training=Training(epochs=EPOCHS, min_steps=0),
        seeds=SEEDS,
        train_sizes=SIZES,
    )


def next_command(out: Path) -> str:
    """What to try after the demo, as lines for the terminal."""
    folder = shlex.quote(str(out))
    return (
        f'Ask it:\n  transfer-kit predict {folder} "can I keep this book a bit longer?"\n'
        f"Your own data:\n  transfer-kit compare --data YOUR.csv --model {MODEL} --out my-comparison"
    )
