from dataclasses import replace

import pytest

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.built_in import built_in
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.language_models.frames import plain_frame
from hf_transfer_kit.prompting.prompts import load_prompt

LABELS = ["card_lost", "travel"]
SHOWN = [Demonstration(input="where is my card", label="card_lost"), Demonstration(input="to Rome", label="travel")]
OF_TEXTS = ["causal", "encoder_decoder", "masked", "remote"]
OF_LABELS = ["image_text", "embedding"]
PROMPTS = [(kind, prompt) for kind in OF_TEXTS for prompt in built_in(kind, "review")]


@pytest.mark.parametrize(("kind", "prompt"), PROMPTS, ids=lambda each: getattr(each, "name", each))
def test_demonstrations_stand_as_the_question_does_with_the_label_where_it_is_asked_for(kind, prompt):
    mask = "[MASK]" if kind == "masked" else ""
    zero_shot = prompt.render("off to Paris", LABELS, input_noun="review", mask=mask)
    few_shot = prompt.render("off to Paris", LABELS, SHOWN, input_noun="review", mask=mask)

    begin = zero_shot.rindex("off to Paris")
    asked = zero_shot[begin + len("off to Paris") :]
    answered = asked.replace(mask, "travel") if mask else f"{asked} travel"
    if prompt.name != "options_last":  # which lists the labels behind the input, once
        assert f"to Rome{answered}\n" in few_shot
    assert few_shot.endswith(f"off to Paris{asked}")
    assert few_shot.index("where is my card") < few_shot.index("to Rome") < few_shot.index("off to Paris")
    assert "\n\n\n" not in few_shot and "{" not in few_shot
    assert not zero_shot[:begin].endswith("\n\n\n")


@pytest.mark.parametrize("kind", ["causal", "encoder_decoder", "remote"])
def test_the_default_lists_every_label_and_what_it_means(kind):
    prompt = replace(built_in(kind, "text")[0], descriptions={"card_lost": "a card is missing"})

    text = prompt.render("hello", LABELS)

    assert "travel" in text
    assert "card lost: a card is missing" in text
    assert "travel:" not in text


@pytest.mark.parametrize("prompt", built_in("causal", "text"), ids=lambda each: each.name)
def test_a_label_follows_a_causal_prompt_as_in_its_demonstrations(prompt):
    frame = plain_frame(prompt, LABELS, "text")

    assert (frame.separator, frame.end) == (" ", "\n\n")


def test_masked_prompts_hold_one_mask():
    for prompt in built_in("masked", "text"):
        assert prompt.render("hello", LABELS, SHOWN, mask="<mask>").count("<mask>") == 1


@pytest.mark.parametrize("kind", OF_LABELS)
def test_prompts_of_labels_name_the_label(kind):
    for prompt in built_in(kind, "review"):
        texts = prompt.label_texts("card_lost")
        assert texts and all("card lost" in text for text in texts)


def test_descriptions_are_embedded_with_the_label():
    prompt = replace(built_in("embedding", "text")[0], descriptions={"travel": "going away"})

    assert prompt.label_texts("travel") == ["travel: going away"]
    assert prompt.label_texts("card_lost") == ["card lost"]


@pytest.mark.parametrize("kind", OF_TEXTS + OF_LABELS)
def test_every_kind_has_several_prompts_of_different_names_that_can_be_exported(kind, tmp_path):
    prompts = built_in(kind, "text")

    assert len({prompt.name for prompt in prompts}) == len(prompts) >= 2
    for prompt in prompts:
        (tmp_path / "prompt.yaml").write_text(prompt.to_yaml(), encoding="utf-8")
        assert load_prompt(tmp_path / "prompt.yaml") == prompt


def test_an_unknown_kind_is_refused():
    with pytest.raises(PromptError, match="did you mean 'causal'"):
        built_in("casual", "text")
