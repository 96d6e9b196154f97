"""After how many predictions fine-tuning pays back: what it costs once against what it saves on every prediction.

Where both arms run on this machine they are compared in its seconds. Where one is billed, everything is in dollars,
and the seconds of this machine need a price. The labels themselves are not priced. Imports no torch.
"""

from hf_transfer_kit.comparison.prompt_result import Payback
from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.records import PredictionCost

_EQUAL = 0.1  # two costs within a tenth of each other are as good as equal: wall times are no better known
_SAME = 0.01  # counted operations are exact; a hundredth is the little that heads differ by


def payback_of(trained: ArmResult, prompting: ArmResult, dollars_per_hour: float | None) -> Payback | None:
    """What `trained` costs against `prompting`; None where 1000 predictions of one of them were not measured."""
    if trained.cost.thousand is None or prompting.cost.thousand is None:
        return None
    arms = (trained, prompting)
    if any(arm.remote for arm in arms):
        if missing := _missing(arms, dollars_per_hour):
            return Payback(trained=trained.name, prompting=prompting.name, unit="dollars", missing=missing)
        unit = "dollars"
        ours, theirs = (_dollars(arm, dollars_per_hour or 0.0) for arm in arms)
    else:
        unit = "seconds"
        ours, theirs = (_seconds(arm) for arm in arms)
    return Payback(
        trained=trained.name,
        prompting=prompting.name,
        unit=unit,
        one_off=ours[0] - theirs[0],
        saved=theirs[1] - ours[1],
        saved_uncached=theirs[2] - ours[2],
        equal=_equal(theirs[1], ours[1]) or _same_work(arms, "flops"),
        equal_uncached=_equal(theirs[2], ours[2]) or _same_work(arms, "flops_uncached"),
    )


def break_even(one_off: float, saved: float) -> float | None:
    """Predictions after which `one_off` is won back at `saved` per 1000; 0: at once, None: never.

    Example:
        >>> break_even(24.0, 2.0), break_even(-1.0, 2.0), break_even(24.0, -2.0)
        (12000.0, 0.0, None)
    """
    if one_off <= 0 and saved >= 0:
        return 0.0
    return 1000 * one_off / saved if saved > 0 else None


def total_dollars(arm: ArmResult, dollars_per_hour: float | None) -> float | None:
    """What 1000 predictions of `arm` cost; None where that is not known."""
    cost = arm.cost.thousand
    if cost is None or (not arm.remote and dollars_per_hour is None):
        return None
    return cost.dollars if arm.remote else cost.dollars + cost.seconds / 3600 * (dollars_per_hour or 0.0)


def _seconds(arm: ArmResult) -> tuple[float, float, float]:
    """Once, per 1000 predictions, and per 1000 where nothing is kept between them."""
    cost = _thousand(arm)
    return arm.cost.train_seconds, cost.seconds, cost.seconds_uncached


def _dollars(arm: ArmResult, dollars_per_hour: float) -> tuple[float, float, float]:
    """The same; of a remote arm only what is billed counts."""
    billed, cost = arm.cost.train_dollars, _thousand(arm)
    if arm.remote:
        return billed, cost.dollars, cost.dollars
    once, kept, uncached = (seconds / 3600 * dollars_per_hour for seconds in _seconds(arm))
    return billed + once, cost.dollars + kept, cost.dollars + uncached


def _missing(arms: tuple[ArmResult, ArmResult], dollars_per_hour: float | None) -> str:
    if any(arm.remote and _thousand(arm).dollars == 0 for arm in arms):
        return "the price of the remote model"
    if dollars_per_hour is None:
        return "the price of this machine (--dollars-per-hour)"
    return ""


def _thousand(arm: ArmResult) -> PredictionCost:
    if arm.cost.thousand is None:
        raise LookupError(f"1000 predictions of {arm.name} were not measured")
    return arm.cost.thousand


def _same_work(arms: tuple[ArmResult, ArmResult], field: str) -> bool:
    """Whether both run here and compute the same: their seconds then differ by what else the machine had to do."""
    ours, theirs = (getattr(_thousand(arm), field) for arm in arms)
    return not any(arm.remote for arm in arms) and ours > 0 and abs(ours - theirs) <= _SAME * ours


def _equal(first: float, second: float) -> bool:
    return abs(first - second) <= _EQUAL * max(first, second)
