import json
import math

import numpy as np
import pytest

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.remote.answer_forms import JsonForm, LetterForm, answer_forms
from hf_transfer_kit.prompting.remote.chat import Answer, TokenScore

LISTING = Prompt(
    name="listing",
    template="""One of {{ labels | join(", ") }}.
{% for each in demonstrations %}
Text: {{ each.input }}
Topic: {{ each.label }}
{% endfor %}
Text: {{ input }}
Topic:""",
    system="Be brief.",
)
BARE = Prompt(name="bare", template="{{ input }} ->")
LABELS = ["card_lost", "refund", "card"]


def json_form(prompt=LISTING, labels=LABELS):
    return JsonForm(prompt, labels, input_noun="text")


def letter_form(prompt=LISTING, labels=LABELS, top_logprobs=20):
    return LetterForm(prompt, labels, input_noun="text", top_logprobs=top_logprobs)


def read(form, text, finish_reason="stop", **tokens):
    first = tuple(TokenScore(token=token, log_probability=value) for token, value in tokens.items())
    return form.read(Answer(text=text, finish_reason=finish_reason, first_tokens=first))


def choice(scores):
    return None if scores is None else int(np.argmax(scores))


def test_the_schema_allows_the_words_of_the_labels_alone():
    schema = json_form().request("x").schema

    assert schema["properties"]["label"]["enum"] == ["card lost", "refund", "card"]
    assert schema["required"] == ["label"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "text", ['{"label": "card lost"}', ' {"label":"Card LOST "}\n', '```json\n{"label": "card lost"}\n```',
             "card lost", '"card lost"', "```\nCARD LOST```"],
)  # fmt: skip
def test_json_is_read_in_any_case_with_white_space_and_fences(text):
    assert choice(read(json_form(), text)) == 0


@pytest.mark.parametrize(
    "text", ["", "  ", '{"label": "car', '{"label": "lost"}', '{"label": ["card"]}', '{"topic": "card"}', "[]", "null",
             '{"label": null}', '{"label": true}', "card lost, I think", "[" * 100_000, '{"label": "card lost"} x'],
)  # fmt: skip
def test_anything_fuzzier_is_unreadable(text):
    assert read(json_form(), text) is None


@pytest.mark.parametrize("finish_reason", ["length", "refusal", "content_filter"])
def test_an_answer_that_was_cut_off_or_refused_is_unreadable_although_it_begins_like_a_label(finish_reason):
    assert read(json_form(), "card", finish_reason) is None
    assert read(letter_form(), "A)" if finish_reason != "length" else "", finish_reason) is None


def test_a_choice_is_a_smoothed_distribution():
    scores = read(json_form(), '{"label": "refund"}')

    assert np.exp(scores) == pytest.approx([0.05, 0.9, 0.05])
    assert read(json_form(labels=["only"]), '{"label": "only"}').tolist() == [0]


def test_labels_that_differ_in_case_alone_are_told_apart():
    form = json_form(labels=["us", "US", "uk"])

    assert choice(read(form, '{"label": "US"}')) == 1
    assert read(form, '{"label": "Us"}') is None
    assert choice(read(form, '{"label": "UK"}')) == 2


def test_labels_may_be_numbers():
    assert choice(read(json_form(labels=["1", "2"]), '{"label": 2}')) == 1


def test_the_longest_label_fits_into_the_answer():
    label = "ein sehr langes Wort " * 10

    assert json_form(labels=["a", label]).request("x").max_tokens > len(json.dumps({"label": label}))


def test_letters_stand_before_the_labels_everywhere_in_the_prompt():
    request = letter_form().request("my card", [Demonstration(input="money", label="refund")])

    assert "A) card lost, B) refund, C) card" in request.user
    assert "Text: money\nTopic: B) refund" in request.user
    assert request.user.endswith("Answer with its letter alone.")
    assert request.system == "Be brief."
    assert request.schema is None


def test_labels_that_the_template_leaves_out_are_listed():
    assert letter_form(BARE).request("x").user.endswith("alone:\nA) card lost\nB) refund\nC) card")
    assert '"card lost", "refund", "card"' in json_form(BARE).request("x").user
    assert '"refund"' not in json_form().request("x").user


@pytest.mark.parametrize("text", ["B", " b\n", "B)", "B) refund", "(B)", "B.", "```\nB\n```", "B: ref"])
def test_letters_are_read(text):
    assert choice(read(letter_form(), text)) == 1


@pytest.mark.parametrize("text", ["", "D", "A card was lost", "refund", "AB", "1", "B refund", "-B"])
def test_other_answers_are_no_letters(text):
    assert read(letter_form(), text) is None


def test_log_probabilities_of_letters_are_the_scores_and_variants_add_up():
    scores = read(
        letter_form(), "B", B=math.log(0.5), **{" B": math.log(0.1), "a": math.log(0.2), "The": math.log(0.15)}
    )

    assert np.exp(scores) == pytest.approx([0.2, 0.6, 0.05])  # C: what is left


def test_a_letter_out_of_the_list_is_no_more_likely_than_the_last_one_in_it():
    scores = read(letter_form(), "A", A=math.log(0.5), B=math.log(0.1))

    assert np.exp(scores) == pytest.approx([0.5, 0.1, 0.1])
    certain = read(letter_form(), "A", A=0.0)
    assert certain.argmax() == 0
    assert np.isfinite(certain).all()


def test_log_probabilities_that_contradict_the_answer_are_not_used():
    assert np.exp(read(letter_form(), "C", A=math.log(0.9))) == pytest.approx([0.05, 0.05, 0.9])


def test_many_labels_are_numbered_and_have_no_log_probabilities():
    labels = [f"label {i}" for i in range(30)]
    forms = answer_forms("letters", LISTING, labels, input_noun="text")

    assert [form.request("x").top_logprobs for form in forms] == [0]
    assert "30) label 29" in forms[0].request("x").user
    assert choice(forms[0].read(Answer(text="30", finish_reason="stop"))) == 29
    assert forms[0].read(Answer(text="31", finish_reason="stop")) is None


def test_forms_are_tried_from_the_tightest_on():
    forms = answer_forms("auto", LISTING, LABELS, input_noun="text")

    assert [(form.mode, form.request("x").top_logprobs) for form in forms] == [
        ("json", 0), ("letters", 20), ("letters", 5), ("letters", 0),
    ]  # fmt: skip
    assert [form.is_refused_by("Unsupported: response_format") for form in forms] == [True, False, False, False]
    assert [form.is_refused_by("top_logprobs must be at most 5") for form in forms] == [False, True, True, False]


def test_an_unknown_mode_is_named():
    with pytest.raises(PromptError, match="did you mean 'json'"):
        answer_forms("jsn", LISTING, LABELS, input_noun="text")
