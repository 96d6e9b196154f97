"""What prompted runs found out by themselves, and what a reader must know of it. Imports no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_transfer_kit.comparison.arms import Arm
from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.prompt_result import PromptResult
from hf_transfer_kit.comparison.result import ArmResult, typical_half_width
from hf_transfer_kit.comparison.verdict import listed
from hf_transfer_kit.reporting.quantities import accuracy, points, whole

_ORDER_MATTERS = 0.05  # between the worst and the best order of the examples


def prompt_result(arm: Arm) -> PromptResult | None:
    """What a prompted arm asked, from the details of its records; None where they name no prompt."""
    details = [record.details for record in arm.records]
    if not all(isinstance(each.get("prompt"), str) for each in details):
        return None
    first = details[0]
    return PromptResult(
        name=first["prompt"],
        text=str(first.get("prompt_text", "")),
        demonstrations=_mean(details, "demonstrations"),
        calibration=str(_inside(first, "calibration", "used") or ""),
        uncalibrated=_mean(details, "calibration", "accuracy", "none"),
        contextual=_mean(details, "calibration", "accuracy", "contextual"),
        batch=_mean(details, "calibration", "accuracy", "batch"),
        worst_order=_mean(details, "orders", "worst"),
        best_order=_mean(details, "orders", "best"),
    )


def unreadable_answers(arm: Arm) -> int:
    """Answers that were none of the labels, of all runs together."""
    return sum(record.test.predictions.count(-1) for record in arm.records)


def prompt_cautions(results: Sequence[ArmResult], test_items: int) -> tuple[str, ...]:
    """Sentences about answers nobody can read, and about the order of the examples."""
    sentences = []
    for arm in results:
        if arm.unreadable:
            were = "answer was" if arm.unreadable == 1 else "answers were"
            sentences.append(
                f"{arm.name}: {whole(arm.unreadable)} of {whole(len(arm.seeds) * test_items)} {were} none of the "
                f"labels; {'it counts' if arm.unreadable == 1 else 'they count'} as wrong."
            )
        worst, best = (arm.prompt.worst_order, arm.prompt.best_order) if arm.prompt else (None, None)
        if worst is not None and best is not None and best - worst >= _ORDER_MATTERS:
            sentences.append(
                f"{arm.name}: the order of the examples alone moves accuracy on validation by {points(best - worst)} "
                f"points, from {accuracy(worst, 1)} to {accuracy(best, 1)}."
            )
    return tuple(sentences)


def weak_prompts(results: Sequence[ArmResult]) -> tuple[str, ...]:
    """One sentence on the prompted arms that are not better than what learns from the labels without a model."""
    control = max((arm for arm in results if arm.is_control), key=lambda arm: arm.accuracy, default=None)
    half_width = typical_half_width(results)
    prompted = [arm for arm in results if arm.is_prompted]
    sentences = []
    if control is not None:
        with_labels = "" if control.approach == "majority" else f" with {whole(control.labels_used)} labels"
        rival = f"{control.name}{with_labels} ({accuracy(control.accuracy, half_width)})"
        gains = [(arm, arm.gain_over_control) for arm in prompted if arm.gain_over_control]
        sentences += _weak(rival, gains, half_width)
    gains = [(arm, arm.gain_over_scratch) for arm in prompted if arm.gain_over_scratch]
    return (*sentences, *_weak("the same model from a random start", gains, half_width))


def _weak(rival: str, gains: Sequence[tuple[ArmResult, Estimate]], half_width: float) -> list[str]:
    """Of the arms whose gain over `rival` may be none."""
    weak = [(arm, gain) for arm, gain in gains if not gain.above_zero]
    if not weak:
        return []
    beyond = " beyond the error" if any(gain.value > 0 for _, gain in weak) else ""
    arms = [f"{arm.name} ({accuracy(arm.accuracy, half_width)}, {_labels(arm)})" for arm, _ in weak]
    return [
        f"No better than {rival}{beyond}: {listed(arms)}. Such a prompt is not enough here: use the labels to train, "
        "or ask another model."
    ]


def _labels(arm: ArmResult) -> str:
    return f"{whole(arm.labels_used)} label{'s' if arm.labels_used > 1 else ''}" if arm.labels_used else "no labels"


def _inside(details: Any, *path: str) -> Any:
    """What stands at `path`; None where something on the way is missing."""
    for name in path:
        details = details.get(name) if isinstance(details, dict) else None
    return details


def _mean(details: Sequence[dict[str, Any]], *path: str) -> float | None:
    """The mean of the numbers at `path` over the runs that have one; None where none has."""
    numbers = [number for each in details if isinstance(number := _inside(each, *path), int | float)]
    return float(np.mean(numbers)) if numbers else None
