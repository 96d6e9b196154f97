"""The prompts that come with the kit: a few per kind of model, the first of which is the default.

Each lists what a model of that kind needs to know, shows demonstrations in the form of the question, and ends where
the label's words follow. The others are there for the search.
"""

from hf_transfer_kit.errors import PromptError, did_you_mean
from hf_transfer_kit.prompting.prompts import Prompt

_EXAMPLES = """\
{% for each in demonstrations %}
{{ input_noun | capitalize }}: {{ each.input }}
Label: {{ each.label }}

{% endfor %}
{{ input_noun | capitalize }}: {{ input }}
Label:
"""
_QUESTIONS = """\
{% for each in demonstrations %}
{{ each.input }}
Question: Which label fits this {{ input_noun }} best?
Answer: {{ each.label }}

{% endfor %}
{{ input }}
Question: Which label fits this {{ input_noun }} best?
Answer:
"""
_LABELS = "{{ labels | join(', ') }}"
_MEANINGS = """\
{% for label in labels if descriptions[label] %}
- {{ label }}: {{ descriptions[label] }}
{% endfor %}
"""
_OPTIONS = """\
{% for label in labels %}
- {{ label }}{% if descriptions[label] %}: {{ descriptions[label] }}{% endif %}

{% endfor %}
"""

_CAUSAL = {
    "list": f"Each {{{{ input_noun }}}} has one of these labels: {_LABELS}.\n{_MEANINGS}\n{_EXAMPLES}",
    "bare": _EXAMPLES,
    "question": f"Labels: {_LABELS}.\n{_MEANINGS}\n{_QUESTIONS}",
}
_ENCODER_DECODER = {
    "options": "Which label fits the {{ input_noun }} best?\n\nOPTIONS:\n" + _OPTIONS + "\n" + _EXAMPLES,
    "options_last": (
        "{% for each in demonstrations %}\n{{ each.input }}\nLabel: {{ each.label }}\n\n{% endfor %}\n"
        "{{ input }}\n\nWhich label fits this {{ input_noun }} best?\nOPTIONS:\n" + _OPTIONS + "Label:\n"
    ),
    "bare": _EXAMPLES,
}


def _cloze(filled: str) -> str:
    """A sentence with {label} in it, after each demonstration and, with the mask, after the input."""
    shown, asked = filled.replace("{label}", "{{ each.label }}"), filled.replace("{label}", "{{ mask }}")
    return "{% for each in demonstrations %}\n{{ each.input }} " + shown + "\n{% endfor %}\n{{ input }} " + asked


_MASKED = {  # after Schick & Schuetze 2021 (PET, arXiv:2001.07676) and Gao et al. 2021 (LM-BFF, arXiv:2012.15723)
    "category": _cloze("Category: {label}."),
    "it_was": _cloze("It was {label}."),
    "about": _cloze("This is about {label}."),
    "in_summary": _cloze("In summary: {label}."),
}
_REMOTE_SYSTEM = "You give each input one label of a list. Answer with the label alone, exactly as it is in the list."
_REMOTE = {
    "list": "Which label fits the {{ input_noun }} best?\n\nLabels:\n" + _OPTIONS + "\n" + _EXAMPLES,
    "careful": (
        "Labels:\n" + _OPTIONS + "\nRead the {{ input_noun }} and decide what it is mainly about. Where two labels "
        "fit, take the more specific one.\n\n" + _EXAMPLES
    ),
}
_DESCRIBED = "{% if description %}, {{ description }}{% endif %}"
_IMAGE_TEXT = {
    # Those that did best together on ImageNet: github.com/openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb
    "clip_seven": (
        "itap of a {{ label }}.",
        "a bad photo of the {{ label }}.",
        "a origami {{ label }}.",
        "a photo of the large {{ label }}.",
        "a {{ label }} in a video game.",
        "art of the {{ label }}.",
        "a photo of the small {{ label }}.",
    ),
    "photo": ("a photo of a {{ label }}" + _DESCRIBED + ".",),
    "picture": ("a photo of a {{ label }}.", "a picture of a {{ label }}.", "an image of {{ label }}."),
    "name": ("{{ label }}" + _DESCRIBED,),
}
_EMBEDDING = {
    "name": ("{{ label }}{% if description %}: {{ description }}{% endif %}",),
    "name_and_meaning": ("{{ label }}", "{{ description or label }}"),
    "about": ("This NOUN is about {{ label }}.",),
}


def built_in(kind: str, input_noun: str) -> tuple[Prompt, ...]:
    """The prompts for a kind of model, the default first.

    Args:
        kind: "causal", "encoder_decoder", "masked", "remote", "image_text" or "embedding".
        input_noun: what an input is called; a template gets it when it is rendered, templates of a label get it here.

    Raises:
        PromptError: there is no such kind.

    Example:
        >>> print(built_in("causal", "text")[0].render("it rains", ["weather", "cooking"]))
        Each text has one of these labels: weather, cooking.
        <BLANKLINE>
        Text: it rains
        Label:
    """
    templates = {"causal": _CAUSAL, "encoder_decoder": _ENCODER_DECODER, "masked": _MASKED, "remote": _REMOTE}
    label_templates = {"image_text": _IMAGE_TEXT, "embedding": _EMBEDDING}
    if kind in label_templates:
        return tuple(
            Prompt(name=name, label_templates=tuple(text.replace("NOUN", input_noun) for text in each))
            for name, each in label_templates[kind].items()
        )
    if kind not in templates:
        raise PromptError(
            f"there are no built-in prompts of kind '{kind}'; {did_you_mean(kind, [*templates, *label_templates])}"
        )
    system = _REMOTE_SYSTEM if kind == "remote" else ""
    return tuple(Prompt(name=name, template=each, system=system) for name, each in templates[kind].items())
