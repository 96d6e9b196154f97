import numpy as np
import pytest
from vectors_on_paper import MINILM, NAMES, SIDES, OnPaper, cosines, shown

from hf_transfer_kit.prompting.embeddings.embedding import EmbeddingClassifier
from hf_transfer_kit.prompting.embeddings.prototype import PrototypeClassifier


def test_a_prototype_is_the_name_and_the_sum_of_the_examples():
    paper = OnPaper(good=[1, 0], bad=[0, 1], one=[0, 2], two=[0, 5], text=[1, 0])
    classifier = PrototypeClassifier(MINILM, NAMES, embedder=paper)

    classifier.fit(SIDES, shown(("one", "good"), ("two", "good")))

    assert cosines(classifier, ["text"]) == pytest.approx(np.array([[1 / 5**0.5, 0]]))  # (1, 0) + 2 (0, 1); the name


def test_names_can_be_left_out_of_prototypes():
    paper = OnPaper(good=[1, 0], bad=[0, 1], one=[0, 1], two=[1, 0], text=[1, 0])
    classifier = PrototypeClassifier(MINILM, NAMES, names=False, embedder=paper)

    classifier.fit(SIDES, shown(("one", "good"), ("two", "bad")))

    assert cosines(classifier, ["text"]) == pytest.approx(np.array([[0, 1]]))
    assert "good" not in paper.seen


def test_prototypes_without_examples_are_the_names():
    classifier = PrototypeClassifier(MINILM, NAMES, embedder=OnPaper(good=[1, 0], bad=[0, 1], text=[3, 4]))

    classifier.fit(SIDES)

    assert cosines(classifier, ["text"]) == pytest.approx(np.array([[0.6, 0.8]]))


def test_all_examples_as_neighbours_make_the_prototypes():
    draw = np.random.default_rng(0)
    paper = {name: draw.normal(size=5) for name in ["good", "bad", *"abcdefgh"]}
    examples = shown(*zip("abcdef", ["good", "bad", "bad", "bad", "good", "good"], strict=True))
    nearest = EmbeddingClassifier(MINILM, NAMES, shots=6, embedder=OnPaper(**paper))
    means = PrototypeClassifier(MINILM, NAMES, embedder=OnPaper(**paper))
    nearest.fit(SIDES, examples)
    means.fit(SIDES, examples)

    assert cosines(nearest, ["g", "h"]) == pytest.approx(cosines(means, ["g", "h"]), abs=1e-6)
