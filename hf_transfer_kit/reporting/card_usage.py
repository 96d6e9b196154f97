"""The code of a model card: with the kit, and without it where the saved model allows that. Imports no torch."""

from hf_transfer_kit.plan import Lora
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.card_metadata import WHOLE_MODELS
from hf_transfer_kit.reporting.places import hub_model

TEXT = "text-classification"
MOST_LABELS = 20  # label names that the code spells out


def usage(record: RunRecord, repo: str) -> list[str]:
    """The lines of "How to use it"; `repo` is the model's name on the Hub."""
    example = "a text to label" if record.task == TEXT else "photo.jpg"
    lines = [
        "With hf-transfer-kit, probabilities are calibrated as measured below:",
        "",
        "```python",
        "from huggingface_hub import snapshot_download",
        "from hf_transfer_kit.prediction import predict",
        "",
        f'answer = predict(snapshot_download("{repo}"), ["{example}"])[0]',
        "print(answer.label, answer.probabilities)",
        "```",
        "",
    ]
    plain = _plain(record, repo, example)
    if not plain:
        return lines
    words = "the probabilities are not calibrated then: divide the logits by"
    return [
        *lines,
        f"Without it; {words} {record.temperature:.3f}." if record.temperature != 1 else "Without it:",
        "",
        "```python",
        *plain,
        "```",
        "",
    ]


def _plain(record: RunRecord, repo: str, example: str) -> list[str]:
    """Code for transformers, or peft; none where what was saved needs the kit."""
    if isinstance(record.plan.approach, WHOLE_MODELS):
        return _pipeline(record, repo, example)
    base = hub_model(record)
    if isinstance(record.plan.approach, Lora) and base and record.old is None and record.task == TEXT:
        return _adapter(record, repo, base, example)
    return []


def _pipeline(record: RunRecord, repo: str, example: str) -> list[str]:
    cut = f", truncation=True, max_length={record.plan.data.max_length}" if record.task == TEXT else ""
    return [
        "from transformers import pipeline",
        "",
        f'classify = pipeline("{record.task}", model="{repo}")',
        f'print(classify("{example}"{cut}))',
    ]


def _adapter(record: RunRecord, repo: str, base: str, example: str) -> list[str]:
    names = record.label_names
    labels = (
        [f"labels = {list(names)}"]
        if len(names) <= MOST_LABELS
        else [f'labels = json.load(open(hf_hub_download("{repo}", "record.json")))["label_names"]']
    )
    imports = (
        ["import json", "", "from huggingface_hub import hf_hub_download"] if len(names) > MOST_LABELS else []
    )  # fmt: skip
    return [
        *imports,
        "from peft import PeftModel",
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
        "",
        *labels,
        "base = AutoModelForSequenceClassification.from_pretrained(",
        f'    "{base}", num_labels=len(labels), ignore_mismatched_sizes=True',
        ")",
        f'model = PeftModel.from_pretrained(base, "{repo}").eval()',
        f'tokenizer = AutoTokenizer.from_pretrained("{repo}")',
        f'inputs = tokenizer("{example}", truncation=True, max_length={record.plan.data.max_length}, '
        'return_tensors="pt")',
        "print(labels[int(model(**inputs).logits.argmax())])",
    ]
