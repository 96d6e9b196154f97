"""Tiny models of many architectures, and jobs on tiny data, for the approaches that train."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf

from hf_transfer_kit.approaches import Job
from hf_transfer_kit.data.labelled import LabelledData, load_data, subset_rows
from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.plan import Approach, DataSpec, ModelSpec, Training, TransferPlan
from hf_transfer_kit.tasks import get_task

TEXT = {"vocab_size": 32, "pad_token_id": 0, "initializer_range": 0.2}
BERT_LIKE = TEXT | {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 72,
}
LLAMA_LIKE = BERT_LIKE | {"num_key_value_heads": 1, "bos_token_id": 2, "eos_token_id": 3}
DEBERTA = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
VIT_LIKE = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "initializer_range": 0.2,
}
STAGED = {"image_size": 32, "hidden_sizes": [8, 12, 16], "depths": [1, 2, 1], "num_stages": 3}

TEXT_MODELS: dict[str, hf.PreTrainedConfig] = {
    "bert": hf.BertConfig(**BERT_LIKE),
    "distilbert": hf.DistilBertConfig(
        **TEXT, dim=16, n_layers=3, n_heads=2, hidden_dim=16, max_position_embeddings=72
    ),
    "roberta": hf.RobertaConfig(**BERT_LIKE),
    "deberta-v2": hf.DebertaV2Config(**BERT_LIKE, **DEBERTA),
    "albert": hf.AlbertConfig(**BERT_LIKE, embedding_size=8),
    "mpnet": hf.MPNetConfig(**BERT_LIKE),
    "modernbert": hf.ModernBertConfig(**BERT_LIKE, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3),
    "gpt2": hf.GPT2Config(
        vocab_size=32, n_embd=16, n_layer=3, n_head=2, n_positions=64, bos_token_id=2, eos_token_id=3,
        initializer_range=0.2,
    ),  # fmt: skip
    "llama": hf.LlamaConfig(**LLAMA_LIKE),
    "qwen2": hf.Qwen2Config(**LLAMA_LIKE),
}
IMAGE_MODELS: dict[str, hf.PreTrainedConfig] = {
    "vit": hf.ViTConfig(**VIT_LIKE),
    "swin": hf.SwinConfig(image_size=32, patch_size=2, embed_dim=8, depths=[1, 2], num_heads=[1, 2], window_size=4),
    "resnet": hf.ResNetConfig(**STAGED, embedding_size=8, layer_type="basic"),
    "mobilenet v1": hf.MobileNetV1Config(image_size=32, depth_multiplier=0.25),
    "mobilenet v2": hf.MobileNetV2Config(image_size=32, depth_multiplier=0.25),
    "convnext": hf.ConvNextConfig(**STAGED, layer_scale_init_value=1.0),
    "efficientnet": hf.EfficientNetConfig(
        image_size=32, width_coefficient=0.25, depth_coefficient=0.1, hidden_dim=320, drop_connect_rate=0.2
    ),
}
ARCHITECTURES = TEXT_MODELS | IMAGE_MODELS
BATCH_NORM = ("resnet", "mobilenet v1", "mobilenet v2", "efficientnet")

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
                hf.AutoModel.from_config(ARCHITECTURES[name]).save_pretrained(folder)
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
        architecture: str, approach: Approach, *, train_size: int | None = 20, folder: Path | None = None, seed: int = 0,
        **training,
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
