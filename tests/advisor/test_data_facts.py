"""Facts that the data tell by themselves."""

import pytest
from PIL import Image

from hf_transfer_kit.advisor.at_hand.data_facts import facts_from_data, language_of, length_of
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.plan import DataSpec

ENGLISH = ["where is my parcel please", "the money has not arrived yet", "can you help me with that"]
GERMAN = ["wo ist mein Paket bitte", "das Geld ist noch nicht da", "können Sie mir damit helfen"]


def facts_of(path):
    return facts_from_data(load_data(DataSpec(path=str(path))), str(path))


def written(path, rows):
    path.write_text(
        "text,label\n" + "".join(f"{text} {number},{label}\n" for number, (text, label) in enumerate(rows))
    )
    return path


def test_texts_tell_size_classes_language_and_length(tmp_path):
    rows = [(text, f"class {number % 3}") for number in range(40) for text in ENGLISH]
    facts = facts_of(written(tmp_path / "all.csv", rows))

    assert (facts["modality"], facts["n_labelled"], facts["n_classes"]) == ("text", 120, 3)
    assert (facts["language"], facts["input_length"]) == ("en", 16)
    assert facts["test_set"] is None  # it is cut off the same file
    assert TaskFacts(**facts).labels == 120


def test_a_test_part_of_their_own_is_no_labelled_data_to_learn_from(tmp_path):
    rows = [(text, f"class {number % 2}") for number in range(20) for text in ENGLISH]
    written(tmp_path / "train.csv", rows)
    written(tmp_path / "test.csv", [(f"other {text}", label) for text, label in rows[:30]])
    facts = facts_of(tmp_path)

    assert (facts["n_labelled"], facts["test_set"]) == (60, True)


def test_images_tell_their_size(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(10):
            Image.new("RGB", (40 + number, 32), (number, 3, len(label))).save(tmp_path / label / f"{number}.png")
    facts = facts_of(tmp_path)

    assert (facts["modality"], facts["n_labelled"], facts["image_size"]) == ("image", 20, 32)
    assert "language" not in facts


@pytest.mark.parametrize(
    ("texts", "language"),
    [(ENGLISH * 20, "en"), (GERMAN * 20, "de"), (ENGLISH * 10 + GERMAN * 10, "mul"), (["17", "4.5", ""] * 20, None)],
)
def test_the_language_of_texts(texts, language):
    assert language_of(texts) == language


def test_one_long_text_of_a_hundred_does_not_set_the_length():
    assert length_of(["a b c"] * 198 + ["word " * 900] * 2) == 16
    assert length_of(["a b c"] * 50 + ["word " * 60] * 50) == 128
    assert length_of(["word " * 9000]) == 512
