"""The wrong answers of a baseline."""

from synthetic_records import make_record

from hf_transfer_kit.app.baseline.result import answers_card, wrong_answers

RIGHT = [1] * 12 + [0] * 8


def test_wrong_answers_are_the_wrong_ones_and_the_surest_first():
    inputs = [f"text {i}" for i in range(20)]
    found = wrong_answers(make_record(RIGHT), inputs)

    assert {each.input for each in found} == set(inputs[12:])
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)
    assert all(each.right != each.answered for each in found)


def test_a_script_in_a_test_text_is_shown_as_text():
    page = answers_card(make_record(RIGHT), ["<img src=x onerror=alert(1)>"] * 20)

    assert "<img" not in page
    assert "&lt;img" in page
