"""Numbers in figures and words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_transfer_kit.advisor.language.numbers import quantities
from hf_transfer_kit.advisor.language.words import singular, tidy, tokenize

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
ONES = [*ONES.split(), "eighteen", "nineteen"]
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_words(n):
    """A number below a billion in English words, written the long way round: an independent witness."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + (f"-{ONES[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{ONES[n // 100]} hundred" + (f" and {in_words(n % 100)}" if n % 100 else "")
    for scale, name in ((10**6, "million"), (10**3, "thousand")):
        if n >= scale:
            return f"{in_words(n // scale)} {name}" + (f" {in_words(n % scale)}" if n % scale else "")
    raise ValueError(n)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.integers(0, 2000), st.integers(0, 10**9 - 1)))
def test_any_number_in_words_is_read(n):
    (found,) = quantities(tokenize(in_words(n)))
    assert found.whole == n
    assert found.last == len(tokenize(in_words(n)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("1,200", 1200),
        ("10 000", 10_000),
        ("1'000'000", 10**6),
        ("5k", 5000),
        ("5K", 5000),
        ("20 k", 20_000),
        ("1.5m", 1_500_000),
        ("2 million", 2 * 10**6),
        ("2.5 million", 2_500_000),
        ("3bn", 3 * 10**9),
        ("1e5", 10**5),
        ("10^4", 10_000),
        ("a dozen", 12),
        ("two dozen", 24),
        ("half a million", 500_000),
        ("a hundred", 100),
        ("a million", 10**6),
        ("ten thousand", 10_000),
        ("1.1k", 1100),
        ("\u0668\u0660", 80),
        ("\uff18\uff10", 80),
        ("-5", -5),
        ("0", 0),
    ],
)
def test_figures_suffixes_and_words_are_one_number(text, value):
    (found,) = quantities(tokenize(text))
    assert found.whole == value


@pytest.mark.parametrize(
    "text", ["a few dozen", "hundreds", "several thousand", "lots", "a handful", "1,5", "1.2.3", "9" * 30, "1e99"]
)
def test_what_is_no_number_has_no_value(text):
    (found,) = quantities(tokenize(text))
    assert found.whole is None


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("fewer than 100", 99),
        ("<100", 99),
        ("under 100", 99),
        ("more than 10,000", 10_001),
        ("> 10k", 10_001),
        ("over a million", 10**6 + 1),
        ("at least 500", 500),
        ("at most 500", 500),
        ("up to 2k", 2000),
        ("no more than 50", 50),
        ("100 to 200", 100),
        ("100-200", 100),
        ("5-10k", 5000),
        ("between 5 and 8", 5),
        ("2 or 3", 2),
        ("fewer than about 100", 99),
    ],
)
def test_a_bound_or_a_range_gives_a_number_that_fits_it_on_the_low_side(text, whole):
    (found,) = quantities(tokenize(text))
    assert found.whole == whole


@pytest.mark.parametrize("text", ["80 and 20", "200 to 100", "8 x 9", "5, 6"])
def test_two_numbers_stay_two(text):
    assert len(quantities(tokenize(text))) == 2


@pytest.mark.parametrize("text", ["t4", "how many", "a", "and", "covid", ""])
def test_words_without_a_number_have_none(text):
    assert not quantities(tokenize(text))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=100))
def test_tidying_keeps_every_character_in_its_place(text):
    assert len(tidy(text)) == len(text)
    for token in tokenize(text):
        assert 0 <= token.start < token.end <= len(text)


def test_plurals_are_read_as_singular():
    words = ["images", "classes", "categories", "boxes", "gpus", "T4s", "x-rays"]
    assert [singular(word.lower()) for word in words] == ["image", "class", "category", "box", "gpu", "t4", "x-ray"]
    assert [singular(word) for word in ("series", "analysis", "corpus", "class", "gas")] == [
        "series",
        "analysis",
        "corpus",
        "class",
        "gas",
    ]
