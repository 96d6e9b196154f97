"""Prompts: Jinja templates in a file, rendered with labels, demonstrations and one input as data.

    # support.yaml
    template: |
      Which of these is it about: {{ labels | join(", ") }}?
      {% for each in demonstrations %}
      Text: {{ each.input }}
      Topic: {{ each.label }}
      {% endfor %}
      Text: {{ input }}
      Topic:
    answers: {card_lost: lost card}                   # the words a model sees for a label
    descriptions: {card_lost: a card is missing}      # what a label means, as `descriptions[label]`
    label_templates: ["a message about {{ label }}"]  # of one label, for models that compare embeddings

A file that does not end in .yaml or .yml is the template alone. Templates run in Jinja's sandbox; what is inserted is
never a template itself.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hf_transfer_kit.errors import PlanError, PromptError
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.values import from_mapping, to_mapping

if TYPE_CHECKING:
    from jinja2 import Template

MASK = "{{ mask }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How a model is asked.

    Fields:
        name: for people; of a file, its name.
        template: of the whole prompt, Jinja; sees `labels` (words, in order), `descriptions` (by those words),
            `demonstrations` (each with `input` and `label`), `input`, `input_noun` ("text"), and `mask` for masked
            models. Ends where the label's words follow.
        label_templates: of one label, Jinja, sees `label` and `description`; several are averaged.
        answers: words for a label by its name; others get their name with underscores as spaces.
        descriptions: what a label means, by its name.
        system: system message for chat models.

    Example:
        >>> prompt = Prompt(name="mine", template="{{ labels | join(' or ') }}? {{ input }}:")
        >>> prompt.render("{{ 1 + 1 }}", ["good_day", "bad"])
        'good day or bad? {{ 1 + 1 }}:'
    """

    name: str
    template: str = ""
    label_templates: tuple[str, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    system: str = ""

    def render(
        self,
        input: Any,
        labels: Sequence[str],
        demonstrations: Sequence[Demonstration] = (),
        *,
        input_noun: str = "text",
        mask: str = "",
    ) -> str:
        """The whole prompt for one input, without white space at its end.

        Raises:
            PromptError: the template is broken, or asks for something that is not there.
        """
        shown = [{"input": each.input, "label": self.words(each.label)} for each in demonstrations]
        return _render(
            self.template, self.name,
            labels=[self.words(label) for label in labels],
            descriptions={self.words(label): self.descriptions.get(label, "") for label in labels},
            demonstrations=shown, input=input, input_noun=input_noun, mask=mask,
        ).rstrip()  # fmt: skip

    def words(self, label: str) -> str:
        """What the model reads for a label: from `answers`, else its name with underscores as spaces."""
        return self.answers.get(label) or " ".join(label.replace("_", " ").split()) or label

    def label_texts(self, label: str) -> list[str]:
        """One text per label template."""
        values = {"label": self.words(label), "description": self.descriptions.get(label, "")}
        return [_render(each, self.name, **values).strip() for each in self.label_templates]

    def check(self, labels: Sequence[str]) -> "Prompt":
        """Itself, where it fits `labels`.

        Raises:
            PromptError: it names a label that does not exist, or gives a label no words, or two the same.
        """
        for what in ("answers", "descriptions"):
            for label in getattr(self, what):
                if label not in labels:
                    quotes = " (yes, no, on and off need quotes in YAML)" if label in ("True", "False") else ""
                    raise PromptError(
                        f"prompt '{self.name}': {what} names '{label}', which is no label of the data; take it out"
                        f"{quotes}."
                    )
        words: dict[str, str] = {}
        for label in labels:
            if not self.words(label).strip():
                raise PromptError(f"prompt '{self.name}': label '{label}' has no words; give it some under answers.")
            other = words.setdefault(self.words(label), label)
            if other != label:
                raise PromptError(
                    f"prompt '{self.name}': labels '{other}' and '{label}' have the same words "
                    f"'{self.words(label)}'; give one of them others under answers."
                )
        return self

    def to_yaml(self) -> str:
        """The prompt as the text of a prompt file."""
        filled = {name: value for name, value in to_mapping(self).items() if value}
        return yaml.dump(filled, Dumper=_BlockDumper, sort_keys=False, allow_unicode=True, width=100)


def load_prompt(path: Path | str) -> Prompt:
    """The prompt in a file: YAML with the fields of `Prompt`, or the template alone.

    Raises:
        PromptError: it cannot be read, or has unknown settings.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        mapping = yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else {"template": text}
        settings = {"name": path.stem, **mapping} if isinstance(mapping, Mapping) else mapping
        prompt = from_mapping(Prompt, settings, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"prompt file '{path}' cannot be read: {error}.") from error
    except (yaml.YAMLError, PlanError) as error:
        raise PromptError(f"prompt file '{path}' is not right: {' '.join(str(error).split())}") from error
    for template in (prompt.template, *prompt.label_templates):
        _compiled(template, prompt.name)
    return prompt


def with_answers(prompt: Prompt, answers: Mapping[str, str]) -> Prompt:
    """`prompt` with other words for some labels."""
    return replace(prompt, answers=dict(prompt.answers) | dict(answers))


@functools.lru_cache(maxsize=256)
def _compiled(template: str, name: str) -> "Template":
    from jinja2 import StrictUndefined
    from jinja2.exceptions import TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    del environment.globals["lipsum"], environment.filters["random"]  # the same input gives the same prompt
    try:
        return environment.from_string(template)
    except TemplateSyntaxError as error:
        message = f"prompt '{name}', line {error.lineno}: {error.message}; see jinja.palletsprojects.com."
        raise PromptError(message) from error


def _render(template: str, name: str, **values: Any) -> str:
    from jinja2.exceptions import TemplateError

    try:
        return _compiled(template, name).render(**values)
    except (
        TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError
    ) as error:  # fmt: skip
        message = re.sub(r"\s+", " ", str(error)) or "it takes too much memory"
        raise PromptError(f"prompt '{name}' cannot be filled in: {message}; it sees {', '.join(values)}.") from error


class _BlockDumper(yaml.SafeDumper):
    """Shows texts of several lines as such; those with line breaks that YAML would change are escaped."""


def _show_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if re.search("[\r\x85\u2028\u2029]", text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_BlockDumper.add_representer(str, _show_text)
