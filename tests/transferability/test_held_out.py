"""Validation rows beside leave-one-out answers."""

import csv

import numpy as np

from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.transferability.held_out import held_out_accuracy
from hf_transfer_kit.transferability.ranking import rank

GOOD, BAD, OTHER = ("good", "great", "fine"), ("bad", "awful", "poor"), ("film", "story", "plot", "music")
TEXTS = [
    (f"{one} {other} the {third}", label)
    for label, words in enumerate((GOOD, BAD))
    for one in words
    for other in words
    for third in OTHER
]


def written(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def data_in(folder, validation):
    """Training rows of words that tell the label, and `validation`."""
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(0)
    for name, ending in (("train", "was"), ("test", "and")):
        rows = [(f"a {text} {ending} {draw.choice(OTHER)}", label) for text, label in TEXTS]
        written(folder / f"{name}.csv", rows)
    written(folder / "validation.csv", validation)
    return DataSpec(path=str(folder))


def accuracy(spec, model, layer="1"):
    return held_out_accuracy(load_data(spec), spec, ModelSpec(name=str(model)), layer, max_rows=500)


def test_right_labels_are_found_and_wrong_ones_are_not(tmp_path, tiny_bert):
    right = accuracy(data_in(tmp_path / "right", TEXTS), tiny_bert)
    wrong = accuracy(data_in(tmp_path / "wrong", [(text, 1 - label) for text, label in TEXTS]), tiny_bert)

    assert right.value > 0.9
    assert abs(wrong.value - (1 - right.value)) < 1e-9
    assert right.low <= right.value <= right.high


def test_too_few_validation_rows_tell_nothing(tmp_path, tiny_bert):
    assert accuracy(data_in(tmp_path / "few", TEXTS[30:42]), tiny_bert) is None


def test_only_validation_rows_are_passed_through_the_model_again(tmp_path, tiny_bert, monkeypatch):
    spec = data_in(tmp_path / "data", TEXTS)
    data, model = load_data(spec), ModelSpec(name=str(tiny_bert))
    rank(data, [model], max_rows=500, max_length=spec.max_length, random_copies=False)
    passed, kind = [], type(get_task(data.task))
    encode = kind.encode

    def watched(self, processor, inputs, length):
        passed.extend(inputs)
        return encode(self, processor, inputs, length)

    monkeypatch.setattr(kind, "encode", watched)
    held_out_accuracy(data, spec, model, "1", max_rows=500)

    assert sorted(passed) == sorted(text for text, _ in TEXTS)
