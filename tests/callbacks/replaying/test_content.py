import numpy as np
import pytest
import torch
from PIL import Image

from hf_transfer_kit.callbacks.replaying.content import digest


@pytest.mark.parametrize(
    "one, other",
    [
        ({"ids": [1, 2], "mask": [1, 0]}, {"mask": torch.tensor([True, False]), "ids": np.array([1, 2], np.int32)}),
        ([0.1, 0.5], torch.tensor([0.1, 0.5])),
        (torch.tensor([0.5]), torch.tensor([0.5], dtype=torch.bfloat16)),
        ([[1, 2], [3]], ([1, 2], (3,))),
        (Image.new("RGB", (2, 3), "red"), np.asarray(Image.new("RGB", (2, 3), "red"))),
    ],
)
def test_containers_and_widths_of_numbers_do_not_matter(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ([1, 2, 3], [1, 2, 4]), ([[1, 2], [3]], [[1], [2, 3]]), ([1, 2], [[1, 2]]), (["ab", "c"], ["a", "bc"]),
        ({"a": 1}, {"b": 1}), (None, 0), ("1", 1), ([], [[]]), (1, 1.0), ("a", b"b"), ({1, 2}, {1, 3}),
        (np.zeros((2, 3)), np.zeros((3, 2))),
    ],
)  # fmt: skip
def test_other_values_have_another_digest(one, other):
    assert digest(one) != digest(other)
