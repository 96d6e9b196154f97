"""Copies and near copies, of texts and of images: every pair at or above a threshold, not a sample of them.

Texts: Jaccard similarity of the sets of character 4-grams (Broder 1997, "On the resemblance and containment of
documents"). The pairs worth counting are found by the l-prefix filter (Wang, Li & Feng 2012, "Can we beat the prefix
filtering?", SIGMOD, section 3): nothing is lost, and no table of all pairs is ever built.

Images: cosine similarity of the steps between neighbouring pixels of a 16 x 16 thumbnail. The difference hash (Krawetz
2013, "Kind of Like That") keeps only the sign of such steps, and so confuses small or plain pictures, where most signs
are noise (our measurement, benchmarks/near_duplicates).
"""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_transfer_kit.errors import DataError, PlanError

if TYPE_CHECKING:
    from PIL.Image import Image

_GRAM = 4  # characters
_THUMBNAIL = 16  # pixels
_STEP = 4_000_000  # numbers held at once by one step of the work: tens of MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Row `query` of the queries looks like row `corpus` of the corpus; `similarity` is in (0, 1], 1 for a copy."""

    query: int
    corpus: int
    similarity: float


class _Punctuation(dict[int, int | None]):
    """A table for str.translate, filled on demand: None for punctuation and invisible format characters."""

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        self[code] = None if category.startswith("P") or category == "Cf" else code
        return self[code]


_PUNCTUATION = _Punctuation()


def normalise_text(text: str) -> str:
    """The text in Unicode NFKC, case folded, without punctuation, each run of white space made one space.

    Two texts with the same result are copies of each other. Emoji and other symbols stay. A text of punctuation alone
    keeps it, so that ":)" and ":(" differ; only an empty or blank text gives "".

    Example:
        >>> normalise_text("  What's the   TIME?")
        'whats the time'
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    bare = unicodedata.normalize("NFKC", folded.translate(_PUNCTUATION))
    return " ".join(bare.split()) or folded


def near_duplicate_texts(
    queries: Sequence[str], corpus: Sequence[str] | None = None, threshold: float = 0.8
) -> list[Pair]:
    """All pairs of texts whose sets of character 4-grams have a Jaccard similarity >= `threshold`.

    Texts are compared after `normalise_text`. A text shorter than 4 characters is one gram, itself; an empty text has
    none and is in no pair. Without `corpus`, the pairs inside `queries` with query < corpus. Sorted by query, then
    corpus. A group of k copies makes k * (k - 1) / 2 pairs: where large groups are likely, keep one text per
    `normalise_text` key first.

    Raises:
        PlanError: `threshold` is not in (0, 1].
        DataError: an item is not a string.

    Example:
        >>> near_duplicate_texts(["Why pay extra?"], ["what time is it", "why pay extra!!"])
        [Pair(query=0, corpus=1, similarity=1.0)]
    """
    _check_threshold(threshold)
    others = [] if corpus is None else corpus
    grams = _gram_matrix(chain(_gram_sets("queries", queries), _gram_sets("corpus", others)))
    left = grams[: len(queries)]
    right = left if corpus is None else grams[len(queries) :]
    found: list[Pair] = []
    for i, j in _candidates(left, right, threshold, inside=corpus is None):
        shared = left[i].multiply(right[j]).getnnz(axis=1)
        similarity = shared / (left.getnnz(axis=1)[i] + right.getnnz(axis=1)[j] - shared)
        found.extend(_pairs(i, j, similarity, similarity >= threshold))
    return sorted(found, key=lambda pair: (pair.query, pair.corpus))


def image_key(image: Image) -> str:
    """SHA-256 (hex) of the picture's size and RGB pixels: the same for copies, whatever file format they came from.

    Example:
        >>> from PIL import Image
        >>> image_key(Image.new("L", (8, 8))) == image_key(Image.new("RGB", (8, 8)))
        True
    """
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(image.convert("RGB").tobytes())
    return digest.hexdigest()


def near_duplicate_images(
    queries: Sequence[Image], corpus: Sequence[Image] | None = None, threshold: float = 0.99
) -> list[Pair]:
    """All pairs of pictures whose 16 x 16 RGB thumbnails have steps of cosine similarity >= `threshold`.

    Finds copies that were resized (to no less than about 28 pixels), compressed again, made brighter or noisier. Does
    not find crops, flips or shifts. A picture of one flat colour has no steps and is in no pair: compare `image_key`
    for those. Without `corpus`, the
    pairs inside `queries` with query < corpus. Sorted by query, then corpus.

    Raises:
        PlanError: `threshold` is not in (0, 1].

    Example:
        >>> from PIL import Image
        >>> photo = Image.linear_gradient("L")
        >>> [(pair.query, pair.corpus) for pair in near_duplicate_images([photo], [photo.resize((99, 99))])]
        [(0, 0)]
    """
    _check_threshold(threshold)
    left = _thumbnails(queries)
    right = left if corpus is None else _thumbnails(corpus)
    rows = 1024
    found: list[Pair] = []
    for top in range(0, len(left), rows):
        here = _steps(left[top : top + rows])
        for start in range(top if corpus is None else 0, len(right), rows):
            similarity = here @ _steps(right[start : start + rows]).T
            i, j = np.nonzero(similarity >= threshold - 1e-6)  # float32: a copy may come out just below 1
            values, i, j = similarity[i, j], i + top, j + start
            found.extend(_pairs(i, j, np.minimum(values, 1.0), (i < j) | (corpus is not None)))
    return sorted(found, key=lambda pair: (pair.query, pair.corpus))


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise PlanError(f"threshold={threshold} must be above 0 and at most 1; 1 finds only copies.")


def _pairs(i: np.ndarray, j: np.ndarray, similarity: np.ndarray, keep: np.ndarray) -> Iterator[Pair]:
    for query, corpus, value in zip(i[keep].tolist(), j[keep].tolist(), similarity[keep].tolist(), strict=True):
        yield Pair(query=query, corpus=corpus, similarity=value)


def _gram_sets(name: str, texts: Iterable[str]) -> Iterator[set[str]]:
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"{name} row {row} is {type(text).__name__}, not text; drop the row or convert it.")
        text = normalise_text(text)
        yield {text[k : k + _GRAM] for k in range(max(len(text) - _GRAM + 1, 1))} if text else set()


def _gram_matrix(sets: Iterable[set[str]]) -> Any:
    """One sparse 0/1 row per set; the columns run from the rarest gram to the most common one."""
    from scipy.sparse import csr_matrix

    number: defaultdict[str, int] = defaultdict(count().__next__)
    flat, ends = array("i"), [0]
    for grams in sets:
        flat.extend(map(number.__getitem__, grams))
        ends.append(len(flat))
    ids = np.frombuffer(flat, dtype=np.int32) if flat else np.empty(0, np.int32)
    frequency = np.bincount(ids, minlength=len(number))
    rank = np.empty(len(number), np.int32)
    rank[np.argsort(frequency, kind="stable")] = np.arange(len(number), dtype=np.int32)
    matrix = csr_matrix((np.ones(len(ids), np.int8), rank[ids], ends), shape=(len(ends) - 1, len(number)))
    matrix.sort_indices()
    return matrix


def _prefixes(grams: Any, threshold: float) -> tuple[Any, np.ndarray]:
    """The rarest grams of each row, and how many of them the prefix of a similar row must share.

    Jaccard(x, y) >= t needs |x & y| >= t |x|. So the l rarest of the shared grams lie among the |x| - ceil(t |x|) + l
    rarest grams of x, and likewise of y with its own l: the two prefixes share at least the smaller l.
    """
    from scipy.sparse import csr_matrix

    size = grams.getnnz(axis=1)
    needed = np.ceil(threshold * size - 1e-9).astype(np.int64)
    shared = np.ceil(0.1 * needed).astype(np.int64)  # longer prefixes, far fewer candidates: 0.1 was fastest
    length = size - needed + shared
    place = np.arange(grams.nnz) - np.repeat(grams.indptr[:-1], size)
    keep = place < np.repeat(length, size)
    ends = np.concatenate([[0], np.cumsum(length)])
    return csr_matrix((np.ones(ends[-1], np.int32), grams.indices[keep], ends), shape=grams.shape), shared


def _candidates(left: Any, right: Any, threshold: float, inside: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Index arrays (i, j) that hold every pair of similar rows, and a few others, in steps of bounded size."""
    prefix, shared = _prefixes(left, threshold)
    other, other_shared = _prefixes(right, threshold)
    other = other.T.tocsr()
    size, other_size = left.getnnz(axis=1), right.getnnz(axis=1)
    for rows in _split(prefix @ other.getnnz(axis=1)):
        product = (prefix[rows] @ other).tocoo()
        i, j = product.row + rows.start, product.col
        smaller, larger = np.minimum(size[i], other_size[j]), np.maximum(size[i], other_size[j])
        keep = (product.data >= np.minimum(shared[i], other_shared[j])) & (smaller >= threshold * larger - 1e-9)
        if inside:
            keep &= i < j
        i, j = i[keep], j[keep]
        for part in _split(size[i] + other_size[j]):
            yield i[part], j[part]


def _split(cost: np.ndarray) -> Iterator[slice]:
    """Slices of neighbouring rows whose costs add up to about `_STEP` numbers, at least one row each."""
    ends = np.flatnonzero(np.diff(np.cumsum(cost, dtype=np.int64) // _STEP)) + 1
    edges = [0, *ends.tolist(), len(cost)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield slice(start, stop)


def _thumbnails(images: Iterable[Image]) -> np.ndarray:
    """Small RGB copies, uint8 (images, 16, 16, 3): 768 bytes each, all that is kept of a picture."""
    from PIL.Image import Resampling

    size = (_THUMBNAIL, _THUMBNAIL)
    small = [np.asarray(image.convert("RGB").resize(size, Resampling.BILINEAR)) for image in images]
    return np.stack(small) if small else np.empty((0, *size, 3), np.uint8)


def _steps(thumbnails: np.ndarray) -> np.ndarray:
    """Unit vectors (images, 1440) of the differences between neighbouring pixels; zeros for a flat picture."""
    pixels = thumbnails.astype(np.float32)
    down, across = np.diff(pixels, axis=1), np.diff(pixels, axis=2)
    steps = np.concatenate([down.reshape(len(pixels), -1), across.reshape(len(pixels), -1)], axis=1)
    unit: np.ndarray = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-6)
    return unit
