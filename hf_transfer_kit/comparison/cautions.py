"""What a reader must know before trusting a comparison, as sentences. Imports no torch."""

from collections.abc import Sequence

from hf_transfer_kit.comparison.arms import Arm
from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.plan import DETERMINISTIC
from hf_transfer_kit.reporting.quantities import whole

SMALL_TEST = 100  # items below which even large differences drown in the error


def cautions(
    arms: Sequence[Arm], results: Sequence[ArmResult], test_items: int, checks: CheckReport | None
) -> tuple[str, ...]:
    """Sentences about the data, the runs and the costs.

    Args:
        arms: at every training size.
        results: of the arms at the largest one, the most accurate first.
    """
    return (*_about_data(results, test_items, checks), *_about_runs(arms, results), *_about_machines(arms))


def _about_data(results: Sequence[ArmResult], test_items: int, checks: CheckReport | None) -> list[str]:
    sentences = []
    leaked = len(checks.leaked_test_rows) if checks else 0
    if checks and leaked:
        rows = "row is a copy" if leaked == 1 else "rows are copies"
        old = ", new or old" if any(finding.kind == "leaked_old" for finding in checks.findings) else ""
        sentences.append(
            f"{whole(leaked)} of {whole(test_items)} test {rows} of training or validation rows{old}; the scores "
            "without them stand beside the others."
        )
    if test_items < SMALL_TEST:
        width = max(result.scores.accuracy.half_width for result in results)
        sentences.append(
            f"The test part has only {test_items} items: accuracies are known to about {100 * width:.0f} points, and "
            "smaller differences cannot be seen."
        )
    if not any(result.is_control for result in results):
        sentences.append(
            "No control was measured (majority class, TF-IDF or raw pixels), so nothing says whether transfer "
            "is worth it at all."
        )
    return sentences


def _about_runs(arms: Sequence[Arm], results: Sequence[ArmResult]) -> list[str]:
    sentences = []
    compared = {result.name for result in results}
    largest = max((result.train_size for result in results if result.labels_used), default=results[0].train_size)
    for name in sorted({arm.name for arm in arms} - compared):
        sentences.append(
            f"{name} has no finished run with {whole(largest)} training examples and is missing from the table."
        )
    measured = [result for result in results if not result.is_control]
    without_randomness = {
        arm.name
        for arm in arms
        if not arm.labels_used
        or (isinstance(arm.records[0].plan.approach, DETERMINISTIC) and arm.records[0].plan.data.train_size is None)
    }
    seeds = sorted({seed for result in measured for seed in result.seeds})
    for result in measured:
        if result.name in without_randomness:
            continue
        missing = [str(seed) for seed in seeds if seed not in result.seeds]
        if missing:
            lacking = f"seed{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
            sentences.append(
                f"{result.name} rests on {len(result.seeds)} of {len(seeds)} seeds; {lacking} did not finish."
            )
    if improving := [result.name for result in measured if result.still_improving]:
        sentences.append(f"Still improving when the epochs ran out: {', '.join(improving)}; more --epochs may help.")
    if len(seeds) == 1 and not {result.name for result in measured} <= without_randomness:
        sentences.append(
            "One seed only: the intervals hold the chance of the test items, not that of the training; use --seeds 3 "
            "or more."
        )
    return sentences


def _about_machines(arms: Sequence[Arm]) -> list[str]:
    machines = {tuple(sorted(record.machine.items())) for arm in arms for record in arm.records}
    if len(machines) > 1:
        return ["The runs were made on different machines, so their seconds and memory cannot be compared."]
    return []
