import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.stats import chisquare
from torch.utils.data import DataLoader

from hf_transfer_kit.callbacks.replaying.memory import Memory, fair_shares, herd, labels_of, remember, reservoir
from hf_transfer_kit.errors import DataError


def no_features(dataset):
    raise AssertionError("features were asked for")


def rows_of(labels):
    return [{"input_ids": [position], "labels": int(label)} for position, label in enumerate(labels)]


def test_no_draw_holds_a_row_twice_and_a_small_memory_gives_all_it_has():
    random = np.random.default_rng(0)
    plain = Memory(rows=list(range(10)), positions=range(10))
    balanced = remember(rows_of([0] * 8 + [1, 2]), "class_balanced", None, 0, no_features)
    for memory, count in itertools.product((plain, balanced), (0, 1, 4, 10, 25)):
        for _ in range(50):
            drawn = memory.draw(count, random)
            assert len(drawn) == len(set(drawn)) == min(count, 10)


def test_uniform_draws_are_uniform():
    memory = remember(rows_of([0] * 7 + [1] * 3), "uniform", None, 0, no_features)
    random = np.random.default_rng(0)
    seen = Counter(row for _ in range(3000) for row in memory.draw(2, random))

    assert chisquare([seen[row] for row in range(10)]).pvalue > 0.01


def test_class_balanced_draws_every_class_and_every_row_in_it_equally_often():
    memory = remember(rows_of([0] * 80 + [1] * 16 + [2] * 4), "class_balanced", None, 0, no_features)
    random = np.random.default_rng(0)
    drawn = [memory[row] for _ in range(6000) for row in memory.draw(1, random)]
    by_class = Counter(row["labels"] for row in drawn)
    of_class_one = Counter(row["input_ids"][0] for row in drawn if row["labels"] == 1)

    assert chisquare([by_class[label] for label in range(3)]).pvalue > 0.01
    assert len(of_class_one) == 16 and chisquare(list(of_class_one.values())).pvalue > 0.01


def test_class_balanced_memory_shares_its_room_as_evenly_as_the_classes_allow():
    memory = remember(rows_of([0] * 50 + [1] * 2 + [2] * 50), "class_balanced", 12, 0, no_features)

    assert Counter(row["labels"] for row in memory) == {0: 5, 1: 2, 2: 5}
    assert [[memory[int(p)]["labels"] for p in group] for group in memory.classes] == [[0] * 5, [1] * 2, [2] * 5]


@pytest.mark.parametrize("sizes, total", [([1, 10, 10], 8), ([3], 9), ([2, 2], 3), ([5, 1, 1, 9], 12), ([4, 4], 1)])
def test_fair_shares_leave_no_class_two_behind_another_that_has_rows_left(sizes, total):
    shares = fair_shares(sizes, total)

    assert sum(shares) == min(total, sum(sizes)) and all(s <= size for s, size in zip(shares, sizes, strict=True))
    assert all(shares[i] >= max(shares) - 1 for i, size in enumerate(sizes) if shares[i] < size)


def test_every_subset_of_a_stream_is_equally_likely_in_a_reservoir():
    subsets = Counter()
    for seed in range(4000):
        kept = reservoir(iter(range(6)), 2, np.random.default_rng(seed))
        assert len(kept) == 2
        subsets[frozenset(kept)] += 1

    assert len(subsets) == 15 and chisquare(list(subsets.values())).pvalue > 0.01


def test_a_stream_without_end_is_read_for_a_while_only():
    memory = remember(itertools.count(), "reservoir", 5, 0, no_features)

    assert len(memory) == 5 and 5 < max(memory) < 500


def test_the_same_stream_gives_the_same_memory_and_another_seed_another_one():
    first, again, other = (list(remember(iter(range(500)), "uniform", 20, seed, no_features)) for seed in (0, 0, 1))

    assert first == again != other


def brute_force_herding(features, count):
    """iCaRL, algorithm 4, to the letter."""
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    mean, chosen = features.mean(axis=0), []
    for k in range(1, count + 1):
        distances = {
            i: np.linalg.norm(mean - (features[i] + sum((features[j] for j in chosen), start=0 * mean)) / k)
            for i in range(len(features)) if i not in chosen
        }  # fmt: skip
        chosen.append(min(distances, key=distances.get))
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_herding_picks_what_a_brute_force_greedy_search_picks(seed):
    features = np.random.default_rng(seed).normal(size=(20, 4)) + np.array([3, 0, 0, 0])

    assert herd(features, 20).tolist() == brute_force_herding(features, 20)


def test_herding_keeps_rows_of_every_class_near_its_own_mean():
    features = np.random.default_rng(0).normal(size=(30, 4)) + 1
    labels = np.arange(30) % 3
    memory = remember(rows_of(labels), "herding", 9, 0, lambda _: features)

    expected = [np.flatnonzero(labels == c)[brute_force_herding(features[labels == c], 3)] for c in range(3)]
    assert memory.positions.tolist() == np.concatenate(expected).tolist()


def test_a_data_loader_is_read_through_its_data_set():
    memory = remember(DataLoader(list(range(8)), batch_size=4), "uniform", None, 0, no_features)

    assert list(memory) == list(range(8))


@pytest.mark.parametrize("name", ["label", "labels"])
def test_labels_are_the_same_from_a_list_a_dataset_and_tensors(name):
    rows = [{"text": "a", name: label} for label in (2, 0, 1)]
    for dataset in (rows, Dataset.from_list(rows), [{name: torch.tensor(row[name])} for row in rows]):
        assert labels_of(dataset).tolist() == [2, 0, 1]


@pytest.mark.parametrize("row", [{"text": "a"}, {"labels": [1, 2]}, {"labels": 0.5}, (1, 2)])
def test_rows_without_one_whole_number_for_a_label_cannot_be_balanced(row):
    with pytest.raises(DataError, match="one whole number per row"):
        remember([row, row], "class_balanced", None, 0, no_features)


def test_an_empty_memory_says_what_to_pass():
    for empty in ([], iter([])):
        with pytest.raises(DataError, match="is empty"):
            remember(empty, "uniform", None, 0, no_features)


def test_herding_refuses_a_stream():
    with pytest.raises(DataError, match="map-style"):
        remember(iter(range(5)), "herding", 3, 0, no_features)


def test_all_rows_of_map_style_data_are_kept_without_being_read():
    class Unread:
        def __len__(self):
            return 10**9

        def __getitem__(self, position):
            raise AssertionError("a row was read")

    assert len(remember(Unread(), "uniform", None, 0, no_features)) == 10**9
