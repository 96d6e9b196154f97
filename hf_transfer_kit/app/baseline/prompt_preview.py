"""The prompt as the model will read it, before it is asked."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.plan import ModelSpec

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.prompting.classifier import Demonstration
    from hf_transfer_kit.prompting.prompts import Prompt

COMPARING = ("embedding", "image_text")  # kinds that compare embeddings: a template of a label, not of a question
MOST_LABELS = 30  # that a preview lists
IN_A_LINE = {  # kind -> what such a model is, and how it is asked
    "causal": "A language model: it says how likely each label's words follow the prompt.",
    "masked": "A model that fills gaps: it says how well each label's words fit the gap in the prompt.",
    "encoder_decoder": "A model that reads a text and writes one: it says how likely it writes each label's words.",
    "embedding": "An embedding model: it writes nothing, but compares the meaning of each input with the labels, or "
    "with its nearest examples.",
    "image_text": "A model of images and words: it compares each image with the label names, or with its nearest "
    "examples.",
    "remote": "A chat model on a server: it is asked for the label, one question for each input.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a model is asked: its kind, and the text of its usual template (of `COMPARING` a line a label template)."""

    kind: str
    template: str


@functools.lru_cache(maxsize=16)
def usual_asking(model: ModelSpec, task: str) -> Asking:
    """How `model` is asked where nobody says otherwise; raises ModelError where it cannot be found."""
    from hf_transfer_kit.prompting.kinds import kind_of
    from hf_transfer_kit.prompting.make import prompts_for

    kind = kind_of(model, task)
    prompt = prompts_for(kind, model, task)[0]
    return Asking(kind=kind, template="\n".join(prompt.label_templates) if kind in COMPARING else prompt.template)


def prompt_of(asking: Asking, template: str) -> "Prompt | None":
    """The prompt that a person wrote; None where it is the usual one."""
    from hf_transfer_kit.prompting.built_in import built_in
    from hf_transfer_kit.prompting.prompts import Prompt

    if template.strip() in ("", asking.template.strip()):
        return None
    if asking.kind in COMPARING:
        lines = tuple(line.strip() for line in template.splitlines() if line.strip())
        return Prompt(name="yours", label_templates=lines)
    return Prompt(name="yours", template=template, system=built_in(asking.kind, "text")[0].system)


def preview(data: "LabelledData", asking: Asking, template: str, shots: int, row: int = 0) -> str:
    """What the model reads for test row `row`, with the very examples that a run with seed 0 shows.

    Raises:
        PromptError: the template is broken, or does not fit the labels.
    """
    from hf_transfer_kit.prompting.built_in import built_in
    from hf_transfer_kit.tasks import get_task

    noun = get_task(data.task).input_noun
    prompt = (prompt_of(asking, template) or built_in(asking.kind, noun)[0]).check(data.label_names)
    asked = data.test[row % len(data.test)]["input"]
    asked = asked if isinstance(asked, str) else f"[the {noun}]"
    if asking.kind in COMPARING:
        return _compared(prompt, data.label_names, asked, shots, noun)
    shown = _examples(data, shots)
    mask = "[MASK]" if asking.kind == "masked" else ""
    text = prompt.render(asked, data.label_names, shown, input_noun=noun, mask=mask)
    return f"{prompt.system}\n\n{text}" if prompt.system else text


@functools.lru_cache(maxsize=4)
def _examples(data: "LabelledData", shots: int) -> "tuple[Demonstration, ...]":
    """Those of a run with seed 0; drawn once, since all training rows are read for that."""
    from hf_transfer_kit.prompting.demonstrations import balanced

    train = data.train
    return tuple(balanced(train["input"][:], train["label"][:], data.label_names, min(shots, len(train)), seed=0))


def _compared(prompt: "Prompt", labels: Sequence[str], asked: str, shots: int, noun: str) -> str:
    """What embeddings are compared."""
    lines = [f"This model writes nothing: it compares meanings. This {noun}:", "", f"  {asked}", ""]
    lines += [
        f"with one text per label{f', and with the {shots} training examples nearest to it' if shots else ''}:",
        "",
    ]
    for label in labels[:MOST_LABELS]:
        lines.append(f"  {label}: " + " | ".join(prompt.label_texts(label)))
    if len(labels) > MOST_LABELS:
        lines.append(f"  and {len(labels) - MOST_LABELS} more")
    if not any(prompt.label_texts(label) for label in labels[:1]):
        raise PromptError("the template has no line; write one with {{ label }} in it.")
    return "\n".join(lines)
