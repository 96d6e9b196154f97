"""Run records with chosen right and wrong answers, for the tests of what is made from records."""

from collections.abc import Sequence
from typing import Any

from hf_transfer_kit.comparison.result import CONTROLS
from hf_transfer_kit.plan import Approach, DataSpec, Features, ModelSpec, Protection, Remote, TransferPlan
from hf_transfer_kit.records import (
    Cost,
    DataIdentity,
    ItemScores,
    ModelIdentity,
    OldSkill,
    OldText,
    PredictionCost,
    RunRecord,
)


def make_thousand(
    seconds: float, uncached: float | None = None, dollars: float = 0.0, **tokens: float
) -> PredictionCost:
    """1000 predictions; `uncached` seconds where nothing is kept between them."""
    again = seconds if uncached is None else uncached
    return PredictionCost(
        seconds=seconds, flops=seconds * 1e10, seconds_uncached=again, flops_uncached=again * 1e10, dollars=dollars,
        **tokens,
    )  # fmt: skip


def make_cost(seconds: float = 1.0, thousand: PredictionCost | None = None, train_dollars: float = 0.0) -> Cost:
    return Cost(
        thousand=thousand, train_dollars=train_dollars,
        train_seconds=seconds, train_cpu_seconds=seconds, train_flops=seconds * 1e10, peak_memory_mib=100.0,
        trainable_parameters=1000, total_parameters=20_000_000, disk_mib=0.5, ms_per_prediction=3.2,
    )  # fmt: skip


def make_old(
    before: Sequence[int], after: Sequence[int], before_among: Sequence[int] | None = None,
    after_among: Sequence[int] | None = None, *, test_hash: str = "f" * 64,
) -> OldSkill:  # fmt: skip
    """Answers to old test items, of the labels 0 and 1 in turn, right where the sequences hold 1.

    Among the old labels they are as among all, unless told.
    """
    labels = tuple(i % 2 for i in range(len(before)))

    def answers(right: Sequence[int]) -> tuple[int, ...]:
        return tuple(y if hit else 1 - y for y, hit in zip(labels, right, strict=True))

    return OldSkill(
        data=DataIdentity(
            hashes={"train": "1" * 64, "validation": "2" * 64, "test": test_hash},
            rows={"train": 80, "validation": 20, "test": len(labels)},
        ),
        old_labels=(0, 1), labels=labels, before=answers(before), after=answers(after),
        before_among_old=answers(before_among or before), after_among_old=answers(after_among or after),
    )  # fmt: skip


def make_record(
    correct: Sequence[int], approach: Approach | None = None, *, seed: int = 0, model: str = "hub/mini",
    seconds: float = 1.0, train_size: int = 100, label_names: Sequence[str] = ("no", "yes"),
    task: str = "text-classification", test_hash: str = "c" * 64, path: str = "reviews.csv",
    machine: dict[str, str] | None = None, protection: Protection | None = None, old: OldSkill | None = None,
    old_text: OldText | None = None, old_path: str | None = None, labels: int | None = None, unreadable: int = 0,
    thousand: PredictionCost | None = None, train_dollars: float = 0.0, remote: Remote | None = None,
    details: dict[str, Any] | None = None,
) -> RunRecord:  # fmt: skip
    """A run that answers test item i rightly where correct[i] is 1; the labels alternate.

    With `old` or `old_text` it has old data, as a control has with `old_path`. It looks at `labels` labelled examples
    where that is given; its last `unreadable` answers are none of the labels.
    """
    approach = approach or Features()
    old_path = old_path or ("older.csv" if old or old_text else None)
    control = approach.name in CONTROLS
    items = len(correct)
    truth = tuple(i % len(label_names) for i in range(items))
    predictions = tuple(y if hit else (y + 1) % len(label_names) for y, hit in zip(truth, correct, strict=True))
    predictions = predictions[: items - unreadable] + (-1,) * unreadable
    return RunRecord(
        plan=TransferPlan(
            data=DataSpec(path=path, train_size=train_size), approach=approach, seed=seed,
            model=None if control else ModelSpec(name=model, remote=remote), protection=protection or Protection(),
            old_data=DataSpec(path=old_path) if old_path else None,
        ),
        task=task,
        label_names=tuple(label_names),
        model=None if control else ModelIdentity(name=model, revision="a1b2c3", weights_digest="d" * 64),
        data=DataIdentity(
            hashes={"train": "a" * 64, "validation": "b" * 64, "test": test_hash},
            rows={"train": train_size, "validation": 20, "test": items},
            labels=labels,
        ),
        test=ItemScores(
            labels=truth, predictions=predictions, confidence=(0.9,) * items, calibrated_confidence=(0.8,) * items,
            log_likelihood=(-0.2,) * items,
        ),
        validation_accuracy=0.9,
        temperature=1.3,
        cost=make_cost(seconds, thousand, train_dollars),
        details=details or {},
        versions={"torch": "2.13.0"},
        machine=machine or {"processor": "some CPU", "cores": "2"},
        old=old,
        old_text=old_text,
    )  # fmt: skip


def hits(right: int, items: int) -> list[int]:
    """The first `right` of `items` answers are right."""
    return [1] * right + [0] * (items - right)
