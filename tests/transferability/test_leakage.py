"""Copies are found by their inputs; labels are not even there."""

import csv

import numpy as np
import pytest

from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.transferability.leakage import first_of_each_copy, leaked_test_rows

LONG = "the acting was very good and the story with the music of the film"


@pytest.fixture
def leaky(tmp_path):
    """Of test, row 1 is a copy but for capitals, row 2 a near copy, row 0 neither; train repeats its first row."""
    parts = {
        "train": [("Good film", "pos"), (LONG, "pos"), ("awful plot", "neg"), ("good film!", "pos"), ("sad", "neg")],
        "validation": [("nice", "pos"), ("poor", "neg")],
        "test": [("something quite else", "neg"), ("GOOD film", "neg"), (LONG + " today", "pos")],
    }
    for part, rows in parts.items():
        with open(tmp_path / f"{part}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return load_data(DataSpec(path=str(tmp_path)))


def test_copies_and_near_copies_are_found(leaky):
    assert leaked_test_rows(leaky) == (1, 2)


def test_only_the_first_of_several_copies_is_kept(leaky):
    assert first_of_each_copy(leaky, np.arange(5)).tolist() == [0, 1, 2, 4]
    assert first_of_each_copy(leaky, np.array([2, 3, 4])).tolist() == [2, 3, 4]
