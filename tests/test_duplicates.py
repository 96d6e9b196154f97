"""Near duplicates against brute force for texts, against pictures changed on purpose for images."""

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageEnhance

from hf_transfer_kit import duplicates
from hf_transfer_kit.duplicates import Pair, image_key, near_duplicate_images, near_duplicate_texts, normalise_text
from hf_transfer_kit.errors import DataError, PlanError

# Few words over several scripts, so that random texts are often near each other.
WORDS = ["", "a", "is", "what", "whats", "balance", "balances", "Straße", "привет", "मौसम", "天気予報", "👍", "?!"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=6), max_size=12)


def jaccard_by_sets(first: str, second: str) -> float:
    """The definition, one pair at a time."""
    sets = []
    for text in (normalise_text(first), normalise_text(second)):
        windows = {"".join(window) for window in zip(text, text[1:], text[2:], text[3:], strict=False)}
        sets.append(windows or ({text} if text else set()))
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] | sets[1] else 0.0


def as_tuples(pairs: list[Pair]) -> list[tuple[int, int, float]]:
    return [(pair.query, pair.corpus, pytest.approx(pair.similarity, abs=1e-12)) for pair in pairs]


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([0.1, 0.3, 0.5, 2 / 3, 0.8, 0.95, 1.0]))
def test_the_pairs_between_two_sets_are_those_of_brute_force(queries, corpus, threshold):
    expected = [
        (i, j, similarity)
        for i, query in enumerate(queries)
        for j, other in enumerate(corpus)
        if (similarity := jaccard_by_sets(query, other)) >= threshold
    ]
    assert as_tuples(near_duplicate_texts(queries, corpus, threshold)) == expected


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from([0.2, 0.5, 0.8]))
def test_the_pairs_inside_one_set_are_those_of_brute_force_and_each_comes_once(texts, threshold):
    expected = [
        (i, j, similarity)
        for i in range(len(texts))
        for j in range(i + 1, len(texts))
        if (similarity := jaccard_by_sets(texts[i], texts[j])) >= threshold
    ]
    assert as_tuples(near_duplicate_texts(texts, threshold=threshold)) == expected


@pytest.mark.parametrize("threshold", [0.4, 0.8])
def test_long_texts_worked_on_in_many_small_steps_give_the_same_pairs(threshold, monkeypatch):
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh", k=chance.randint(2, 7))) for _ in range(60)]
    texts = [" ".join(chance.choices(words, k=chance.randint(5, 60))) for _ in range(40)]
    for text in texts[:20]:  # near copies: one word in four to twenty is another
        every = chance.randint(4, 20)
        texts.append(" ".join(words[0] if place % every == 1 else word for place, word in enumerate(text.split())))
    expected = near_duplicate_texts(texts, threshold=threshold)
    assert len(expected) >= 5

    monkeypatch.setattr(duplicates, "_STEP", 50)

    assert near_duplicate_texts(texts, threshold=threshold) == expected
    brute = [(i, j) for i in range(60) for j in range(i + 1, 60) if jaccard_by_sets(texts[i], texts[j]) >= threshold]
    assert [(pair.query, pair.corpus) for pair in expected] == brute


def test_similarity_by_hand():
    # abcd bcde cdef against abcd bcde cdeX: 2 shared of 4
    assert near_duplicate_texts(["abcdef"], ["abcdex"], threshold=0.5) == [Pair(query=0, corpus=0, similarity=0.5)]
    assert near_duplicate_texts(["abcdef"], ["abcdex"], threshold=0.51) == []


def test_empty_texts_are_in_no_pair_and_short_ones_match_only_themselves():
    pairs = near_duplicate_texts(["", "  ", "yes", "👍"], ["", "Yes!", "yep", "👎", "👍"], threshold=0.1)
    assert [(pair.query, pair.corpus) for pair in pairs] == [(2, 1), (3, 4)]


def test_no_texts_give_no_pairs():
    assert near_duplicate_texts([]) == near_duplicate_texts([], ["a"]) == near_duplicate_texts(["a"], []) == []


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("  What's\tthe\n TIME? ", "whats the time"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width"),  # noqa: RUF001 - the point of NFKC
        ("STRASSE", normalise_text("straße")),
        ("zero\u200bwidth", "zerowidth"),
        ("मौसम कैसा है?", "मौसम कैसा है"),  # vowel signs are no punctuation
        ("great 👍!!", "great 👍"),
        (":)", ":)"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_normalised_texts(raw, normal):
    assert normalise_text(raw) == normal


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_normalising_again_changes_nothing(text):
    once = normalise_text(text)
    assert normalise_text(once) == once


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_an_impossible_threshold_is_refused(threshold):
    with pytest.raises(PlanError, match="above 0 and at most 1"):
        near_duplicate_texts(["a"], threshold=threshold)
    with pytest.raises(PlanError, match="above 0 and at most 1"):
        near_duplicate_images([], threshold=threshold)


def test_a_row_that_is_no_text_is_named():
    with pytest.raises(DataError, match="corpus row 1 is NoneType"):
        near_duplicate_texts(["a"], ["b", None])


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Ten different scenes of soft coloured shapes, 96 x 72."""
    chance, scenes = np.random.default_rng(0), []
    for _ in range(10):
        rough = chance.integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
        scenes.append(Image.fromarray(rough).resize((96, 72), Image.Resampling.BICUBIC))
    return scenes


def recompressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=50)
    return Image.open(file)


CHANGES = {
    "half the size": lambda picture: picture.resize((48, 36)),
    "JPEG": recompressed,
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "noise": lambda picture: ImageChops.add(picture, Image.effect_noise(picture.size, 8).convert("RGB"), offset=-128),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_copy_is_found_and_no_other_picture(pictures, change):
    pairs = near_duplicate_images([change(picture) for picture in pictures], pictures)
    assert [(pair.query, pair.corpus) for pair in pairs] == [(row, row) for row in range(10)]
    assert all(0.99 <= pair.similarity <= 1 for pair in pairs)


def test_pictures_of_the_same_shape_in_other_colours_are_no_copies(pictures):
    swapped = [Image.merge("RGB", picture.split()[::-1]) for picture in pictures]
    assert near_duplicate_images(swapped, pictures) == []


def test_inside_one_list_each_pair_of_pictures_comes_once(pictures):
    pairs = near_duplicate_images([*pictures, recompressed(pictures[3])])
    assert [(pair.query, pair.corpus) for pair in pairs] == [(3, 10)]


def test_flat_pictures_are_in_no_pair_and_no_pictures_give_no_pairs(pictures):
    flat = [Image.new("RGB", (40, 40), colour) for colour in ("black", "white", "black")]
    assert near_duplicate_images(flat) == near_duplicate_images(flat, pictures) == near_duplicate_images([]) == []


def test_pairs_do_not_depend_on_where_the_blocks_of_rows_end(pictures):
    many = [pictures[row % 10] for row in range(1030)]  # one more block than 1024 rows
    assert len(near_duplicate_images(many)) == 10 * (103 * 102 // 2)


def test_the_key_of_a_picture_is_that_of_its_pixels(pictures):
    file = io.BytesIO()
    pictures[0].save(file, "PNG")
    changed = pictures[0].copy()
    changed.putpixel((5, 5), (1, 2, 3))
    turned = Image.frombytes("RGB", (72, 96), pictures[0].tobytes())  # the same bytes in another shape

    assert image_key(Image.open(file)) == image_key(pictures[0])
    assert len({image_key(picture) for picture in (pictures[0], pictures[1], changed, turned)}) == 4
