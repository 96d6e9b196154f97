"""Tiny models of many architectures, and jobs on tiny data, for the approaches that train."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from architectures import ARCHITECTURES, BATCH_NORM, TEXT_MODELS

from hf_transfer_kit.approaches import Job
from hf_transfer_kit.data.labelled import LabelledData, load_data, subset_rows
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.plan import Approach, DataSpec, ModelSpec, Training, TransferPlan
from hf_transfer_kit.tasks import get_task

MakeJob = Callable[..., Job]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Callable[[str], Path]:
    """Gives the folder of a tiny pre-trained body, by the name of its architecture, with its processor."""
    root = tmp_path_factory.mktemp("architectures")

    def folder_of(name: str) -> Path:
        folder = root / name.replace(" ", "-")
        if not folder.exists():
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = hf.AutoModel.from_config(ARCHITECTURES[name])
                if name in BATCH_NORM:  # running statistics that fit the weights, else all answers are alike
                    with torch.no_grad():
                        for _ in range(20):
                            model(pixel_values=torch.randn(8, 3, 32, 32))
                model.eval().save_pretrained(folder)
            if name in TEXT_MODELS:
                tokenizer = hf.AutoTokenizer.from_pretrained(tiny_bert)
                tokenizer.model_input_names = ["input_ids", "attention_mask"]
                tokenizer.save_pretrained(folder)
            else:
                hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def reviews(text_csv: Path) -> LabelledData:
    return load_data(DataSpec(path=str(text_csv)))


@pytest.fixture(scope="session")
def pictures(image_folder: Path) -> LabelledData:
    return load_data(DataSpec(path=str(image_folder)))


@pytest.fixture
def make_job(model_folder, reviews, pictures, tmp_path) -> MakeJob:
    """Makes a job that trains one of ARCHITECTURES for a few steps; `training` overrides the settings of the loop."""
    numbers = iter(range(1000))

    def make(
        architecture: str, approach: Approach, *, train_size: int | None = 20, folder: Path | None = None,
        seed: int = 0, **training,
    ) -> Job:  # fmt: skip
        data = reviews if architecture in TEXT_MODELS else pictures
        folder = folder or tmp_path / f"run-{next(numbers)}"
        settings = {"epochs": 1, "min_steps": 3, "batch_size": 8, "warmup_share": 0.0} | training
        plan = TransferPlan(
            data=DataSpec(path=data.origins["train"], train_size=train_size),
            model=ModelSpec(name=str(model_folder(architecture))),
            approach=approach,
            training=Training(**settings),
            seed=seed,
        )
        rows = subset_rows(data, train_size, seed)
        return Job(
            plan=plan, task=get_task(data.task), data=data, train_rows=rows["train"],
            validation_rows=rows["validation"], folder=folder, events=EventWriter(folder / "events.jsonl"),
        )  # fmt: skip

    return make
