import random
from collections import Counter

import numpy as np
import pytest

from hf_transfer_kit.duplicates import normalise_text
from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration, Retriever
from hf_transfer_kit.prompting.demonstrations import NearestTexts, NearestVectors, balanced, in_orders

NAMES = ["a", "b", "c"]
LABELS = [0] * 20 + [1] * 10 + [2] * 3
TEXTS = [f"text {i}" for i in range(33)]
SENTENCES = [
    "how do I lose my card", "my card is gone", "My card is gone!", "where is the bank", "a trip to Rome",
    "a trip to Paris", "the card was eaten by the machine", "how far is it to Rome", "",
]  # fmt: skip
SENTENCE_LABELS = [0, 0, 0, 1, 2, 2, 0, 1, 1]


@pytest.mark.parametrize("shots", range(34))
def test_classes_are_as_even_as_they_can_be(shots):
    shown = balanced(TEXTS, LABELS, NAMES, shots, seed=1)

    counts = Counter(each.label for each in shown)
    assert len(shown) == len({each.input for each in shown}) == shots
    for name, others in (("a", 20), ("b", 10), ("c", 3)):
        fewer = counts[name] < max(counts.values(), default=0) - 1
        assert not fewer or counts[name] == others  # only a class that is used up has less than another one
    assert all(NAMES[LABELS[TEXTS.index(each.input)]] == each.label for each in shown)


def test_more_shots_than_examples_show_them_all():
    assert {each.input for each in balanced(TEXTS, LABELS, NAMES, 99, seed=1)} == set(TEXTS)


def test_fewer_shots_are_the_first_of_more():
    many = balanced(TEXTS, LABELS, NAMES, 33, seed=4)

    assert all(balanced(TEXTS, LABELS, NAMES, k, seed=4) == many[:k] for k in range(33))


def test_the_seed_decides_on_examples_classes_and_order():
    draws = [balanced(TEXTS, LABELS, NAMES, 2, seed) for seed in range(40)]

    assert balanced(TEXTS, np.array(LABELS), NAMES, 2, seed=7) == draws[7]
    assert len(set(draws)) > 20
    assert {tuple(each.label for each in draw) for draw in draws} == {(x, y) for x in NAMES for y in NAMES if x != y}


def test_no_class_is_always_shown_last():
    last = Counter(balanced(TEXTS, LABELS, NAMES, 9, seed)[-1].label for seed in range(200))

    assert min(last.values()) > 40


@pytest.mark.parametrize(("count", "orders"), [(0, 3), (1, 3), (3, 6), (3, 5), (3, 99), (8, 50)])
def test_orders_are_different_and_the_given_one_is_first(count, orders):
    shown = tuple(Demonstration(input=text, label="a") for text in TEXTS[:count])

    found = in_orders(shown, orders, seed=3)

    assert found[0] == shown
    assert len(set(found)) == len(found) == min(orders, [1, 1, 2, 6, 24][count] if count < 5 else orders)
    assert all(Counter(order) == Counter(shown) for order in found)
    assert found == in_orders(shown, orders, seed=3)


def test_impossible_numbers_are_refused():
    with pytest.raises(PromptError, match="orders=0"):
        in_orders([], 0, seed=0)
    with pytest.raises(PromptError, match="shots=-1"):
        balanced([], [], [], -1, seed=0)
    with pytest.raises(PromptError, match="shots=0"):
        NearestTexts(["a b"], [0], NAMES, shots=0)


def nearest(shots=3):
    return NearestTexts(SENTENCES, SENTENCE_LABELS, NAMES, shots)


def test_retrievers_follow_the_protocol():
    assert isinstance(nearest(), Retriever)


def test_the_most_similar_text_is_shown_last():
    (shown,) = nearest(2).demonstrations_for(["a trip to Rome, a trip"])

    assert shown == (
        Demonstration(input="a trip to Paris", label="c"),
        Demonstration(input="a trip to Rome", label="c"),
    )


def test_neither_a_text_nor_a_copy_of_it_is_its_own_demonstration():
    found = nearest(9).demonstrations_for(SENTENCES)

    for text, shown in zip(SENTENCES, found, strict=True):
        left = [each for each in SENTENCES if normalise_text(each) != normalise_text(text)]
        assert sorted(each.input for each in shown) == sorted(left)


def test_texts_as_similar_as_each_other_stand_in_the_order_given():
    same = NearestTexts(["b c", "c b", "B c", "x y", "x z"], [0, 1, 2, 0, 0], NAMES, shots=3)

    (shown,) = same.demonstrations_for(["no likeness at all"])

    assert [each.input for each in shown] == ["B c", "c b", "b c"]
    many = NearestTexts([f"{i % 7} apples" for i in range(700)], [0] * 700, NAMES, shots=150)
    (shown,) = many.demonstrations_for(["apples: 3"])
    assert [each.input for each in shown[-100:]] == ["3 apples"] * 100
    assert [each.input for each in shown[:50]] == [f"{i % 7} apples" for i in range(700) if i % 7 != 3][49::-1]


def test_what_is_retrieved_depends_on_no_other_query():
    queries = [*SENTENCES, "gone to Rome with my card", "the machine", "zzz"] * 30
    together = dict(zip(queries, nearest().demonstrations_for(queries), strict=True))
    mixed = random.Random(0).sample(queries, len(queries))

    assert all(together[q] == alone for q, alone in zip(mixed, nearest().demonstrations_for(mixed), strict=True))
    assert all(together[query] == nearest().demonstrations_for([query])[0] for query in SENTENCES)


def test_vectors_are_compared_by_their_direction():
    vectors = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 5.0], [-1.0, 0.0], [0.0, 0.0]])
    inputs = [f"picture {i}" for i in range(5)]
    queries = {"east": [9.0, 0.0], "north": [0.1, 3.0]}
    near = NearestVectors(
        inputs, [0, 1, 2, 0, 1], NAMES, 2, vectors=vectors, embed=lambda some: np.array([queries[q] for q in some])
    )

    east, north = near.demonstrations_for(["east", "north"])

    assert [each.input for each in east] == ["picture 2", "picture 1"]  # picture 0 is the same but for its length
    assert [each.input for each in north] == ["picture 1", "picture 2"]
