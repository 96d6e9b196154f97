"""What a prompted run keeps to answer again: prompt.yaml, prompt.txt and answering.json."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.approaches.prompt_choice import Candidate
from hf_transfer_kit.data.labelled import load_data, subset_rows
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.plan import FewShot
from hf_transfer_kit.prompting.classifier import Demonstration, Demonstrations
from hf_transfer_kit.prompting.demonstrations import NearestTexts
from hf_transfer_kit.prompting.prompts import load_prompt
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json, write_text_atomically

SETTINGS_FILE, PROMPT_FILE, SHOWN_FILE = "answering.json", "prompt.yaml", "prompt.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A text with its label's name."""

    input: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What a prompted run answers with, beside its prompt.

    Fields:
        kind: of the classifier.
        examples: the demonstrations, or all of those that are chosen from; None where there are none, or where they
            are images, which are read again from the data.
        choose_nearest: whether a few of the examples are chosen for each input.
        offsets: what is taken from the log-scores of each label; None where nothing is.
    """

    kind: str
    examples: tuple[Example, ...] | None = None
    choose_nearest: bool = False
    offsets: tuple[float, ...] | None = None


def save_answering(job: Job, kind: str, chosen: Candidate, offsets: np.ndarray | None) -> None:
    """Writes the three files into the run's model folder."""
    folder, shown = job.folder / "model", chosen.demonstrations
    texts = job.task.name == "text-classification"
    examples: list[Example] | None = None
    if texts and isinstance(shown, Sequence):
        examples = [Example(input=each.input, label=each.label) for each in shown]
    elif texts and shown is not None:
        names = job.data.label_names
        pairs = zip(job.inputs("train"), job.labels("train"), strict=True)
        examples = [Example(input=each, label=names[label]) for each, label in pairs]
    answering = Answering(
        kind=kind, examples=None if examples is None else tuple(examples),
        choose_nearest=shown is not None and not isinstance(shown, Sequence),
        offsets=None if offsets is None else tuple(offsets.tolist()),
    )  # fmt: skip
    write_json(folder / SETTINGS_FILE, to_mapping(answering))
    write_text_atomically(folder / PROMPT_FILE, chosen.prompt.to_yaml())
    write_text_atomically(folder / SHOWN_FILE, _shown(job, chosen) + "\n")


def load_answering(record: RunRecord, folder: Path) -> tuple[str, Candidate, np.ndarray | None]:
    """(kind of classifier, prompt and demonstrations, offsets) of a finished run.

    Raises:
        FormatError: the examples were images, and the data is no longer what it was.
    """
    answering = from_mapping(Answering, read_json(folder / SETTINGS_FILE), SETTINGS_FILE)
    prompt = load_prompt(folder / PROMPT_FILE)
    offsets = None if answering.offsets is None else np.asarray(answering.offsets)
    shown: Demonstrations | None = None
    if answering.examples is not None:
        shown = [Demonstration(input=each.input, label=each.label) for each in answering.examples]
    elif record.data.labels != 0:
        shown = _from_data(record)
    if answering.choose_nearest and isinstance(record.plan.approach, FewShot) and answering.examples is not None:
        names = list(record.label_names)
        texts = [each.input for each in answering.examples]
        numbers = [names.index(each.label) for each in answering.examples]
        shown = NearestTexts(texts, numbers, names, min(record.plan.approach.shots, len(texts)))
    return answering.kind, Candidate(prompt=prompt, demonstrations=shown), offsets


def _from_data(record: RunRecord) -> list[Demonstration]:
    """The training rows of a run, read again."""
    data = load_data(record.plan.data)
    if dict(data.hashes) != dict(record.data.hashes):
        raise FormatError(
            f"'{record.plan.data.path}' has changed since this run, which answers with its rows; bring the old data "
            "back, or run again."
        )
    rows = data.train.select(subset_rows(data, record.plan.data.train_size, record.plan.seed)["train"])
    return [
        Demonstration(input=each, label=data.label_names[label])
        for each, label in zip(rows["input"], rows["label"], strict=True)
    ]


def _shown(job: Job, chosen: Candidate) -> str:
    """What a model reads for the first test input; of embeddings, the texts of each label."""
    names, prompt, shown = job.data.label_names, chosen.prompt, chosen.demonstrations
    if not prompt.template:
        return "\n".join(text for name in names for text in prompt.label_texts(name))
    first = job.inputs("test")[0]
    examples = shown if isinstance(shown, Sequence) else shown.demonstrations_for([first])[0] if shown else ()
    return prompt.render(first, names, examples, input_noun=job.task.input_noun, mask="[MASK]")
