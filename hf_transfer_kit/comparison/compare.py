"""RunRecords -> Comparison: which transfer strategy to use on one data set, with uncertainty and cost.

Intervals come from one paired bootstrap over test items and seeds: differences of arms are taken within each
resample. p-values are exact McNemar tests against the most accurate arm, one per seed, combined over S seeds as
min(1, 2 median) (Meinshausen, Meier & Bühlmann 2009, "p-Values for High-Dimensional Regression", arXiv:0811.2177) and
Holm-corrected over arms. Imports no torch.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hf_transfer_kit import metrics
from hf_transfer_kit.comparison.arms import Arm, group
from hf_transfer_kit.comparison.cautions import cautions
from hf_transfer_kit.comparison.estimate import RESAMPLES, Estimate, Samples, accuracy_of, estimate_of
from hf_transfer_kit.comparison.forgetting import OldAnswers, old_data_summary, old_text_result
from hf_transfer_kit.comparison.measurement import CALIBRATION_BINS, data_summary, measurement_of, models_of
from hf_transfer_kit.comparison.old_cautions import old_cautions
from hf_transfer_kit.comparison.old_text_verdict import decide_with_texts
from hf_transfer_kit.comparison.old_verdict import Gaps, decide_with_old
from hf_transfer_kit.comparison.prompt_cautions import prompt_cautions, prompt_result, unreadable_answers, weak_prompts
from hf_transfer_kit.comparison.prompting_verdict import weigh_prompting
from hf_transfer_kit.comparison.result import (
    CONTROLS,
    PRETRAINED,
    ArmResult,
    Comparison,
    CurvePoint,
    Failure,
    LearningCurve,
    Scores,
)
from hf_transfer_kit.comparison.verdict import Verdict, decide, negative_transfer
from hf_transfer_kit.errors import FormatError, PlanError
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.records import RunRecord

Rows = npt.NDArray[np.int64]


def compare(
    records: Sequence[RunRecord],
    checks: CheckReport | None = None,
    *,
    failures: Sequence[Failure] = (),
    command: str = "",
    dollars_per_hour: float | None = None,
) -> Comparison:
    """The comparison of `records`, which all answer the same test items; their order does not matter.

    Args:
        checks: what the checks of the same data found; its leaked test rows give the scores without them.
        failures: runs that did not finish, to be shown.
        command: the line that repeats the comparison, to be shown.
        dollars_per_hour: price of this machine; what is billed can then be compared with what runs here.

    Raises:
        PlanError: the price is below 0.
        FormatError: there is no record, two are of the same run, or they or the checks are not of one data set.

    Example:
        >>> records = [RunRecord.load(path) for path in Path("out/runs").glob("*/record.json")]  # doctest: +SKIP
        >>> compare(records).verdict  # doctest: +SKIP
        'features is as good as full within the error (0.6 points behind, 95% interval -0.4 to 1.6) and costs ...'
    """
    if dollars_per_hour is not None and not dollars_per_hour >= 0:
        raise PlanError(f"dollars_per_hour={dollars_per_hour} must be >= 0; leave it out where nothing is billed.")
    arms = group(records)
    largest = max((arm.train_size for arm in arms if arm.labels_used), default=arms[0].train_size)
    main = [i for i, arm in enumerate(arms) if arm.train_size == largest or not arm.labels_used]
    main_arms = [arms[i] for i in main]
    items = len(records[0].test.labels)
    everything, kept = np.arange(items), _without_leaked(items, checks)
    samples, old = _bootstrap(arms, everything), OldAnswers.of(main_arms)

    results = _results(main_arms, samples[main], everything, old)
    verdict_without_leaked = None
    if 0 < len(kept) < items:
        results, verdict_without_leaked = _with_clean_scores(results, main_arms, kept, old)
    verdict = _decide(results, samples[main], main_arms, everything, old)
    old_data = old_data_summary(records)
    prompting = weigh_prompting(results, arms, samples, verdict.recommended, dollars_per_hour)
    return Comparison(
        verdict=verdict.sentence,
        forgetting=verdict.forgetting,
        prompting=prompting.sentence,
        next_step=verdict.next_step,
        verdict_without_leaked=verdict_without_leaked,
        recommended=verdict.recommended,
        tied=verdict.tied,
        more_test_items=verdict.more_test_items,
        warnings=(
            *negative_transfer(results), *weak_prompts(results), *old_cautions(results, old_data),
            *prompt_cautions(results, items), *cautions(arms, results, items, checks),
        ),
        arms=tuple(results),
        curves=_curves(arms, samples),
        crossover=prompting.crossover,
        payback=prompting.payback,
        data=data_summary(next(arm for arm in main_arms if arm.train_size == largest).records[0]),
        old_data=old_data,
        measurement=measurement_of(records, command, dollars_per_hour),
        models=models_of(arms),
        checks=checks,
        failures=tuple(failures),
    )  # fmt: skip


def _without_leaked(items: int, checks: CheckReport | None) -> Rows:
    """Positions of the test rows that are no copies of training or validation rows."""
    leaked = checks.leaked_test_rows if checks else ()
    outside = [row for row in leaked if not 0 <= row < items]
    if outside:
        raise FormatError(
            f"the checks name test row {outside[0]}, but the records have {items} test items; "
            "run the checks on the same data."
        )
    return np.setdiff1d(np.arange(items), np.array(leaked, dtype=np.int64))


def _bootstrap(arms: Sequence[Arm], rows: Rows) -> Samples:
    """Accuracies on resamples of test items and seeds, (arms, resamples)."""
    return metrics.bootstrap_accuracies([arm.correct[:, rows] for arm in arms], n_resamples=RESAMPLES, seed=0)


def _with_clean_scores(
    results: Sequence[ArmResult], arms: Sequence[Arm], rows: Rows, old: OldAnswers
) -> tuple[list[ArmResult], str]:
    """`results` with their scores on the test items `rows` alone, and the verdict on those."""
    samples = _bootstrap(arms, rows)
    clean = _results(arms, samples, rows, old)
    scores = {result.name: result.scores for result in clean}
    both = [dataclasses.replace(result, scores_without_leaked=scores[result.name]) for result in results]
    return both, _decide(clean, samples, arms, rows, old).sentence


def _decide(
    results: Sequence[ArmResult], samples: Samples, arms: Sequence[Arm], rows: Rows, old: OldAnswers
) -> Verdict:
    """The verdict on `results`, those of `arms` on the test items `rows`."""
    if not old.names:
        of_texts = any(result.old_text for result in results)
        return decide_with_texts(results, len(rows)) if of_texts else decide(results, len(rows))
    at = {arm.name: i for i, arm in enumerate(arms)}

    def new_gap(first: ArmResult, second: ArmResult) -> Estimate:
        difference = samples[at[first.name]] - samples[at[second.name]]
        return estimate_of(first.accuracy - second.accuracy, difference)

    def old_gap(first: ArmResult, second: ArmResult) -> Estimate:
        return old.gap(first.name, second.name)

    return decide_with_old(results, Gaps(new=new_gap, old=old_gap))


def _results(arms: Sequence[Arm], samples: Samples, rows: Rows, old: OldAnswers) -> list[ArmResult]:
    """What is known of each arm on the test items `rows`, the most accurate first."""
    means = np.array([arm.correct[:, rows].mean() for arm in arms])
    best = int(np.argmax(means))
    controls = [i for i, arm in enumerate(arms) if arm.approach.name in CONTROLS]
    control = max(controls, key=lambda i: means[i], default=None)
    scratch = {arm.model: i for i, arm in enumerate(arms) if arm.approach.name == "scratch"}
    p_values = _p_values(arms, best, rows)
    of_old = old.results([arm.name for arm in arms], means, samples)

    def difference(first: int, second: int | None) -> Estimate | None:
        if second is None or first == second:
            return None
        return estimate_of(float(means[first] - means[second]), samples[first] - samples[second])

    results = []
    for i, arm in enumerate(arms):
        pretrained = arm.approach.name in PRETRAINED
        results.append(
            ArmResult(
                name=arm.name,
                approach=arm.approach.name,
                protections=arm.protection.names,
                model=arm.model.name if arm.model else None,
                remote=arm.is_remote,
                train_size=arm.train_size,
                labels_used=arm.labels_used,
                seeds=arm.seeds,
                accuracies=tuple(arm.correct[:, rows].mean(axis=1).tolist()),
                scores=_scores(arm, samples[i], rows),
                behind_best=difference(best, i),
                p_value=p_values.get(i),
                gain_over_control=difference(i, control) if arm.approach.name not in CONTROLS else None,
                gain_over_scratch=difference(i, scratch.get(arm.model)) if pretrained else None,
                layer=arm.records[0].details.get("layer"),
                last_layer=_last_layer(arm),
                still_improving=all(_ended_at_its_best(record) for record in arm.records),
                unreadable=unreadable_answers(arm),
                prompt=prompt_result(arm),
                old=of_old.get(arm.name),
                old_text=old_text_result(arm),
                cost=arm.mean_cost(),
            )
        )
    return sorted(results, key=lambda result: -result.accuracy)  # stable: level arms stay in their order


def _ended_at_its_best(record: RunRecord) -> bool:
    """Whether a trained run had its lowest validation loss at its last step."""
    return "best_step" in record.details and record.details["best_step"] == record.details["steps"]


def _last_layer(arm: Arm) -> float | None:
    """Leave-one-out accuracy of the last layer of frozen features, mean over seeds."""
    probes = [(record.details.get("leave_one_out", {}), record.details.get("layers", 0)) for record in arm.records]
    last = [probe[str(layers - 1)] for probe, layers in probes if str(layers - 1) in probe]
    return float(np.mean(last)) if last else None


def _scores(arm: Arm, samples: Samples, rows: Rows) -> Scores:
    """Means over the seeds of an arm, on the test items `rows`."""
    n_classes = len(arm.records[0].label_names)
    f1: list[float] = []
    before: list[float] = []
    after: list[float] = []
    for record, correct in zip(arm.records, arm.correct[:, rows], strict=True):
        test = record.test
        labels, answers = np.array(test.labels)[rows], np.array(test.predictions)[rows]
        f1.append(metrics.macro_f1(labels, answers, n_classes, of_labels=True))  # old classes are not asked for here
        for errors, confidence in ((before, test.confidence), (after, test.calibrated_confidence)):
            errors.append(metrics.expected_calibration_error(np.array(confidence)[rows], correct, CALIBRATION_BINS))
    return Scores(
        accuracy=accuracy_of(arm.correct[:, rows], samples),
        macro_f1=float(np.mean(f1)),
        calibration_error=float(np.mean(before)),
        calibrated_error=float(np.mean(after)),
    )


def _p_values(arms: Sequence[Arm], best: int, rows: Rows) -> dict[int, float]:
    """Holm-corrected p-value of each arm's difference to the best one, by position."""
    others = [i for i in range(len(arms)) if i != best]
    raw = [_combined_p_value(arms[i], arms[best], rows) for i in others]
    return dict(zip(others, map(float, metrics.holm(raw)), strict=True)) if others else {}


def _combined_p_value(arm: Arm, best: Arm, rows: Rows) -> float:
    """One McNemar test per seed that both have (per pair of seeds where they share none), as min(1, 2 median)."""
    pairs = [(a, b) for a, x in enumerate(arm.seeds) for b, y in enumerate(best.seeds) if x == y]
    pairs = pairs or [(a, b) for a in range(len(arm.seeds)) for b in range(len(best.seeds))]
    ours, theirs = arm.correct[:, rows], best.correct[:, rows]
    p_values = [metrics.mcnemar_exact(ours[a], theirs[b]) for a, b in pairs]
    return float(p_values[0]) if len(p_values) == 1 else min(1.0, 2 * float(np.median(p_values)))


def _curves(arms: Sequence[Arm], samples: Samples) -> tuple[LearningCurve, ...]:
    """Accuracy over training sizes, in the order of `arms`; empty where there is only one size."""
    if len({arm.train_size for arm in arms if arm.labels_used}) <= 1:
        return ()
    points: dict[tuple[str, str], list[CurvePoint]] = defaultdict(list)
    for arm, resampled in zip(arms, samples, strict=True):
        points[arm.name, arm.approach.name].append(
            CurvePoint(
                train_size=arm.train_size,
                labels_used=arm.labels_used,
                accuracy=accuracy_of(arm.correct, resampled),
            )
        )
    return tuple(
        LearningCurve(name=name, approach=approach, points=tuple(curve)) for (name, approach), curve in points.items()
    )
