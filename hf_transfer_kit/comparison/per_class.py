"""How a run answers each class. Imports no torch."""

from dataclasses import dataclass

import numpy as np

from hf_transfer_kit.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How one class is answered: its test items, and recall, precision and F1 in [0, 1]; None where undefined."""

    label: str
    count: int
    recall: float | None
    precision: float | None
    f1: float


def per_class(record: RunRecord) -> list[ClassScore]:
    """Of every class with test items, the worst F1 first."""
    labels, answers = np.array(record.test.labels), np.array(record.test.predictions)
    found = []
    for number, name in enumerate(record.label_names):
        count, said = int(np.sum(labels == number)), int(np.sum(answers == number))
        right = int(np.sum((labels == number) & (answers == number)))
        if count:
            found.append(
                ClassScore(
                    label=name, count=count, recall=right / count, precision=right / said if said else None,
                    f1=2 * right / (count + said),
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: each.f1)
