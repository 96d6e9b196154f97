"""Tries of labels, against lists of prefixes and sums by hand."""

import random

import torch

from hf_transfer_kit.prompting.label_scoring.trie import LabelTrie, groups


def random_labels(seed, count=30, words=4, longest=5):
    pick = random.Random(seed)
    return [[pick.randrange(words) for _ in range(pick.randint(1, longest))] for _ in range(count)]


def inner_ways(labels):
    return {tuple(label[:end]) for label in labels for end in range(1, len(label))}


def test_inner_nodes_are_the_proper_beginnings_of_labels_each_once():
    for seed in range(20):
        labels = random_labels(seed)
        trie = LabelTrie.of(labels)
        ways = [
            tuple(token for token, above in zip(trie.tokens.tolist(), row, strict=True) if above)
            for row in trie.ancestors.tolist()
        ]
        assert len(ways) == len(set(ways)) and set(ways) == inner_ways(labels)
        assert trie.depths.tolist() == [len(way) - 1 for way in ways]


def test_the_last_token_of_a_label_is_a_node_only_where_another_label_goes_on():
    assert LabelTrie.of([[5, 7]]).tokens.tolist() == [5]
    assert LabelTrie.of([[5, 7], [5, 7, 9]]).tokens.tolist() == [5, 7]
    assert LabelTrie.of([[5], [7], [5]]).tokens.tolist() == []


def test_scores_are_sums_along_the_labels():
    trie = LabelTrie.of([[5, 7, 9], [5, 7], [8], [5, 7]])
    edges = list(zip(trie.parents.tolist(), trie.edge_tokens.tolist(), strict=True))
    worth = {(0, 5): 1.0, (1, 7): 10.0, (2, 9): 100.0, (0, 8): 1000.0}
    assert sorted(edges) == sorted(worth)
    scores = trie.label_scores(torch.tensor([[worth[edge] for edge in edges]]))
    assert scores.tolist() == [[111.0, 11.0, 1000.0, 11.0]]
    assert scores.dtype == torch.float64


def test_groups_hold_every_label_once_and_no_more_inner_nodes_than_allowed():
    for seed in range(20):
        labels = random_labels(seed)
        for most in (1, 3, 8, 1000):
            parts = list(groups(labels, most))
            assert sorted(number for part in parts for number in part) == list(range(len(labels)))
            for part in parts:
                assert len(part) == 1 or len(inner_ways([labels[number] for number in part])) <= most
    assert len(list(groups(random_labels(0), 1000))) == 1
