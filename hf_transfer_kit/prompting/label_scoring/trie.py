"""Labels as a trie of their tokens: what labels have in common is evaluated once.

Labels [5 7 9], [5 7] and [5 8] after a text t:

    t -> 5 -> 7 -> 9        inner nodes: 5 and 7, since a token follows them
           -> 8             edges: t-5, 5-7, 7-9 and 5-8, each with one log-probability

The sum of the log-probabilities along a label's edges is the label's. Only inner nodes are evaluated; nobody asks what
comes after a leaf.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelTrie:
    """A trie of labels as tensors; the root is the last token of a text and has number 0, inner nodes follow from 1.

    Fields:
        tokens: (inner,), token of each inner node; a parent comes before its children.
        depths: (inner,), 0 for the first token of a label.
        ancestors: (inner, inner), True where the column's node is on the way from the root to the row's, or is it.
        parents, edge_tokens: (edges,), where an edge begins (0 is the root) and which token it leads to.
        paths: (labels, longest label), numbers of the edges of each label, filled up with `len(parents)`.

    Example:
        >>> trie = LabelTrie.of([[5, 7, 9], [5, 7], [5, 8]])
        >>> trie.tokens.tolist(), trie.parents.tolist(), trie.edge_tokens.tolist()
        ([5, 7], [0, 1, 2, 1], [5, 7, 9, 8])
    """

    tokens: Tensor
    depths: Tensor
    ancestors: Tensor
    parents: Tensor
    edge_tokens: Tensor
    paths: Tensor

    @classmethod
    def of(cls, labels: Sequence[Sequence[int]]) -> "LabelTrie":
        """The trie of token ids; labels may be equal or begin with one another, none may be empty."""
        inner: dict[tuple[int, ...], int] = {(): 0}  # by the tokens that lead there
        for label in labels:
            for end in range(1, len(label)):
                inner.setdefault(tuple(label[:end]), len(inner))
        edges: dict[tuple[int, ...], int] = {}
        for label in labels:
            for end in range(1, len(label) + 1):
                edges.setdefault(tuple(label[:end]), len(edges))
        ancestors = torch.zeros(len(inner), len(inner), dtype=torch.bool)
        for way, number in inner.items():
            if way:
                ancestors[number] = ancestors[inner[way[:-1]]]
            ancestors[number, number] = True
        longest = max(len(label) for label in labels)
        paths = torch.full((len(labels), longest), len(edges))
        for row, label in enumerate(labels):
            paths[row, : len(label)] = torch.tensor([edges[tuple(label[:end])] for end in range(1, len(label) + 1)])
        ways = list(inner)[1:]
        return cls(
            tokens=torch.tensor([way[-1] for way in ways], dtype=torch.long),
            depths=torch.tensor([len(way) - 1 for way in ways], dtype=torch.long),
            ancestors=ancestors[1:, 1:],
            parents=torch.tensor([inner[way[:-1]] for way in edges]),
            edge_tokens=torch.tensor([way[-1] for way in edges]),
            paths=paths,
        )

    def label_scores(self, edge_scores: Tensor) -> Tensor:
        """(texts, labels), float64: the sum of (texts, edges) along each label."""
        padded = torch.nn.functional.pad(edge_scores.double(), (0, 1))  # the edge that fills up short labels scores 0
        return padded[:, self.paths.to(padded.device)].sum(dim=-1)


def groups(labels: Sequence[Sequence[int]], most_inner: int) -> Iterator[list[int]]:
    """Numbers of labels in groups whose tries have at most `most_inner` inner nodes, or hold one label alone.

    Labels with a common beginning are neighbours, so that little of it is evaluated in two groups.

    Example:
        >>> list(groups([[5, 7], [8, 1], [5, 6]], most_inner=1))
        [[2, 0], [1]]
    """
    group: list[int] = []
    inner: set[tuple[int, ...]] = set()
    for number in sorted(range(len(labels)), key=lambda each: tuple(labels[each])):
        ways = {tuple(labels[number][:end]) for end in range(1, len(labels[number]))}
        if group and len(inner | ways) > most_inner:
            yield group
            group, inner = [], set()
        group.append(number)
        inner |= ways
    yield group
