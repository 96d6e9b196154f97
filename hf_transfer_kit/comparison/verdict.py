"""The verdict: which arm to use, in one sentence that never names a winner where the interval includes zero.

Arms whose difference to the most accurate one includes zero are level with it. Among level arms the one that trains
fastest is the advice, except that a control (majority class, TF-IDF, raw pixels) which is level ends the matter:
transfer is not worth it here. A fine-tuned arm that is not better than the best control, or than the same model from
a random start, is called negative transfer (Wang et al. 2019, "Characterizing and Avoiding Negative Transfer",
arXiv:1811.09751). Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.comparison.result import ArmResult, typical_half_width
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.reporting.quantities import accuracy, points, seconds, training_time, whole

NOTICEABLE_SECONDS = 0.05  # below it, a ratio of two wall times is noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What `Comparison` says under the same names; `sentence` is its `verdict`."""

    sentence: str
    next_step: str = ""
    recommended: str
    tied: tuple[str, ...]
    more_test_items: int | None = None
    forgetting: str = ""


def decide(arms: Sequence[ArmResult], test_items: int) -> Verdict:
    """The verdict on `arms`, the most accurate first, measured on `test_items` test items."""
    best = arms[0]
    if len(arms) == 1:
        sentence = (
            f"Only {best.name} was measured: accuracy {_with_interval(best)}; there is nothing to compare it with."
        )
        return Verdict(sentence=sentence, recommended=best.name, tied=(best.name,))
    tied = _tied(arms)
    if len(tied) == 1:
        return Verdict(sentence=_clear_sentence(arms), recommended=best.name, tied=(best.name,))
    chosen = min([arm for arm in tied if arm.is_control] or tied, key=lambda arm: arm.cost.train_seconds)
    rival = tied[1] if chosen is best else best
    more = more_test_items(_gap(chosen, rival), test_items)
    return Verdict(
        sentence=_level_sentence(arms, chosen, rival, test_items),
        next_step=_next_step(more, [arm.name for arm in tied if arm not in (chosen, rival)]),
        recommended=chosen.name,
        tied=tuple(arm.name for arm in tied),
        more_test_items=more,
    )


def more_test_items(gap: Estimate, test_items: int) -> int | None:
    """About how many more test items would make the interval of `gap` exclude zero; None where the gap is exactly 0.

    The half width of an interval shrinks with the square root of the items, so n (half width / gap)^2 are needed in
    all. Rounded to two significant digits. What differs between seeds does not shrink with more items.

    Example:
        >>> more_test_items(Estimate(value=0.01, low=-0.01, high=0.03), test_items=400)
        1200
    """
    if abs(gap.value) < 1e-9:
        return None
    more = test_items * ((gap.half_width / gap.value) ** 2 - 1)
    return max(1, int(float(f"{more:.1e}")))


def negative_transfer(arms: Sequence[ArmResult]) -> tuple[str, ...]:
    """One sentence for every fine-tuned arm that is not better than a control or than its model's random start."""
    control = max((arm for arm in arms if arm.is_control), key=lambda arm: arm.accuracy, default=None)
    half_width = typical_half_width(arms)
    sentences = []
    for arm in (arm for arm in arms if arm.is_fine_tuned):
        rivals = []
        if control and arm.gain_over_control and not arm.gain_over_control.above_zero:
            rivals.append((f"{control.name} ({accuracy(control.accuracy, half_width)})", arm.gain_over_control.value))
        if arm.gain_over_scratch and not arm.gain_over_scratch.above_zero:
            start = accuracy(arm.accuracy - arm.gain_over_scratch.value, half_width)
            rivals.append((f"the same model from a random start ({start})", arm.gain_over_scratch.value))
        if rivals:
            sentences.append(_negative_sentence(arm, accuracy(arm.accuracy, half_width), rivals))
        elif control and arm.last_layer is not None and arm.last_layer <= control.accuracy:
            sentences.append(_upper_layers_sentence(arm, control, half_width))
    return tuple(sentences)


def _upper_layers_sentence(arm: ArmResult, control: ArmResult, half_width: float) -> str:
    """Of frozen features that are good only because a lower layer is read."""
    last, other = accuracy(arm.last_layer or 0.0, half_width), accuracy(control.accuracy, half_width)
    return (
        f"Negative transfer in the upper layers: the last layer of {short_model_name(arm.model or '')} reads {last} "
        f"(leave-one-out on training rows), no better than {control.name} ({other}); features does better because it "
        f"reads layer {arm.layer}. What this model learned last does not carry over: keep to the lower layer, "
        "fine-tune all of it, or choose another model."
    )


def _negative_sentence(arm: ArmResult, shown: str, rivals: list[tuple[str, float]]) -> str:
    """Of an arm that is not better than `rivals`: their names, and the gain over each."""
    names = " or ".join(name for name, _ in rivals)
    beyond = " beyond the error" if all(gain > 0 for _, gain in rivals) else ""
    if arm.still_improving:
        return (
            f"Negative transfer, or too little training: {arm.method} on {short_model_name(arm.model or '')} "
            f"({shown}) is not better than {names}{beyond}, but was still improving when its epochs ran out; use more "
            "--epochs before you give it up."
        )
    way_out = (
        "this pre-trained model does not help when frozen; fine-tune all of it, choose another model, or train from "
        "scratch"
        if arm.approach == "features"
        else "its pre-trained weights do not help here; choose another model, or use what is as good and costs less"
    )
    return (
        f"Negative transfer: {arm.method} on {short_model_name(arm.model or '')} ({shown}) is not better "
        f"than {names}{beyond}: {way_out}."
    )


def _tied(arms: Sequence[ArmResult]) -> list[ArmResult]:
    """The best arm and those whose distance to it includes zero."""
    return [arms[0], *(arm for arm in arms[1:] if arm.behind_best is None or not arm.behind_best.above_zero)]


def _clear_sentence(arms: Sequence[ArmResult]) -> str:
    """Of a best arm whose lead over every other one excludes zero."""
    best, second = arms[0], arms[1]
    lead = _gap(best, second)
    interval = f"95% interval {points(lead.low)} to {points(lead.high)}"
    sentence = (
        f"{best.name} is best: {points(lead.value)} points ({interval}) "
        f"ahead of the next, {second.name}, at {time_against(best, second, 'its')}"
    )
    return f"{sentence}: {_not_worth_it(best)}." if _ends_the_matter(best, arms) else f"{sentence}."


def _level_sentence(arms: Sequence[ArmResult], chosen: ArmResult, rival: ArmResult, test_items: int) -> str:
    """Of `chosen`, which is level with `rival`; one of the two is the most accurate arm."""
    gap = _gap(chosen, rival)
    side = f"{points(gap.value)} points {'ahead' if chosen is arms[0] else 'behind'}"
    side = "exactly level" if abs(gap.value) < 1e-9 else side
    interval = f"95% interval {points(gap.low)} to {points(gap.high)}"
    start = f"{chosen.name} is as good as {rival.name} within the error ({side}, {interval})"
    if chosen.approach == "majority":
        reach = f"as far as {whole(test_items)} test items can show"
        return f"{start}: no arm does better than always giving the most frequent answer, {reach}."
    time = time_against(chosen, rival)
    if _ends_the_matter(chosen, arms):
        return f"{start} and costs {time}: {_not_worth_it(chosen)}."
    scratch = next((arm.name for arm in _tied(arms) if arm.approach == "scratch" and arm is not chosen), None)
    if scratch and chosen.is_pretrained:
        return (
            f"{start} and costs {time}: use it to save time, but no pre-trained arm is more accurate than {scratch}."
        )
    return f"{start} and costs {time}: use {'either' if time.startswith('about') else 'it'}."


def _ends_the_matter(arm: ArmResult, arms: Sequence[ArmResult]) -> bool:
    """True where an arm without pre-trained weights is the advice although some with them were measured."""
    return not arm.is_pretrained and any(other.is_pretrained for other in arms)


def _not_worth_it(arm: ArmResult) -> str:
    return f"no pre-trained arm beats {arm.name}, so transfer is not worth it here"


def _next_step(more: int | None, others: Sequence[str]) -> str:
    step = "They are equal on this test set."
    if more is not None:
        step = f"About {whole(more)} more test item{'s' if more > 1 else ''} would decide between them."
    if not others:
        return step
    are = "is" if len(others) == 1 else "are"
    return f"{step} {listed(others)} {are} within the error of the most accurate arm, too."


def listed(names: Sequence[str]) -> str:
    """Names as people list them.

    Example:
        >>> listed(["full"]), listed(["full", "lora", "scratch"])
        ('full', 'full, lora and scratch')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def time_against(arm: ArmResult, other: ArmResult, whose: str = "the") -> str:
    """Training time of `arm` against that of `other`, in words."""
    ours, theirs = arm.cost.train_seconds, other.cost.train_seconds
    if max(ours, theirs) < NOTICEABLE_SECONDS:
        return "about the same training time"
    if theirs <= 0:
        return f"{seconds(ours)} of training instead of none"
    return training_time(ours / theirs, whose)


def _gap(arm: ArmResult, other: ArmResult) -> Estimate:
    """How far the less accurate of the two is behind; the other one is the best arm."""
    return arm.behind_best or other.behind_best or Estimate(value=0.0, low=0.0, high=0.0)


def _with_interval(arm: ArmResult) -> str:
    estimate = arm.scores.accuracy
    value, low, high = (accuracy(x, estimate.half_width) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} (95% interval {low} to {high})"
