"""The order of rows: a function of seed and epoch, the same for any number of processes; fillers count for nothing."""

import numpy as np
import psutil
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from hf_transfer_kit.approaches.rows import IGNORED, BatchOrder, Rows
from hf_transfer_kit.boundary import KEY
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import get_task

TASK = get_task("text-classification")
TEXTS = ["good film", "the story was very bad and boring", "fine", "the music of the film was lovely and great"]


def lengths_of(rows: int) -> np.ndarray:
    return np.random.default_rng(0).integers(3, 40, rows)


@given(
    rows=st.integers(1, 70), batch_size=st.integers(1, 20), seed=st.integers(0, 5), epoch=st.integers(0, 3),
    fill=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_row_comes_once_in_every_epoch_and_fillers_only_complete_the_last_batch(
    rows, batch_size, seed, epoch, fill
):
    order = BatchOrder(lengths_of(rows), batch_size, fill=fill, seed=seed)
    batches = order.batches(epoch)
    order.set_epoch(epoch)
    flat = list(order)
    assert sorted(row for row in flat if row < rows) == list(range(rows))
    assert len(flat) == len(order)
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    if fill:
        assert len(batches[-1]) == batch_size
        real = [row for row in batches[-1] if row < rows]
        assert {row - rows for row in batches[-1] if row >= rows} <= set(real)
    else:
        assert max(flat) < rows


def test_epochs_and_seeds_have_orders_of_their_own_that_can_be_had_again():
    order = BatchOrder(lengths_of(50), 8, fill=True, seed=3)
    again, other = (BatchOrder(lengths_of(50), 8, fill=True, seed=seed) for seed in (3, 4))
    first = list(order)
    assert list(order) == first
    order.set_epoch(1)
    assert list(order) != first
    assert list(again) == first
    assert list(other) != first


@pytest.mark.parametrize(("processes", "accumulation"), [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1)])
def test_every_step_sees_the_same_rows_for_any_number_of_processes_and_micro_batches(processes, accumulation):
    size, rows = 8, 29
    order = BatchOrder(lengths_of(rows), size, fill=True, seed=0)
    micro = size // processes // accumulation
    batches = BatchSampler(order, micro, drop_last=False)
    streams = [list(BatchSamplerShard(batches, processes, index)) for index in range(processes)]
    for step, batch in enumerate(order.batches(0)):
        first = step * accumulation
        seen = [row for stream in streams for part in stream[first : first + accumulation] for row in part]
        assert sorted(seen) == sorted(batch.tolist())
    assert {len(stream) for stream in streams} == {len(order.batches(0)) * accumulation}


def test_batches_hold_rows_of_like_length_and_little_padding():
    lengths = lengths_of(640)
    order = BatchOrder(lengths, 16, fill=False, seed=0)
    padding = order.padded_size(0) / lengths.sum()
    shuffled = np.random.default_rng(0).permutation(lengths).reshape(-1, 16)
    without = (shuffled.max(axis=1) * 16).sum() / lengths.sum()
    assert padding < 1.2 < 1.5 < without
    one_window = BatchOrder(lengths[:128], 16, fill=False, seed=0)
    means = [lengths[batch].mean() for batch in one_window.batches(0)]
    assert means != sorted(means)  # the batches themselves come in random order


def test_padded_size_is_rows_times_the_longest_row_of_each_batch():
    lengths = np.array([5, 9, 2, 7, 3])
    order = BatchOrder(lengths, 2, fill=True, seed=0)
    by_hand = sum(2 * max(lengths[row % 5] for row in batch) for batch in order.batches(0))
    assert order.padded_size(0) == by_hand


@pytest.fixture
def rows(tiny_bert):
    processor = TASK.load_processor(ModelSpec(name=str(tiny_bert)))
    return Rows(TASK, processor, TEXTS, np.array([1, 0, 1, 1]), max_length=64)


def test_a_filler_is_a_real_row_with_a_label_that_counts_for_nothing(rows):
    filler, real = rows[len(rows) + 2], rows[2]
    assert filler["input_ids"] == real["input_ids"]
    assert (filler["labels"], real["labels"]) == (IGNORED, 1)


def test_lengths_count_tokens_with_the_special_ones(rows):
    assert rows.lengths.tolist() == [4, 9, 3, 11]


def test_rows_that_do_not_fit_in_memory_are_the_same_rows(rows, pictures, model_folder, monkeypatch):
    task, processor = get_task("image-classification"), None
    processor = task.load_processor(ModelSpec(name=str(model_folder("vit"))))
    inputs, labels = pictures.train["input"][:3], np.array([0, 1, 0])
    in_memory = Rows(task, processor, inputs, labels, 64)
    monkeypatch.setattr("hf_transfer_kit.approaches.rows.ENCODED_AT_ONCE", 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 0})())
    one_by_one = Rows(task, processor, inputs, labels, 64)
    assert one_by_one._encoded is None and in_memory._encoded is not None
    for i in range(4):  # the last is a filler
        assert torch.equal(one_by_one[i]["pixel_values"], in_memory[i]["pixel_values"])
        assert one_by_one[i]["labels"] == in_memory[i]["labels"]


def test_a_batch_is_padded_with_its_labels_and_stored_activations(tiny_bert):
    processor = TASK.load_processor(ModelSpec(name=str(tiny_bert)))
    stored = [torch.full((length, 2), float(i + 1)) for i, length in enumerate([4, 9, 3, 11])]
    rows = Rows(TASK, processor, TEXTS, np.array([1, 0, 1, 1]), 64, stored)
    batch = rows.collate([rows[0], rows[1]])
    assert batch["input_ids"].shape == (2, 9)
    assert batch["labels"].tolist() == [1, 0]
    assert batch[KEY].shape == (2, 9, 2)
    assert batch[KEY][0, :, 0].tolist() == [1.0] * 4 + [0.0] * 5
    assert batch[KEY][1].eq(2).all()
