"""Choosing the input and label columns."""

import datasets
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from hf_transfer_kit.data.columns import find_columns
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec

LONG = ["a rather long sentence about nothing", "another one, as long as the first", "and a third", "and a fourth one"]
FEW = ["x", "y", "x", "y"]


def find(columns, **options):
    rows = columns if isinstance(columns, Dataset) else Dataset.from_dict(columns)
    return find_columns(rows, DataSpec(path="a.csv", **options), "a.csv")


def chosen(columns, **options):
    found = find(columns, **options)
    return found.task.name, found.input, found.label


def message_of(columns, **options):
    with pytest.raises(DataError) as error:
        find(columns, **options)
    assert str(error.value).startswith("a.csv")
    return str(error.value)


def pictures(**others):
    features = {"img": Image(decode=False)} | {name: Value("string") for name in others}
    return Dataset.from_dict({"img": [{"bytes": b"", "path": "x"}] * 4, **others}, features=Features(features))


@pytest.mark.parametrize("text", ["text", "sentence", "content", "review", "question", "Utterance", "query"])
@pytest.mark.parametrize("label", ["label", "labels", "intent", "category", "class", "TARGET", "coarse_label"])
def test_usual_names_are_found(text, label):
    assert chosen({"id": ["1", "2", "3", "4"], label: FEW, text: LONG}) == ("text-classification", text, label)


def test_the_finer_of_two_usual_labels_wins_and_the_other_is_noted():
    found = find({"text": LONG, "domain": FEW, "intent": FEW})
    assert found.label == "intent"
    assert any("'domain'" in note and "--label-column" in note for note in found.notes)


def test_unusual_names_are_found_by_length_and_repetition():
    assert chosen({"nr": [1, 2, 3, 4], "v1": FEW, "v2": LONG}) == ("text-classification", "v2", "v1")


def test_columns_that_are_mostly_empty_or_dates_are_no_label():
    from datetime import date

    days = [date(2020, 1, 1), date(2020, 1, 2)] * 2
    assert (
        chosen({"v1": FEW, "v2": LONG, "rest": ["", "", "", "x"], "none": [None, None, 1, 2], "day": days})[2] == "v1"
    )


def test_a_class_label_column_is_the_label():
    features = Features({"v2": Value("string"), "a": Value("string"), "b": ClassLabel(names=["x", "y"])})
    rows = Dataset.from_dict({"v2": LONG, "a": FEW, "b": [0, 1, 0, 1]}, features=features)
    assert chosen(rows)[2] == "b"


@pytest.mark.parametrize("values", [[0, 1, 0, 1], [True, False, True, False], FEW])
def test_labels_may_be_numbers_booleans_or_words(values):
    assert chosen({"text": LONG, "kind": values})[2] == "kind"


def test_images_win_over_strings_and_the_text_is_noted():
    found = find(pictures(text=LONG, label=FEW))
    assert (found.task.name, found.input, found.label) == ("image-classification", "img", "label")
    assert any("'text'" in note and "--task" in note for note in found.notes)


def test_options_decide():
    rows = {"text": LONG, "title": LONG, "label": FEW, "other": FEW}
    assert chosen(rows, input_column="title", label_column="other") == ("text-classification", "title", "other")
    assert chosen(pictures(text=LONG, label=FEW), task="text-classification")[1] == "text"


@pytest.mark.parametrize("option", ["input_column", "label_column"])
def test_a_wrong_column_name_gets_a_suggestion(option):
    message = message_of({"text": LONG, "label": FEW}, **{option: "txt" if option == "input_column" else "lable"})
    assert f"--{option.replace('_', '-')}" in message
    assert "did you mean '" in message


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"text": LONG, "a": FEW, "b": FEW}, {}, ["'a', 'b' could all be the label", "--label-column", "text (text)"]),
        ({"text": LONG, "nr": [1, 2, 3, 4]}, {}, ["no column has few, repeated", "--label-column", "nr (numbers"]),
        ({"a": LONG, "b": LONG, "label": FEW}, {}, ["'a', 'b' could both be the input", "--input-column"]),
        ({"nr": [1, 2, 3, 4], "label": FEW}, {}, ["the input must be texts", "or images", "nr (numbers (int64))"]),
        ({"text": LONG, "label": FEW}, {"task": "image-classification"}, ["must be images", "text (text)"]),
        ({"nr": [1, 2, 3, 4], "label": FEW}, {"input_column": "nr"}, ["column 'nr' holds numbers"]),
        ({"text": LONG, "labels": [["a"], ["b"], [], []]}, {}, ["'labels' holds lists", "--label-column"]),
        ({"text": LONG, "tags": [["a"]] * 4}, {"label_column": "tags"}, ["'tags' holds lists", "one word or number"]),
        ({"text": FEW}, {"input_column": "text", "label_column": "text"}, ["input and label at once", "two columns"]),
    ],
)
def test_what_cannot_be_decided_lists_columns_and_options(columns, options, words):
    message = message_of(columns, **options)
    assert [word for word in words if word not in message] == [], message


def test_an_unknown_task_is_a_plan_error():
    with pytest.raises(PlanError, match="did you mean 'text-classification'"):
        find({"text": LONG, "label": FEW}, task="text-clasification")


def test_a_sorted_label_column_is_still_seen_to_repeat():
    rows = datasets.Dataset.from_dict(
        {"v2": [f"text number {i}" for i in range(9000)], "v1": ["a"] * 8000 + ["b"] * 1000}
    )
    assert chosen(rows)[2] == "v1"
