"""The four trained approaches from start to end, on every architecture: the cache, saving, loading, the cost."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES
from safetensors.torch import load_file

from hf_transfer_kit.approaches.trained import TrainedFit
from hf_transfer_kit.plan import Full, Lora, Scratch, TopLayers
from hf_transfer_kit.records import Cost, DataIdentity, ItemScores, RunRecord

KEY_BIASES = ("key.bias", "k_proj.bias", "k_lin.bias", "attn.k.bias")  # softmax ignores them: gradients are rounding
NOT_CACHED = {"albert"}  # its one block is shared by all layers: nothing lies below it


def record_of(job) -> RunRecord:
    """A record as `load` reads it: the plan, the task and the label names count."""
    return RunRecord(
        plan=job.plan,
        task=job.task.name,
        label_names=job.data.label_names,
        model=None,
        data=DataIdentity(hashes={}, rows={}),
        test=ItemScores(labels=(), predictions=(), confidence=(), calibrated_confidence=(), log_likelihood=()),
        validation_accuracy=0.0,
        temperature=1.0,
        cost=Cost(
            train_seconds=0.0, train_cpu_seconds=0.0, train_flops=0.0, peak_memory_mib=0.0, trainable_parameters=0,
            total_parameters=0, disk_mib=0.0, ms_per_prediction=0.0,
        ),
    )  # fmt: skip


def check_loads_again(job, outcome) -> None:
    loaded = TrainedFit().load(record_of(job), job.folder / "model")
    np.testing.assert_allclose(loaded.logits(job.inputs("test")), outcome.test_logits, atol=1e-5)


@pytest.mark.parametrize(
    "approach",
    [Full(), Lora(rank=2), pytest.param(Scratch(), marks=pytest.mark.slow)],
    ids=["full", "lora", "scratch"],
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_was_trained_is_saved_and_loads_again_with_the_same_answers(architecture, approach, make_job):
    job = make_job(architecture, approach)
    outcome = TrainedFit().fit(job)
    assert outcome.test_logits.shape == (len(job.data.test), 2)
    assert outcome.validation_logits.shape == (len(job.validation_rows), 2)
    assert np.isfinite(outcome.test_logits).all() and outcome.test_logits.std(axis=0).min() > 0
    assert outcome.details["steps"] == 3
    check_loads_again(job, outcome)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_top_layers_with_the_cache_equal_those_without_it(architecture, make_job):
    settings = {"epochs": 3, "batch_size": 8, "train_size": 21}
    job = make_job(architecture, TopLayers(blocks=1), **settings)
    plain_job = make_job(architecture, TopLayers(blocks=1, cache_limit_mib=0), **settings)
    cached, plain = TrainedFit().fit(job), TrainedFit().fit(plain_job)
    assert plain.details["boundary_cache"] == "off: cache_limit_mib is 0"
    if architecture in NOT_CACHED:
        assert cached.details["boundary_cache"].startswith("off: no block lies below")
    else:
        assert cached.details["boundary_cache"] == "on"
        if architecture != "resnet":  # its stem, which runs in both, costs more than its two lower blocks
            assert cached.train_flops < plain.train_flops
    first, second = (load_file(each.folder / "model" / "model.safetensors") for each in (job, plain_job))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if not name.endswith(KEY_BIASES):
            torch.testing.assert_close(value, second[name], atol=1e-5, rtol=0)
    np.testing.assert_allclose(cached.test_logits, plain.test_logits, atol=1e-4)
    assert cached.details["validation_nll"] == pytest.approx(plain.details["validation_nll"], abs=1e-5)
    check_loads_again(job, cached)


@pytest.mark.parametrize(
    ("approach", "reason"),
    [
        (TopLayers(blocks=0), "the head alone trains"),
        (TopLayers(blocks=3), "no block lies below"),
    ],
)
def test_the_cache_says_why_it_is_off(approach, reason, make_job):
    outcome = TrainedFit().fit(make_job("bert", approach))
    assert outcome.details["boundary_cache"].startswith("off: ") and reason in outcome.details["boundary_cache"]


def test_the_cache_is_off_where_it_would_not_fit(make_job, monkeypatch):
    monkeypatch.setattr(
        "hf_transfer_kit.boundary.psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000})()
    )
    outcome = TrainedFit().fit(make_job("bert", TopLayers(blocks=1), train_size=None))
    assert "off: the activations would take" in outcome.details["boundary_cache"]


def test_a_short_cut_that_answers_otherwise_is_not_taken(make_job, monkeypatch):
    from hf_transfer_kit.boundary import Boundary

    plain = Boundary._activations
    monkeypatch.setattr(Boundary, "_activations", lambda self, batch: plain(self, batch) + 0.1)
    plain_job, job = (make_job("bert", TopLayers(blocks=1, cache_limit_mib=limit)) for limit in (0, 64))
    outcome = TrainedFit().fit(job)
    assert outcome.details["boundary_cache"] == "off: this model answers otherwise when its lower blocks are skipped"
    np.testing.assert_array_equal(outcome.test_logits, TrainedFit().fit(plain_job).test_logits)


def test_the_model_that_is_left_has_no_short_cut_in_it(make_job):
    job = make_job("bert", TopLayers(blocks=1))
    outcome = TrainedFit().fit(job)
    model = outcome.predictor.model
    assert not any("forward" in vars(module) for module in model.modules())


def test_label_names_survive_in_the_saved_configuration(make_job):
    for approach in (Full(), Scratch(), TopLayers(blocks=1)):
        job = make_job("bert", approach)
        TrainedFit().fit(job)
        config = json.loads((job.folder / "model" / "config.json").read_text())
        assert list(config["id2label"].values()) == list(job.data.label_names)


def test_adapters_alone_are_saved_and_load_on_the_base_with_peft_itself(make_job):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    job = make_job("bert", Lora(rank=2))
    outcome = TrainedFit().fit(job)
    folder = job.folder / "model"
    names = load_file(folder / "adapter_model.safetensors")
    assert names and all("lora_" in name or "classifier" in name for name in names)
    assert not (folder / "model.safetensors").exists()
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == job.plan.model.name
    base = AutoModelForSequenceClassification.from_pretrained(job.plan.model.name, num_labels=2)
    model = PeftModel.from_pretrained(base, folder).eval()
    rows = job.task.encode(job.task.load_processor(job.plan.model), job.inputs("test")[:3], 64)
    batch = job.task.collate(job.task.load_processor(job.plan.model), rows)
    with torch.no_grad():
        np.testing.assert_allclose(model(**batch).logits.numpy(), outcome.test_logits[:3], atol=1e-5)


def test_an_earlier_attempts_files_are_replaced(make_job):
    job = make_job("bert", Full())
    (job.folder / "model").mkdir()
    (job.folder / "model" / "adapter_config.json").write_text("{}")
    TrainedFit().fit(job)
    assert not (job.folder / "model" / "adapter_config.json").exists()


def test_counts_of_parameters_and_operations_agree_with_the_model(make_job):
    jobs = [make_job("bert", approach) for approach in (Full(), TopLayers(blocks=1, cache_limit_mib=0), Lora(rank=2))]
    full, top, lora = (TrainedFit().fit(job) for job in jobs)
    assert full.trainable_parameters == full.total_parameters == top.total_parameters
    assert top.trainable_parameters < full.trainable_parameters
    assert lora.total_parameters > full.total_parameters
    assert 0 < top.train_flops < full.train_flops
    assert min(full.train_seconds, full.train_cpu_seconds) > 0


def test_operations_of_linear_layers_are_six_per_weight_and_token(make_job):
    job = make_job("bert", Full(), train_size=16, epochs=1, min_steps=0, batch_size=16)
    outcome = TrainedFit().fit(job)
    layers = [m for m in outcome.predictor.model.modules() if isinstance(m, torch.nn.Linear)]
    per_token = 6 * sum(layer.weight.numel() for layer in layers if layer.out_features > 2)  # multiply-add: 2, thrice
    encoded = job.task.encode(job.task.load_processor(job.plan.model), job.inputs("train"), 64)
    tokens = 16 * max(job.task.length(row) for row in encoded)
    assert outcome.train_flops == pytest.approx(per_token * tokens, rel=0.35)  # attention comes on top


def test_counting_operations_moves_no_running_statistics(make_job):
    from hf_transfer_kit.approaches.build import build
    from hf_transfer_kit.approaches.operations import unit_flops
    from hf_transfer_kit.approaches.rows import Rows

    job = make_job("resnet", Scratch())
    built = build(job)
    rows = Rows(job.task, built.processor, job.inputs("train"), job.labels("train"), 64)
    before = {name: value.clone() for name, value in built.model.state_dict().items()}
    assert unit_flops(built.model, rows)[0] > 0
    assert all(torch.equal(before[name], value) for name, value in built.model.state_dict().items())


def test_gpt2_with_a_tokenizer_without_padding_token_learns_and_loads_again(make_job, tmp_path, model_folder):
    import shutil

    folder = tmp_path / "gpt2"
    shutil.copytree(model_folder("gpt2"), folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings = {name: value for name, value in settings.items() if name != "pad_token"} | {"eos_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    job = make_job("gpt2", Full())
    job = replace(job, plan=replace(job.plan, model=replace(job.plan.model, name=str(folder))))
    assert job.task.load_processor(job.plan.model).pad_token == "[SEP]"
    outcome = TrainedFit().fit(job)
    assert json.loads((job.folder / "model" / "config.json").read_text())["pad_token_id"] == 3
    check_loads_again(job, outcome)
    one_by_one = np.concatenate([outcome.predictor.logits([text]) for text in job.inputs("test")])
    np.testing.assert_allclose(one_by_one, outcome.test_logits, atol=1e-4)  # padding changes no answer
