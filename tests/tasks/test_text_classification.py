"""Text classification: what it makes of a column, a text, and command-line arguments."""

import math

import datasets
import numpy as np
import pytest

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.tasks.task import Vocabulary
from hf_transfer_kit.tasks.text_classification import TextClassification
from hf_transfer_kit.values import from_mapping, to_mapping

task = TextClassification()


def test_strings_can_be_inputs_and_usual_names_come_first():
    kinds = {"Title": "string", "id": "int64", "note": "large_string", "text": "string"}
    features = datasets.Features({name: datasets.Value(kind) for name, kind in kinds.items()})
    assert task.input_columns(features) == ["text", "Title", "note"]


@pytest.mark.parametrize("value", ["", " \n", None, float("nan"), "nan", 7])
def test_what_is_no_text_has_a_problem(value):
    assert task.problem(value)


@pytest.mark.parametrize("value", ["a", "none", "NA", "!", "日本"])
def test_any_word_or_sign_is_a_text(value):
    assert task.problem(value) is None


def test_the_key_ignores_spelling_that_the_digest_keeps():
    assert task.key("Hello,  World!") == task.key("hello world")
    assert task.digest("Hello") != task.digest("hello")


def test_near_copies_are_found():
    pairs = task.near_duplicates(["how do i reset my password"], ["weather", "how do i reset my password?"])
    assert [(pair.query, pair.corpus) for pair in pairs] == [(0, 1)]


def test_show_is_one_line_of_at_most_80_characters():
    assert task.show("two\nlines") == "two lines"
    assert len(task.show("word " * 100)) <= 80
    assert task.show(None) == ""


def test_inputs_are_texts_or_lines_of_files(tmp_path):
    (tmp_path / "texts.txt").write_bytes(b"\xef\xbb\xbffirst\n\nsecond\n")
    assert task.read_inputs(["what time is it", str(tmp_path / "texts.txt"), "a" * 5000]) == [
        "what time is it",
        "first",
        "second",
        "a" * 5000,
    ]


def test_inputs_that_cannot_be_read_say_what_to_give(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    cases = {
        "none.txt": "does not exist",
        "a.csv": "is a table",
        str(tmp_path): "is a folder",
        " ": "give at least one",
    }
    for argument, words in (cases | {str(tmp_path / "latin.txt"): "not UTF-8 text at byte 3"}).items():
        with pytest.raises(DataError, match=words):
            task.read_inputs([argument])


def test_tf_idf_by_hand():
    matrix, vocabulary = task.shallow_features(["red red blue", "blue"], None)
    assert vocabulary.terms == ("blue", "red", "red blue", "red red")
    rare = math.log(3 / 2) + 1  # smoothed: ln((1 + 2 texts) / (1 + 1 text)) + 1
    assert vocabulary.weights == pytest.approx((1, rare, rare, rare))
    row = np.array([1, (1 + math.log(2)) * rare, rare, rare])  # "red" twice counts 1 + ln 2
    np.testing.assert_allclose(matrix.toarray()[0], row / np.linalg.norm(row))


def test_features_of_a_saved_vocabulary_are_the_same():
    texts = ["red, red blue!", "blue?", "?!"]
    matrix, vocabulary = task.shallow_features(texts, None)
    loaded = from_mapping(Vocabulary, to_mapping(vocabulary), "vocabulary")
    again, _ = task.shallow_features(texts, loaded)
    np.testing.assert_array_equal(again.toarray(), matrix.toarray())
    assert task.shallow_features(["quite new"], loaded)[0].nnz == 0
