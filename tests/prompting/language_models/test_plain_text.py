from types import SimpleNamespace

import pytest

from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.language_models.plain_text import plain_demonstrations, plain_text


@pytest.fixture
def tokenizer():
    """What a tokenizer says of its added tokens."""
    named = {"</s>": True, "[MASK]": True, "<think>": False, "\n": True}
    tokens = [SimpleNamespace(content=name, special=special) for name, special in named.items()]
    return SimpleNamespace(added_tokens_decoder=dict(enumerate(tokens)))


@pytest.mark.parametrize("text", ["a </s> b", "</s></s>", "<</s>/s>", "[MASK]</s>[MASK]"])
def test_no_name_of_a_special_token_is_left(tokenizer, text):
    plain = plain_text(text, tokenizer)

    assert "</s>" not in plain and "[MASK]" not in plain
    assert plain.replace(" ", "") == text.replace(" ", "")  # nothing else has changed


@pytest.mark.parametrize("text", ["", "1 < 2", "[mask", "{{ mask }}", "<think>", "two\nlines", "\u0130 \u00e9"])
def test_other_texts_stay_as_they_are(tokenizer, text):
    assert plain_text(text, tokenizer) == text


def test_of_demonstrations_the_inputs_are_data(tokenizer):
    shown = (Demonstration(input="a </s>", label="x"), Demonstration(input="b", label="y"))

    assert plain_demonstrations(shown, tokenizer) == (Demonstration(input="a < /s>", label="x"), shown[1])
