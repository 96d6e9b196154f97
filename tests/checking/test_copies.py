"""Copies across parts, against a look at every pair of rows."""

import random

from datasets import Dataset

from hf_transfer_kit.checking.copies import find_copies, keyed_part, near_keys
from hf_transfer_kit.duplicates import normalise_text
from hf_transfer_kit.tasks import get_task

TEXT = get_task("text-classification")


def nothing() -> None:
    pass


def part_of(name, rows):
    texts, labels = zip(*rows, strict=True)
    return keyed_part(name, Dataset.from_dict({"input": list(texts), "label": list(labels)}), TEXT, nothing)


def copies_of(test, train):
    here, there = part_of("test", test), part_of("train", train)
    return find_copies(here, there, near_keys([here], [there], TEXT, nothing))


def grams(text):
    text = normalise_text(text)
    return {text[i : i + 4] for i in range(max(len(text) - 3, 1))}


def jaccard(a, b):
    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))


def random_rows(chance, count):
    words = ["show me the weather in paris", "show me the weather in rome", "what is the time over there now", "hello"]
    signs = ["", "!", " please", " s", " tomorrow"]
    return [(chance.choice(words) + chance.choice(signs), chance.randrange(3)) for _ in range(count)]


def test_copies_are_those_that_a_look_at_every_pair_finds():
    chance = random.Random(0)
    kinds = set()
    for _ in range(30):
        test, train = random_rows(chance, 6), random_rows(chance, 5)
        found = {copy.row: copy for copy in copies_of(test, train)}
        for row, (text, label) in enumerate(test):
            exact = [at for at, (other, _) in enumerate(train) if normalise_text(other) == normalise_text(text)]
            near = [at for at, (other, _) in enumerate(train) if jaccard(text, other) >= 0.8]
            among = exact or near
            assert (row in found) == bool(among)
            if among:
                copy = found[row]
                assert copy.exact == bool(exact)
                assert copy.other_label == any(train[at][1] != label for at in among)
                assert copy.other in among and (train[copy.other][1] != label) == copy.other_label
                assert abs(copy.similarity - jaccard(text, train[copy.other][0])) < 1e-9
                kinds.add((copy.exact, copy.other_label))
    assert len(kinds) == 4  # all four kinds came up, or the test says little


def test_the_likest_near_copy_is_named():
    train = [("please book a table for two at nine tomorrow", 0), ("please book a table for two at nine", 0)]
    [copy] = copies_of([("please book a table for two at nine t", 0)], train)
    assert copy.other == 1


def test_a_row_with_many_copies_is_found_once():
    copies = copies_of([("good morning", 0)] * 3, [("Good morning!", 0)] * 50)
    assert [(copy.row, copy.other) for copy in copies] == [(0, 0), (1, 0), (2, 0)]


def test_only_one_row_of_each_key_is_compared():
    read = []
    here, there = part_of("test", [("good morning", 0)] * 9), part_of("train", [("good morning!", 0)] * 9)
    near_keys([here], [there], TEXT, lambda: read.append(1))
    assert len(read) == 2


def test_rows_without_a_copy_are_not_found():
    assert copies_of([("good morning", 0)], [("what is the capital of france", 0)]) == []
