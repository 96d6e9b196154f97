from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.prompts import Prompt, load_prompt, with_answers

FEW_SHOT = """\
{{ labels | join("|") }}
{% for each in demonstrations %}
<{{ each.input }}> is <{{ each.label }}>
{% endfor %}
<{{ input }}> is <"""
AWKWARD = [
    "{{ x }}",
    "{{ labels }}",
    "{% for %}",
    "{% endfor %}",
    "{# #}",
    "{#",
    "}}",
    "card payment",
    "\n",
    "\\",
    "'",
    '"',
]
TEXTS = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(AWKWARD)), max_size=5).map("".join)


@settings(max_examples=150)
@given(asked=TEXTS, shown=TEXTS, label=TEXTS, words=TEXTS.filter(bool))
def test_whatever_an_input_or_a_label_says_is_inserted_as_it_is(asked, shown, label, words):
    prompt = Prompt(name="mine", template=FEW_SHOT, answers={"b": words})

    text = prompt.render(asked, [label, "b"], [Demonstration(input=shown, label="b")])

    assert text == f"{prompt.words(label)}|{words}\n<{shown}> is <{words}>\n<{asked}> is <"


@settings(max_examples=150)
@given(words=TEXTS.filter(bool), description=TEXTS)
def test_whatever_a_label_says_is_inserted_into_the_templates_of_labels_as_it_is(words, description):
    prompt = Prompt(
        name="mine", label_templates=("<{{ label }}>", "<{{ description }}>"), answers={"b": words},
        descriptions={"b": description},
    )  # fmt: skip

    assert prompt.label_texts("b") == [f"<{words}>", f"<{description}>"]


LINES = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\n\r\t \x85\u2028'\"|>{}%#-:é")), max_size=12)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=LINES.filter(bool), text=LINES, words=st.dictionaries(LINES, LINES, max_size=2))
def test_a_prompt_written_as_yaml_comes_back_the_same(tmp_path, name, text, words):
    prompt = Prompt(name=name, label_templates=("{{ label }}", "b"), answers=words, descriptions=words, system=text)
    path = tmp_path / "other name.yaml"

    path.write_text(prompt.to_yaml(), encoding="utf-8")

    assert load_prompt(path) == prompt


@pytest.mark.parametrize(
    "template",
    [FEW_SHOT, "{{ input }}:\n", "\n  {{ input }}", 'Say "{{ input }}": ', "{{ input }}: läuft?\n\n", "no"],
)
def test_a_template_written_as_yaml_comes_back_the_same(tmp_path, template):
    prompt = Prompt(name="yes", template=template, answers={"no": "off", "1": "2"})
    path = tmp_path / "prompt.yml"

    path.write_text(prompt.to_yaml(), encoding="utf-8")

    assert load_prompt(path) == prompt


def test_a_template_of_several_lines_is_written_as_such():
    text = Prompt(name="mine", template="Text: {{ input }}\nLabel:\n").to_yaml()

    assert text == "name: mine\ntemplate: |\n  Text: {{ input }}\n  Label:\n"


def test_a_file_that_is_no_yaml_is_the_template(tmp_path):
    path = tmp_path / "support.txt"
    path.write_text("answers: {{ input }}", encoding="utf-8")

    assert load_prompt(path) == Prompt(name="support", template="answers: {{ input }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(labels) }}",
        "{{ labels.append('x') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ labels | random }}",
        "{{ lipsum() }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox_run_for_ever_or_roll_dice(template):
    with pytest.raises(PromptError, match="prompt 'mine'"):
        Prompt(name="mine", template=template).render("text", ["a", "b"])


def test_a_template_that_asks_for_what_is_not_there_is_told_what_is():
    with pytest.raises(PromptError, match="'txt' is undefined; it sees labels, descriptions, demonstrations, input"):
        Prompt(name="mine", template="{{ txt }}").render("text", ["a"])


def test_a_broken_template_is_found_when_its_file_is_read(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("fine\n{% for x in %}", encoding="utf-8")

    with pytest.raises(PromptError, match="prompt 'mine', line 2"):
        load_prompt(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a mapping"),
        ("- a", "must be a mapping"),
        ("templat: a", "did you mean 'template'"),
        ("answers: {a: no}", "must be text"),
        ("a: [", "is not right"),
    ],
)
def test_a_file_that_is_not_right_says_what_is_not(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(PromptError, match=message):
        load_prompt(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PromptError, match=r"nothing\.yaml"):
        load_prompt(tmp_path / "nothing.yaml")


def test_labels_without_words_with_the_same_words_or_unknown_are_refused(tmp_path):
    prompt = Prompt(name="mine")

    assert prompt.check(["a_b", "c"]) is prompt
    with pytest.raises(PromptError, match="'a_b' and 'a b' have the same words"):
        prompt.check(["a_b", "a b"])
    with pytest.raises(PromptError, match="has no words"):
        prompt.check(["a", " "])
    with pytest.raises(PromptError, match="answers names 'd', which is no label"):
        with_answers(prompt, {"d": "dee"}).check(["a", "b"])
    (tmp_path / "mine.yaml").write_text("answers: {no: never}", encoding="utf-8")
    with pytest.raises(PromptError, match="need quotes in YAML"):
        load_prompt(tmp_path / "mine.yaml").check(["yes", "no"])


def test_a_label_s_words_are_its_answer_or_its_name_without_underscores():
    prompt = replace(Prompt(name="mine"), answers={"card_lost": "lost card", "b_c": ""})

    assert [prompt.words(label) for label in ("card_lost", "b_c", "_")] == ["lost card", "b c", "_"]
