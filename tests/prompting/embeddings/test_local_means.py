import numpy as np
import pytest

from hf_transfer_kit.prompting.embeddings.local_means import LocalMeans
from hf_transfer_kit.prompting.embeddings.vectors import unit


def test_local_means_are_those_of_a_loop_over_inputs_and_labels():
    draw = np.random.default_rng(1)
    examples, names, inputs = (unit(draw.normal(size=(rows, 6))) for rows in (40, 5, 30))
    numbers = np.arange(40) % 5
    keys = [f"text {i % 20}" for i in range(40)]  # every second example is a copy
    asked = [f"text {i}" for i in range(30)]

    for shots in (1, 7, 100):
        expected = np.empty((30, 5))
        for row, x in enumerate(inputs):
            ranked = sorted((i for i in range(40) if keys[i] != asked[row]), key=lambda i: -examples[i] @ x)
            for label in range(5):
                own = [i for i in ranked[:shots] if numbers[i] == label]
                own = own or [i for i in ranked if numbers[i] == label][:1]
                mean = names[label] + sum(examples[i] for i in own)
                expected[row, label] = mean @ x / np.linalg.norm(mean)
        found = LocalMeans(examples, numbers, keys, names=names, shots=shots).cosines(inputs, asked)
        assert found == pytest.approx(expected)


def test_steps_of_the_work_change_nothing(monkeypatch):
    draw = np.random.default_rng(2)
    means = LocalMeans(
        unit(draw.normal(size=(9, 4))), np.arange(9) % 3, list("abcdefghi"), names=np.zeros((3, 4)), shots=4
    )
    inputs, keys = unit(draw.normal(size=(7, 4))), list("abcxyzi")
    whole = means.cosines(inputs, keys)
    monkeypatch.setattr("hf_transfer_kit.prompting.embeddings.local_means.NUMBERS_AT_ONCE", 25)

    assert means.cosines(inputs, keys) == pytest.approx(whole)
