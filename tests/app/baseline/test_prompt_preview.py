import csv

import pytest

from hf_transfer_kit.app.baseline.form import Fields, fields_again, kept_fields, model_of, most_shots, prompt_shown
from hf_transfer_kit.app.baseline.prompt_preview import IN_A_LINE, Asking, preview, prompt_of
from hf_transfer_kit.app.data.chosen import demo, uploaded
from hf_transfer_kit.app.data.look import loaded
from hf_transfer_kit.app.data.uploads import Upload
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import ModelError, PlanError, PromptError, RemoteError
from hf_transfer_kit.prompting.built_in import built_in

CAUSAL = Asking(kind="causal", template=built_in("causal", "text")[0].template)
EMBEDDING = Asking(kind="embedding", template="{{ label }}")


@pytest.fixture(scope="module")
def data():
    return loaded(demo())


def test_the_preview_is_the_prompt_with_examples_of_the_training_part(data):
    text = preview(data, CAUSAL, CAUSAL.template, shots=3)
    training = set(data.train["input"][:])
    shown = [line.removeprefix("Text: ") for line in text.splitlines() if line.startswith("Text: ")]

    assert shown[-1] == data.test[0]["input"]
    assert len(shown) == 4
    assert set(shown[:-1]) <= training


def test_another_template_gives_another_prompt(data):
    assert preview(data, CAUSAL, "Say: {{ input }}", 0) == f"Say: {data.test[0]['input']}"


def test_a_text_with_template_signs_stays_as_it_is(tmp_path):
    file = tmp_path / "odd.csv"
    with open(file, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("text", "label"), *(("{{ 7 * 7 }}" + str(i), i % 2) for i in range(60))])
    data = uploaded(Upload(id="0" * 32, path=file))

    assert "{{ 7 * 7 }}" in preview(loaded(data), CAUSAL, "{{ input }}", 0)


def test_embeddings_show_what_is_compared(data):
    text = preview(data, EMBEDDING, "about {{ label }}", 0)

    assert all(f"about {label.replace('_', ' ')}" in text for label in data.label_names)


@pytest.mark.parametrize("template", ["{{ input", "{{ nothing }}", "{% include '/etc/passwd' %}"])
def test_a_broken_template_is_said(data, template):
    with pytest.raises(PromptError):
        preview(data, CAUSAL, template, 0)


def test_the_usual_template_is_no_prompt_of_ones_own():
    assert prompt_of(CAUSAL, CAUSAL.template + "\n") is None
    assert prompt_of(CAUSAL, "") is None
    assert prompt_of(EMBEDDING, "a {{ label }}\n\nthe {{ label }}").label_templates == (
        "a {{ label }}",
        "the {{ label }}",
    )


def test_numbers_of_examples():
    assert most_shots("0, 4, 16") == 16
    with pytest.raises(PlanError, match="'x'"):
        most_shots("0, x")


@pytest.mark.parametrize("name", ["", "/etc", "../model", "a/b/c"])
def test_only_models_of_the_hub_are_taken(name):
    with pytest.raises(ModelError):
        model_of(Fields(model=name), Settings())


def test_no_server_can_be_named_where_strangers_are():
    fields = Fields(model="m", url="http://127.0.0.1:8000/v1")

    assert model_of(fields, Settings()).remote.url == fields.url
    with pytest.raises(RemoteError, match="app of your own"):
        model_of(fields, Settings(shared=True))


def test_money_needs_a_limit():
    with pytest.raises(PlanError, match="most dollars"):
        model_of(Fields(model="m", url="http://x.org/v1", price="1,2"), Settings())


def test_without_data_there_is_a_sentence_in_the_place_of_the_prompt():
    assert "once data is read" in prompt_shown(None, Fields(model="m"), Settings())


def test_what_a_browser_kept_of_the_fields_is_checked():
    fields = Fields(model="org/m", shots="0, 8", template="{{ input }}", calibration="none", url="http://x")
    kept = kept_fields(fields, "the usual one")

    again = fields_again(kept)
    assert (again.model, again.shots, again.template, again.calibration) == ("org/m", "0, 8", "{{ input }}", "none")
    assert "http://x" not in str(kept)
    assert fields_again(kept_fields(fields, " {{ input }}\n")).template == ""
    for wrong in (None, 7, {"model": 7}, {"more": 1}, kept | {"calibration": "odd"}, kept | {"url": "http://x"}):
        assert fields_again(wrong) == fields_again({})


def test_every_kind_of_model_has_its_line():
    from hf_transfer_kit.prompting.make import KINDS, PROTOTYPE

    assert set(IN_A_LINE) == set(KINDS) - {PROTOTYPE}
