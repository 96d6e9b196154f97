"""The demo data is what its README says: enough rows, no near copies, no templates."""

import csv
import re
from collections import Counter
from importlib.resources import files
from itertools import groupby

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

FOLDER = files("hf_transfer_kit") / "demo_data"
SIZES = {"intents.csv": (12, 60), "older_intents.csv": (8, 40)}  # classes and rows per class, at least
NEAR_COPY = 0.5  # Jaccard index of two sets of four-letter sequences
OPENING_LIMIT = 5  # sentences of one class that may begin with the same three words


def read_table(name: str) -> list[list[str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def rows_of(name: str) -> list[tuple[str, str]]:
    return [(text, intent) for text, intent in read_table(name)[1:]]


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


def near_copies(texts: list[str]) -> list[tuple[str, str]]:
    counter = CountVectorizer(analyzer="char", ngram_range=(4, 4), binary=True, dtype=np.int32)
    seen = counter.fit_transform([plain(text) for text in texts])
    shared = (seen @ seen.T).toarray()  # (texts, texts): four-letter sequences in common
    sizes = shared.diagonal()
    jaccard = shared / np.maximum(sizes[:, None] + sizes[None, :] - shared, 1)
    first, second = np.nonzero(np.triu(jaccard >= NEAR_COPY, k=1))
    return [(texts[i], texts[j]) for i, j in zip(first, second, strict=True)]


def repeated_openings(rows: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    openings = Counter((intent, " ".join(plain(text).split()[:3])) for text, intent in rows)
    return {opening: count for opening, count in openings.items() if count > OPENING_LIMIT}


@pytest.mark.parametrize("name", SIZES)
def test_every_row_has_a_text_and_an_intent(name):
    header, *rows = read_table(name)
    assert header == ["text", "intent"]
    assert all(len(row) == 2 for row in rows)
    assert all(cell and cell == cell.strip() for row in rows for cell in row)


@pytest.mark.parametrize("name", SIZES)
def test_there_are_enough_classes_and_rows(name):
    classes, rows_per_class = SIZES[name]
    counts = Counter(intent for _, intent in rows_of(name))
    assert len(counts) >= classes
    assert min(counts.values()) >= rows_per_class


@pytest.mark.parametrize("name", SIZES)
def test_rows_are_grouped_by_intent_as_the_readme_says(name):
    groups = [intent for intent, _ in groupby(intent for _, intent in rows_of(name))]
    assert len(groups) == len(set(groups))
    assert "grouped by intent" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_intents_are_snake_case_and_not_shared_between_the_files():
    first, second = ({intent for _, intent in rows_of(name)} for name in SIZES)
    assert first.isdisjoint(second)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", intent) for intent in first | second)


def test_no_text_appears_twice():
    counts = Counter(plain(text) for name in SIZES for text, _ in rows_of(name))
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_two_sentences_are_near_copies_within_or_across_the_files():
    assert near_copies([text for name in SIZES for text, _ in rows_of(name)]) == []


def test_near_copies_are_found_when_there_are_any():
    texts = ["Can I renew the novel?", "can i renew the novels", "Where is the toilet?"]
    assert near_copies(texts) == [(texts[0], texts[1])]


@pytest.mark.parametrize("name", SIZES)
def test_few_sentences_of_a_class_begin_alike(name):
    assert repeated_openings(rows_of(name)) == {}


def test_a_template_is_found_when_there_is_one():
    rows = [(f"Can I renew {thing}?", "renew_loan") for thing in ("it", "this", "them", "mine", "both", "all")]
    assert repeated_openings(rows) == {("renew_loan", "can i renew"): 6}


@pytest.mark.parametrize("name", SIZES)
def test_the_readme_states_the_true_numbers(name):
    counts = Counter(intent for _, intent in rows_of(name))
    (rows_per_class,) = set(counts.values())
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {counts.total()} | {len(counts)} | {rows_per_class} |" in readme
    assert "demo data" in readme.lower()
