"""What a reader must know before trusting what a comparison says of the old data. Imports no torch."""

from collections.abc import Sequence

from hf_transfer_kit.comparison.old_result import OldDataSummary, OldResult
from hf_transfer_kit.comparison.result import ArmResult, typical_half_width
from hf_transfer_kit.comparison.verdict import listed
from hf_transfer_kit.reporting.quantities import accuracy, whole

SMALL_TEST = 100  # old items below which even large differences drown in the error


def old_cautions(results: Sequence[ArmResult], data: OldDataSummary | None) -> tuple[str, ...]:
    """Sentences about the old data and its answers; none without old data."""
    if data is None:
        return ()
    known = [(result, result.old) for result in results if result.old is not None]
    return (
        *_little_known(known, data),
        *_only_the_head(known, typical_half_width(results)),
        *_small_test(known, data),
        *_not_measured(results),
    )


def _little_known(known: Sequence[tuple[ArmResult, OldResult]], data: OldDataSummary) -> list[str]:
    chance = 1 / max(len(data.label_names), 1)
    models = sorted({arm.model or "" for arm, old in known if old.before.low <= chance})
    if not models:
        return []
    return [
        f"The starting model ({listed(models)}) knows no more of the old task than chance "
        f"({accuracy(chance)} with {len(data.label_names)} labels), so nothing can be forgotten; let it learn longer "
        "with --epochs, or start from a model that knows the old task."
    ]


def _only_the_head(known: Sequence[tuple[ArmResult, OldResult]], half_width: float) -> list[str]:
    """Where most of what is forgotten is still known among the old labels."""
    arms = [
        (arm, old)
        for arm, old in known
        if old.forgetting.above_zero
        and old.forgetting_by_head.above_zero
        and old.forgetting_by_head.value >= old.forgetting.value / 2
    ]
    if not arms:
        return []
    shares = [
        f"{arm.name} {accuracy(old.after_among_old, half_width)} and {accuracy(old.after.value, half_width)}"
        for arm, old in arms
    ]
    guarded = [arm.name for arm, _ in arms if arm.protections and "replay" not in arm.protections]
    remedy = (
        f"What guards weights alone ({listed(guarded)}) never shows the head an old label beside a new one; replay "
        "does. Or ask among the old labels, where it is known which task an item is of."
        if guarded
        else "Replay helps against that, or asking among the old labels where it is known which task an item is of."
    )
    return [
        "Most of what seems forgotten is still known, but loses against a new label. Right among the old labels, and "
        f"among all: {', '.join(shares)}. {remedy}"
    ]


def _small_test(known: Sequence[tuple[ArmResult, OldResult]], data: OldDataSummary) -> list[str]:
    if data.items >= SMALL_TEST or not known:
        return []
    width = max(old.after.half_width for _, old in known)
    return [
        f"The old test part has only {whole(data.items)} items: accuracies on it are known to about "
        f"{100 * width:.0f} points."
    ]


def _not_measured(results: Sequence[ArmResult]) -> list[str]:
    missing = [arm.name for arm in results if arm.is_pretrained and not (arm.old or arm.old_text)]
    if not missing:
        return []
    return [f"Not measured on the old data, and not in the choice: {listed(missing)}."]
