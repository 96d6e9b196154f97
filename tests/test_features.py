"""Features: the same numbers whatever the batches and the order; a cache that never gives the wrong ones."""

import dataclasses
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_transfer_kit import features as features_module
from hf_transfer_kit.errors import ModelError, ResourceError
from hf_transfer_kit.features import (
    LayerFeatures,
    PassCost,
    batches_by_length,
    cache_folder,
    cache_key,
    cached_features,
    extract,
    store_features,
)
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import get_task

COST = PassCost(rows=3, seconds=1.5, cpu_seconds=1.0, flops=2e9, parameters=100, peak_mib=3.5, load_seconds=0.5)
TEXTS = [
    "the film was good",
    "bad",
    "a very very very boring story with music and plot and acting",
    "unknown words",
] * 5


@pytest.fixture(scope="module")
def text(tiny_bert: Path):
    task, model = get_task("text-classification"), ModelSpec(name=str(tiny_bert))
    return task, task.load_backbone(model), task.load_processor(model)


@pytest.fixture(scope="module")
def image(tiny_image_model: Path):
    task, model = get_task("image-classification"), ModelSpec(name=str(tiny_image_model))
    return task, task.load_backbone(model), task.load_processor(model)


@pytest.fixture(scope="module")
def image_paths(image_folder: Path) -> list[Path]:
    return sorted(image_folder.rglob("*.png"))[:20]


def make_features(*shapes: tuple[int, int], value: float = 1.0) -> LayerFeatures:
    layers = tuple(np.full(shape, value + i, dtype=np.float32) for i, shape in enumerate(shapes))
    return LayerFeatures(layers=layers, cost=COST, cached=False)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing(text, batch_size: int):
    whole = extract(*text, TEXTS, max_length=16, batch_size=20)
    other = extract(*text, TEXTS, max_length=16, batch_size=batch_size)
    assert len(whole.layers) == len(other.layers) == 4
    for a, b in zip(whole.layers, other.layers, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_batch_size_changes_nothing_for_images(image, image_paths):
    whole, single = (extract(*image, image_paths, max_length=2, batch_size=size) for size in (64, 1))
    for a, b in zip(whole.layers, single.layers, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_rows_come_in_the_order_of_the_inputs(text, image, image_paths):
    for parts, inputs in ((text, TEXTS[:4]), (image, image_paths)):
        order = np.random.default_rng(0).permutation(len(inputs))
        plain = extract(*parts, inputs, max_length=16, batch_size=2)
        shuffled = extract(*parts, [inputs[i] for i in order], max_length=16, batch_size=2)
        for a, b in zip(plain.layers, shuffled.layers, strict=True):
            np.testing.assert_allclose(a[order], b, atol=1e-5)


def test_windows_change_nothing(text, monkeypatch):
    whole = extract(*text, TEXTS, max_length=16)
    monkeypatch.setattr(features_module, "WINDOW", 7)
    for a, b in zip(whole.layers, extract(*text, TEXTS, max_length=16).layers, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_every_input_is_in_one_batch_and_batches_are_of_like_length(text):
    task, _, processor = text
    texts = [" ".join(["good"] * n) for n in np.random.default_rng(0).permutation(40)]
    batches = list(batches_by_length(task, processor, texts, 64, 8))
    assert sorted(i for positions, _ in batches for i in positions) == list(range(40))
    for positions, rows in batches:
        assert [len(row["input_ids"]) for row in rows] == [len(texts[i].split()) + 2 for i in positions]
    longest = [max(map(task.length, rows)) for _, rows in batches]
    assert longest == sorted(longest)


def test_a_feature_is_the_mean_over_the_tokens_of_one_text(text):
    """By hand: one text without padding through the model, and a loop over its tokens."""
    task, backbone, processor = text
    found = extract(task, backbone, processor, TEXTS, max_length=16)
    numbers = torch.tensor([processor(TEXTS[0])["input_ids"]])
    with torch.no_grad():
        hidden = backbone(input_ids=numbers, output_hidden_states=True).hidden_states
    for layer, states in zip(found.layers, hidden, strict=True):
        total = sum(states[0, token] for token in range(numbers.shape[1]))
        np.testing.assert_allclose(layer[0], total / numbers.shape[1], atol=1e-5)


def test_longer_texts_are_cut(text):
    task, backbone, processor = text
    long, cut = (extract(task, backbone, processor, [t], max_length=5) for t in ("good bad sad film", "good bad sad"))
    np.testing.assert_array_equal(long.layers[-1], cut.layers[-1])


def test_the_output_after_a_final_norm_is_a_layer_of_its_own(image, image_paths):
    """A ViT ends with a layer norm that is not among its hidden states: stem, 3 blocks, and the normed output."""
    task, backbone, processor = image
    found = extract(task, backbone, processor, image_paths[:1], max_length=2)
    pixels = task.collate(processor, task.encode(processor, image_paths[:1], 2))
    with torch.no_grad():
        output = backbone(**pixels, output_hidden_states=True)
    assert len(found.layers) == len(output.hidden_states) + 1 == 5
    np.testing.assert_allclose(found.layers[-1], output.last_hidden_state.mean(dim=1), atol=1e-5)


def test_flops_are_those_of_the_matrix_products_by_hand(text):
    """Per token and block: 4 products with 32 x 32, 2 with 32 x 64, attention over all tokens; a pooler per text."""
    texts, tokens = ["good film"] * 10, 4  # with those at the ends
    found = extract(*text, texts, max_length=16, batch_size=4)
    per_token = 4 * 32 * 32 + 2 * 32 * 64 + 2 * tokens * 32
    assert found.cost.flops == 2 * 10 * (3 * tokens * per_token + 32 * 32)
    assert found.cost.rows == 10
    assert found.cost.parameters == sum(p.numel() for p in text[1].parameters())
    assert extract(*text, texts, max_length=16, count_flops=False).cost.flops == 0


def test_progress_ends_with_all_rows(text):
    calls: list[tuple[int, int]] = []
    extract(*text, TEXTS, max_length=16, batch_size=8, on_progress=lambda *call: calls.append(call))
    assert calls == [(8, 20), (16, 20), (20, 20)]


def test_a_model_whose_numbers_are_not_finite_is_refused(tiny_bert: Path):
    task, model = get_task("text-classification"), ModelSpec(name=str(tiny_bert))
    backbone = task.load_backbone(model)
    backbone.encoder.layer[1].output.dense.weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"layer 2 of model '.*tiny-bert' gives numbers that are not finite"):
        extract(task, backbone, task.load_processor(model), TEXTS, max_length=16)


def test_mean_is_that_of_the_layers_as_wide_as_the_last():
    found = make_features((2, 3), (2, 5), (2, 5))
    assert found.names == ("0", "1", "2", "mean")
    np.testing.assert_array_equal(found.named("mean"), np.full((2, 5), 2.5))
    np.testing.assert_array_equal(found.named("0"), np.full((2, 3), 1.0))
    assert make_features((2, 3), (2, 5)).names == ("0", "1")


def test_what_is_stored_comes_back(own_cache: Path):
    """More than ten layers, whose order by name would be 1, 10, 11, 2."""
    features = make_features(*[(3, 2 + i) for i in range(13)])
    assert cached_features("k") is None
    store_features("k", features)
    found = cached_features("k")
    assert found is not None and found.cached and found.cost == COST
    for a, b in zip(found.layers, features.layers, strict=True):
        np.testing.assert_array_equal(a, b)
    assert cache_folder() == own_cache
    assert sorted(path.name for path in (own_cache / "features").iterdir()) == ["k"]


def test_the_key_depends_on_every_part():
    parts = {"weights": "a", "data": "b", "max_length": 128}
    keys = [cache_key(**parts), cache_key(**parts | {"weights": "b"}), cache_key(**parts | {"data": "a"}),
            cache_key(**parts | {"max_length": 64}), cache_key(**parts | {"weights": None})]  # fmt: skip
    assert len(set(keys)) == 5
    assert cache_key(max_length=128, data="b", weights="a") == keys[0]


@pytest.mark.parametrize("file", ["layers.safetensors", "cost.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "noise"])
def test_a_damaged_entry_counts_as_none_and_is_replaced(own_cache: Path, file: str, damage: str):
    store_features("k", make_features((3, 2)))
    path = own_cache / "features" / "k" / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "noise": b"\xff" * len(content)}[damage])
    assert cached_features("k") is None
    store_features("k", make_features((3, 2), value=7.0))
    found = cached_features("k")
    assert found is not None and found.layers[0][0, 0] == 7.0


def test_an_entry_of_an_older_release_counts_as_none(own_cache: Path):
    store_features("k", make_features((3, 2)))
    (own_cache / "features" / "k" / "cost.json").write_text('{"rows": 3}')
    assert cached_features("k") is None


def test_half_an_entry_of_a_killed_run_is_never_read(own_cache: Path, monkeypatch):
    def kill(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(features_module, "write_json", kill)
    with pytest.raises(KeyboardInterrupt):
        store_features("k", make_features((3, 2)))
    assert cached_features("k") is None
    assert list((own_cache / "features").iterdir()) == []
    (own_cache / "features" / ".unfinished-x").mkdir()  # what a power cut leaves
    assert cached_features("k") is None
    monkeypatch.undo()
    os.environ["HF_TRANSFER_KIT_CACHE"] = str(own_cache)
    store_features("k", make_features((3, 2)))
    assert cached_features("k") is not None


def test_of_two_runs_at_once_the_first_entry_stays(own_cache: Path):
    store_features("k", make_features((3, 2), value=1.0))
    store_features("k", make_features((3, 2), value=2.0))
    found = cached_features("k")
    assert found is not None and found.layers[0][0, 0] == 1.0
    assert [path.name for path in (own_cache / "features").iterdir()] == ["k"]


def test_a_disk_without_room_is_named_before_writing(own_cache: Path, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2 << 20))
    with pytest.raises(
        ResourceError, match=r"need 4 MiB, the disk of '.*' has 2 MiB free; make room, or set HF_TRANS"
    ):
        store_features("k", make_features((1024, 1024)))
    assert list((own_cache / "features").iterdir()) == []


def test_a_disk_that_fills_while_writing_is_named(own_cache: Path, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(ResourceError, match=r"cannot be stored in '.*' \(.*No space left on device\); make room"):
        store_features("k", make_features((3, 2)))
    assert list((own_cache / "features").iterdir()) == []


def test_a_cache_folder_that_cannot_be_is_named(tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_TRANSFER_KIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ResourceError, match="set HF_TRANSFER_KIT_CACHE to a folder"):
        store_features("k", make_features((3, 2)))


def test_costs_are_kept_with_the_features():
    store_features(
        "k", dataclasses.replace(make_features((3, 2)), cost=dataclasses.replace(COST, load_cpu_seconds=9.0))
    )
    found = cached_features("k")
    assert found is not None and found.cost.load_cpu_seconds == 9.0
