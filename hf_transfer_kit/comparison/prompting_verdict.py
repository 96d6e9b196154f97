"""Is a prompt enough? From how many labels on fine-tuning is better, and when it pays back, in one sentence.

With several training sizes the sentence is about the crossover, with one about the difference there. It names who is
ahead only where the interval allows it. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_transfer_kit.comparison.arms import Arm
from hf_transfer_kit.comparison.crossover import crossover_of
from hf_transfer_kit.comparison.estimate import Estimate, Samples, estimate_of
from hf_transfer_kit.comparison.payback import break_even, payback_of
from hf_transfer_kit.comparison.prompt_result import Crossover, Payback
from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.reporting.quantities import points, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptingVerdict:
    """What `Comparison` says under the same names; `sentence` is its `prompting`."""

    sentence: str = ""
    crossover: Crossover | None = None
    payback: Payback | None = None


def weigh_prompting(
    results: Sequence[ArmResult], arms: Sequence[Arm], samples: Samples, recommended: str,
    dollars_per_hour: float | None,
) -> PromptingVerdict:  # fmt: skip
    """Prompting against fine-tuning; empty where one of them was not measured.

    Args:
        results: of the arms in the table, the most accurate first.
        arms, samples: at every training size, with their accuracies on resamples, (arms, resamples).
        recommended: name of the arm to use; where that is fine-tuned, it is the one that must pay back.
    """
    prompted = next((arm for arm in results if arm.is_prompted), None)
    trained = [arm for arm in results if arm.is_fine_tuned]
    if prompted is None or not trained:
        return PromptingVerdict()
    chosen = next((arm for arm in trained if arm.name == recommended), trained[0])
    crossover = crossover_of(arms, samples)
    payback = payback_of(chosen, prompted, dollars_per_hour)
    at = {(arm.name, arm.train_size): i for i, arm in enumerate(arms)}
    ours, theirs = (samples[at[arm.name, arm.train_size]] for arm in (chosen, prompted))
    gap = estimate_of(chosen.accuracy - prompted.accuracy, ours - theirs)
    start = in_words(crossover) if crossover else _difference(chosen, prompted, gap)
    return PromptingVerdict(
        sentence=f"{start}{_and_payback(payback, chosen, bool(crossover))}.", crossover=crossover, payback=payback
    )


def in_words(crossover: Crossover) -> str:
    """The crossover as a clause that begins a sentence.

    Example:
        >>> found = Crossover(
        ...     prompting="prototype", trained="features", labels=252, low=200, high=308, first=30, last=1500
        ... )
        >>> in_words(found)
        'Prompting is ahead below about 250 labels [200, 310] (prototype against features)'
    """
    who = f"({crossover.prompting} against {crossover.trained})"
    labels, low, high = crossover.labels, crossover.low, crossover.high
    first, last = whole(crossover.first), whole(crossover.last)
    if crossover.is_open:
        return f"Whether prompting or fine-tuning is ahead between {first} and {last} labels is within the error {who}"
    if labels is None:
        start = f"Prompting is still ahead with {last} labels, the most measured {who}"
        if low is None:
            return start
        return f"{start}, but fine-tuning may be ahead {_from(low, first)}: that is within the error"
    if labels == 0:
        start = f"Fine-tuning is ahead from the fewest labels measured ({first}) on {who}"
        if high == 0:
            return start
        return f"{start}, but prompting may be ahead below {about(high or 0)}: that is within the error"
    ends = f"{about(low) if low else f'fewer than {first}'}, {f'more than {last}' if high is None else about(high)}"
    return f"Prompting is ahead below about {about(labels)} labels [{ends}] {who}"


def about(number: float) -> str:
    """A number as people say it: two significant digits.

    Example:
        >>> about(252.3), about(12_345), about(3.2)
        ('250', '12,000', '3')
    """
    return whole(int(float(f"{number:.1e}"))) if number >= 10 else str(max(round(number), 1))


def _from(labels: float, first: str) -> str:
    return f"from about {about(labels)} on" if labels else f"from the fewest ({first}) on"


def _difference(trained: ArmResult, prompted: ArmResult, gap: Estimate) -> str:
    """Of two arms at one training size."""
    start, prompt = f"With {whole(trained.labels_used)} labels", f"the best prompt ({prompted.name})"
    if not (gap.above_zero or gap.below_zero):
        interval = f"{points(gap.value)} points [{points(gap.low)}, {points(gap.high)}]"
        return f"{start}, {trained.name} and {prompt} are level within the error ({interval})"
    if gap.above_zero:
        return f"{start}, {trained.name} beats {prompt} by {points(gap.value)} points [{_ends(gap)}]"
    gap = Estimate(value=-gap.value, low=-gap.high, high=-gap.low)
    return f"{start}, {prompt} beats {trained.name} by {points(gap.value)} points [{_ends(gap)}]"


def _ends(gap: Estimate) -> str:
    return f"{points(gap.low)}, {points(gap.high)}"


def _and_payback(payback: Payback | None, trained: ArmResult, several: bool) -> str:
    """The end of the sentence; `several` training sizes, so that the labels are still to be named."""
    if payback is None:
        return ""
    start = f"; with your {whole(trained.labels_used)}, " if several else "; "
    if payback.missing:
        return (
            f"{start}whether {payback.trained} pays back against {payback.prompting} is open without {payback.missing}"
        )
    kept = pays(payback.one_off, payback.saved, payback.equal)
    uncached = pays(payback.one_off, payback.saved_uncached, payback.equal_uncached)
    never = kept.startswith("never")
    but = "but " if never else ""
    again = f", {but}{uncached} where the prompt is read again for every prediction" if uncached != kept else ""
    if never:
        return (
            f"{start}{payback.trained} never pays back against {payback.prompting}{kept.removeprefix('never')}{again}"
        )
    return f"{start}{payback.trained} pays back against {payback.prompting} {kept}{again}"


def pays(one_off: float, saved: float, equal: bool) -> str:
    """When something pays back that costs `one_off` and saves `saved` per 1000 predictions, to follow "pays back".

    Example:
        >>> pays(24.0, 2.0, equal=False), pays(-1.0, 2.0, equal=False)
        ('after about 12,000 predictions', 'from the first prediction on')
        >>> pays(24.0, -2.0, equal=False), pays(-24.0, -2.0, equal=False)
        ('never (its predictions cost more)', 'only up to about 12,000 predictions (they cost more)')
    """
    if equal:
        return "never (its predictions cost as much)" if one_off > 0 else "from the first prediction on"
    predictions = break_even(one_off, saved)
    if predictions == 0:
        return "from the first prediction on"
    if predictions is not None:
        return f"after about {about(predictions)} prediction{'s' if predictions >= 1.5 else ''}"
    if one_off < 0:
        return f"only up to about {about(1000 * one_off / saved)} predictions (they cost more)"
    return "never (its predictions cost more)"
