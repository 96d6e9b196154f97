"""The model card of a finished run, in the Hub's format: what it is, how to use it, what was measured, its limits.

It names no place of this machine. What comes from data sets (labels, prompts) is shown as text, never as mark-up.
Imports no torch.
"""

import yaml
from huggingface_hub import ModelCard

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.per_class import per_class
from hf_transfer_kit.comparison.result import ArmResult, Comparison
from hf_transfer_kit.plan import Features, FewShot, Lora, PromptTuning, Prototype, Scratch, Shallow
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.card_metadata import KIT, card_metadata
from hf_transfer_kit.reporting.card_usage import usage
from hf_transfer_kit.reporting.columns import NOTHING
from hf_transfer_kit.reporting.markdown import escaped, indented, markdown_table
from hf_transfer_kit.reporting.places import hub_model, last_part, public_plan, public_record, shown_name
from hf_transfer_kit.reporting.provenance import how_measured
from hf_transfer_kit.reporting.quantities import accuracy, count, flops, mebibytes, seconds, whole

REPO = "ORG/NAME"  # stands for the repository, until there is one
MOST_CLASSES = 200
MEASURED = ("Old data", "Split", "Seeds", "Intervals", "Calibration", "Choices", "Model", "Hashes", "Old hashes")
WHAT = {
    "majority": "A control: it always answers the most frequent class",
    "shallow": "A control without a pre-trained model: logistic regression on plain features",
    "features": "A logistic head on frozen features",
    "top_layers": "A classifier whose last blocks and head were fine-tuned",
    "full": "A classifier of which every weight was fine-tuned",
    "gradual": "A classifier that was unfrozen block by block while it was fine-tuned",
    "lora": "Low-rank adapters and a head",
    "scratch": "A classifier trained from a random start, for comparison",
    "zero_shot": "A prompt without examples; no weight was trained",
    "few_shot": "A prompt with examples; no weight was trained",
    "prototype": "Class means in the space of an embedding model; no weight was trained",
    "prompt_tuning": "Trained prompt vectors in front of a frozen model",
}


def model_card(record: RunRecord, *, weights: str, repo: str | None = None, license: str | None = None) -> str:
    """The card of a run, README.md in full.

    Args:
        weights: hash of what it saved, as `saved_model.weights_hash` gives it; "" where nothing was saved.
        repo: ORG/NAME on the Hub; None: not there yet, and to be filled in.
        license: of the model it started from, as the Hub writes it ("apache-2.0"); None: not known.

    Example:
        >>> card = model_card(RunRecord.load("run/record.json"), weights="")  # doctest: +SKIP
    """
    comparison = compare([public_record(record)])  # its sentences name the model and the data
    arm, title = comparison.arms[0], _title(record)
    metadata = card_metadata(record, arm, name=last_part(repo) if repo else title, license=license)
    lines = [
        f"# {escaped(title)}",
        "",
        *_what(record, weights),
        "## How to use it",
        "",
        *usage(record, repo or REPO),
        "## Measured",
        "",
        *_measured(record, comparison),
        *_forgotten(record, arm),
        "## Limits",
        "",
        *(f"- {sentence}" for sentence in _limits(record, comparison)),
        "",
        "## How it was made",
        "",
        *_made(record, comparison),
    ]
    return str(ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n" + "\n".join(lines).rstrip() + "\n"))


def _title(record: RunRecord) -> str:
    """Method, model and data in one line."""
    model = f" on {last_part(record.plan.model.name)}" if record.plan.model else ""
    return f"{record.plan.method}{model} for {last_part(record.plan.data.path)}"


def _what(record: RunRecord, weights: str) -> list[str]:
    model = record.plan.model
    start = f" It stands on `{shown_name(model.name)}`." if model else ""
    task = record.task.replace("-", " ")
    names = ", ".join(escaped(name) for name in record.label_names[:MOST_CLASSES])
    more = len(record.label_names) - MOST_CLASSES
    return [
        f"{WHAT[record.plan.approach.name]}, for {task}.{start}",
        "",
        f"Labels ({whole(len(record.label_names))}): {names}{f' and {whole(more)} more' if more > 0 else ''}.",
        "",
        *([f"Hash of what answers: `{weights}`.", ""] if weights else []),
    ]


def _measured(record: RunRecord, comparison: Comparison) -> list[str]:
    arm = comparison.arms[0]
    scores, items = arm.scores, len(record.test.labels)
    half = scores.accuracy.half_width
    rows = [
        ["accuracy", accuracy(arm.accuracy, half)],
        ["95% interval", f"{accuracy(scores.accuracy.low, half)} to {accuracy(scores.accuracy.high, half)}"],
        ["macro F1", accuracy(scores.macro_f1, half)],
        ["calibration error, as the model gives it", f"{scores.calibration_error:.3f}"],
        ["calibration error, after temperature scaling", f"{scores.calibrated_error:.3f}"],
    ]
    classes = [
        [each.label, whole(each.count), _share(each.recall), _share(each.precision), _share(each.f1)]
        for each in per_class(record)[:MOST_CLASSES]
    ]
    return [
        f"On {whole(items)} test items that nothing was chosen on:",
        "",
        *markdown_table(["measure", "value"], rows),
        "",
        "<details><summary>Class by class, the worst first</summary>",
        "",
        *markdown_table(["class", "items", "recall", "precision", "F1"], classes),
        "",
        "</details>",
        "",
    ]


def _forgotten(record: RunRecord, arm: ArmResult) -> list[str]:
    """What became of the old skill, and what protected it."""
    protected = ", ".join(record.plan.protection.names)
    lines = ["## Protected and forgotten", ""]
    lines += [f"Protected by: {protected}.", ""] if protected else []
    if arm.old is not None:
        rows = [
            ["accuracy on the old test items, before", accuracy(arm.old.before.value)],
            ["after", accuracy(arm.old.after.value)],
            ["after, among the old labels alone", accuracy(arm.old.after_among_old)],
        ]
        return [*lines, *markdown_table(["old skill", "value"], rows), ""]
    if arm.old_text is not None:
        word = "perplexity" if arm.old_text.measure == "perplexity" else "share that a fixed probe reads as before"
        rows = [[f"{word}, before", f"{arm.old_text.before:.3f}"], ["after", f"{arm.old_text.after:.3f}"]]
        return [*lines, *markdown_table(["old texts", "value"], rows), ""]
    return lines if protected else []


def _limits(record: RunRecord, comparison: Comparison) -> list[str]:
    """What a reader must know before relying on it."""
    approach, model = record.plan.approach, record.plan.model
    found = [
        "Whatever the input, the answer is one of the labels above.",
        "The numbers hold for inputs like those of the test items; for others nothing was measured.",
    ]
    if record.task == "text-classification":
        found.append(f"Texts are cut after {record.plan.data.max_length} tokens.")
    if isinstance(approach, FewShot | Prototype):
        found.append("The prompt holds labelled examples of the training data, word for word.")
    if isinstance(approach, Shallow) and record.task == "text-classification":
        found.append("Its vocabulary holds the words of the training data.")
    if record.old is not None and isinstance(approach, Features | Lora | PromptTuning):
        found.append("It stands on a model that learned the old data first, which is no part of it.")
    elif model is not None and hub_model(record) is None and not isinstance(approach, Scratch):
        found.append(f"The model it started from, {escaped(shown_name(model.name))}, is not on the Hub.")
    return found + [escaped(warning) for warning in comparison.warnings]


def _made(record: RunRecord, comparison: Comparison) -> list[str]:
    cost = record.cost
    told = [("Data", f"{shown_name(record.plan.data.path)}, {record.task.replace('-', ' ')}")]
    told += [(term, text) for term, text in how_measured(comparison) if term in MEASURED]
    costs = [
        f"training {seconds(cost.train_seconds)}, {flops(cost.train_flops)}",
        f"memory {mebibytes(cost.peak_memory_mib)}",
        f"{count(cost.trainable_parameters)} of {count(cost.total_parameters)} parameters trained",
        f"one answer {seconds(cost.ms_per_prediction / 1000)}",
    ]  # fmt: skip
    machine = ", ".join(f"{name}: {value}" for name, value in record.machine.items())
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    told += [("Cost", ", ".join(costs)), ("Machine", machine), ("Versions", versions), ("Finished", record.finished)]
    return [
        *(f"- **{term}**: {escaped(text)}" for term, text in told if text),
        "",
        f"Made with {KIT}.",
        "",
        "<details><summary>The plan, which <code>transfer-kit run</code> carries out again</summary>",
        "",
        *indented(yaml.safe_dump(public_plan(record.plan).to_mapping(), sort_keys=False, allow_unicode=True)),
        "",
        "</details>",
    ]


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"
