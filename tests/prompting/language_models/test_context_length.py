from types import SimpleNamespace

import pytest

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.language_models.context_length import check_length, context_length, demonstrations_of

SHORT, LONG = Demonstration(input="a", label="x"), Demonstration(input="a b c d e f", label="x")


def tokens(text, shown):
    return len(text.split()) + sum(len(each.input.split()) for each in shown)


def check(inputs, shown, limit, **settings):
    check_length(inputs, shown, [tokens(*each) for each in zip(inputs, shown, strict=True)], limit, tokens, **settings)


def test_what_fits_exactly_and_what_has_no_limit_passes():
    check(["one two"], [(LONG,)], 8)
    check(["one two"], [(LONG,)], None)
    check([], [], 8)


def test_the_number_that_fits_fits_beside_every_input():
    with pytest.raises(PromptError, match=r"^5 demonstrations .* 7 tokens long, the model reads 5; 3 fit: --shots 3"):
        check(["one", "one two"], [(SHORT,) * 5] * 2, 5)


@pytest.mark.parametrize(("retrieved", "fit"), [(False, 2), (True, 1)])
def test_retrieved_demonstrations_are_left_out_from_the_first_on(retrieved, fit):
    with pytest.raises(PromptError, match=f"{fit} fit: --shots {fit}"):
        check(["one"], [(SHORT, SHORT, LONG)], 7, retrieved=retrieved)


def test_without_room_for_any_demonstration_the_way_out_is_none():
    with pytest.raises(PromptError, match="none fits: use zero_shot"):
        check(["one two"], [(SHORT,)], 2)


def test_an_input_too_long_by_itself_is_named():
    with pytest.raises(PromptError, match="the prompt for 'one two three' is 3 tokens long without any demonstration"):
        check(["one", "one two three"], [(SHORT,)] * 2, 2)


def test_a_retriever_is_asked_for_all_inputs_and_others_are_the_same_for_all():
    class Itself:
        def demonstrations_for(self, inputs):
            return [(Demonstration(input=each, label="x"),) for each in inputs]

    assert [each[0].input for each in demonstrations_of(["a", "b"], Itself())] == ["a", "b"]
    assert demonstrations_of(["a", "b"], [SHORT]) == [(SHORT,), (SHORT,)]
    assert demonstrations_of(["a", "b"], None) == [(), ()]


def test_a_tokenizer_that_knows_no_length_gives_no_limit():
    assert context_length(SimpleNamespace(model_max_length=512)) == 512
    assert context_length(SimpleNamespace(model_max_length=int(1e30))) is None
