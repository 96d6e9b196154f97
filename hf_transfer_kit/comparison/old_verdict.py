"""The verdict where something must not be forgotten: which arm to use, and what is forgotten.

Arms are judged by the mean of new and old accuracy, both with the same weight. Arms whose distance to the best mean
includes zero are level with it; among level arms the one that trains fastest is the advice. Arms that never knew the
old data (controls, a random start) are not in that choice. Nothing is called forgotten, better or worse where the
interval includes zero. Imports no torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.old_result import OldResult
from hf_transfer_kit.comparison.result import ArmResult, typical_half_width
from hf_transfer_kit.comparison.verdict import Verdict, listed, time_against
from hf_transfer_kit.reporting.quantities import accuracy, points

Gap = Callable[[ArmResult, ArmResult], Estimate]  # accuracy of the first arm minus that of the second, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Differences of two arms in accuracy on the new and on the old test items."""

    new: Gap
    old: Gap


def decide_with_old(arms: Sequence[ArmResult], gaps: Gaps) -> Verdict:
    """The verdict on `arms`, the most accurate on new items first, of which some know the old data."""
    words = _Words(arms)
    known = sorted((arm for arm in arms if arm.old), key=lambda arm: -_old(arm).average.value)
    tied = [arm for arm in known if (gap := _old(arm).behind_best_average) is None or not gap.above_zero]
    chosen = min(tied, key=lambda arm: arm.cost.train_seconds)
    step = ""
    if len(known) == 1:
        sentence = f"Only {chosen.name} knows the old task: accuracy on {words.both(chosen)}."
    elif len(tied) == 1:
        sentence = words.clear(chosen, known[1])
    else:
        rival = tied[1] if chosen is tied[0] else tied[0]
        sentence = words.level(chosen, rival)
        if others := [arm.name for arm in tied if arm not in (chosen, rival)]:
            step = f"{listed(others)} {'is' if len(others) == 1 else 'are'} within the error of the best mean, too."
    return Verdict(
        sentence=sentence,
        next_step=step,
        recommended=chosen.name,
        tied=tuple(arm.name for arm in tied),
        forgetting=words.forgetting(known, chosen, gaps),
    )


class _Words:
    """Sentences on arms that know the old task; accuracies get as many decimals as those of all `arms`."""

    def __init__(self, arms: Sequence[ArmResult]):
        self._half_width = typical_half_width(arms)

    def both(self, arm: ArmResult) -> str:
        """New and old accuracy."""
        return f"new {self._share(arm.accuracy)}, old {self._share(_old(arm).after.value)}"

    def clear(self, best: ArmResult, second: ArmResult) -> str:
        """Of an arm whose lead in the mean over every other one excludes zero."""
        lead = _gap(best, second)
        return (
            f"{best.name} is best on old and new together ({self.both(best)}): their mean is {points(lead.value)} "
            f"points (95% interval {points(lead.low)} to {points(lead.high)}) ahead of the next, {second.name} "
            f"({self.both(second)}), at {time_against(best, second, 'its')}."
        )

    def level(self, chosen: ArmResult, rival: ArmResult) -> str:
        """Of `chosen`, which is level with `rival`; one of the two has the best mean."""
        gap = _gap(chosen, rival)
        side = "behind" if _old(chosen).behind_best_average else "ahead"
        mean = "exactly level" if abs(gap.value) < 1e-9 else f"{points(gap.value)} points {side}"
        time = time_against(chosen, rival)
        return (
            f"{chosen.name} ({self.both(chosen)}) is as good as {rival.name} ({self.both(rival)}) on old and new "
            f"together within the error (the mean is {mean}, 95% interval {points(gap.low)} to {points(gap.high)}) "
            f"and costs {time}: use {'either' if time.startswith('about') else 'it'}."
        )

    def forgetting(self, known: Sequence[ArmResult], chosen: ArmResult, gaps: Gaps) -> str:
        """Of the arm that forgets most, and of the chosen one beside it."""
        worst = max(known, key=lambda arm: _old(arm).forgetting.value)
        lost = _old(worst).forgetting
        if not lost.above_zero:
            none = "No arm forgets" if len(known) > 1 else f"{worst.name} does not forget"
            return f"{none} any of the old task beyond the error."
        before, after = (self._share(_old(worst).before.value), self._share(_old(worst).after.value))
        start = f"{worst.name} forgets {points(lost.value)} points of the old task ({before} → {after}"
        start += f", 95% interval {points(lost.low)} to {points(lost.high)})"
        if worst is chosen:
            return f"{start}."
        if not gaps.old(chosen, worst).above_zero:
            return f"{start}, and {chosen.name} keeps no more of it beyond the error."
        return f"{start}; {chosen.name} {_kept(_old(chosen).forgetting)} and {_on_new(gaps.new(chosen, worst))}."

    def _share(self, value: float) -> str:
        return accuracy(value, self._half_width)


def _old(arm: ArmResult) -> OldResult:
    if arm.old is None:
        raise LookupError(f"{arm.name} was not measured on old data")
    return arm.old


def _gap(arm: ArmResult, other: ArmResult) -> Estimate:
    """How far the worse mean of the two is behind; the other one is the best."""
    gap = _old(arm).behind_best_average or _old(other).behind_best_average
    return gap or Estimate(value=0.0, low=0.0, high=0.0)


def _kept(forgetting: Estimate) -> str:
    low, high = points(forgetting.low), points(forgetting.high)
    if forgetting.above_zero:
        return f"keeps all but {points(forgetting.value)} ({low} to {high})"
    if forgetting.below_zero:
        return f"gains {points(-forgetting.value)} there ({points(-forgetting.high)} to {points(-forgetting.low)})"
    return f"keeps all of it within the error ({low} to {high} forgotten)"


def _on_new(gap: Estimate) -> str:
    if not (gap.above_zero or gap.below_zero):
        return f"is level with it on the new one ({points(gap.low)} to {points(gap.high)})"
    ahead = gap if gap.above_zero else Estimate(value=-gap.value, low=-gap.high, high=-gap.low)
    word = "better" if gap.above_zero else "worse"
    return f"is {points(ahead.value)} ({points(ahead.low)} to {points(ahead.high)}) {word} on the new one"
