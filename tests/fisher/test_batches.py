"""Batches: the same in every pass, and their rows can be taken out again."""

import random

import numpy as np
import torch

from hf_transfer_kit.fisher.batches import Batch, Batches


def test_a_collator_that_draws_at_random_draws_the_same_in_every_pass():
    def collate(rows):
        noise = torch.rand(len(rows)) + random.random() + np.random.rand()
        return {"x": torch.tensor(rows), "noise": noise}

    batches = Batches(
        examples=[1, 2, 3], positions=[5, 6, 7], collate=collate, batch_size=2, seed=0, device=torch.device("cpu"),
        always={"use_cache": False},
    )  # fmt: skip
    first, second = list(batches), list(batches)

    assert [batch.positions for batch in first] == [(5, 6), (7,)]
    assert all(torch.equal(a.inputs["noise"], b.inputs["noise"]) for a, b in zip(first, second, strict=True))
    assert first[0].inputs["noise"][0] != first[1].inputs["noise"][0]


def test_rows_are_taken_out_of_tensors_and_lists_and_settings_are_kept():
    batch = Batch(inputs={"x": torch.eye(3), "names": ["a", "b", "c"], "use_cache": False}, positions=(4, 5, 6))

    row = batch.rows([2])

    assert row.inputs["x"].tolist() == [[0.0, 0.0, 1.0]] and row.inputs["names"] == ["c"]
    assert row.inputs["use_cache"] is False and row.positions == (6,)
    assert [single.positions for single in batch.one_by_one()] == [(4,), (5,), (6,)]


def test_the_fullest_rows_have_most_labels():
    labels = torch.tensor([[1, -100, -100], [1, 2, 3], [1, 2, -100]])
    assert Batch(inputs={"labels": labels}, positions=(0, 1, 2)).fullest(2).positions == (1, 2)
    assert Batch(inputs={"labels": torch.tensor([1, 0, 2])}, positions=(0, 1, 2)).fullest(2).positions == (0, 1)
