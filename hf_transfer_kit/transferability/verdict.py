"""The ranking in words: which candidate to use, and what to beware of. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_transfer_kit.comparison.verdict import listed
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.reporting.quantities import accuracy, points, whole
from hf_transfer_kit.transferability.result import Candidate, Control, no_gain

LITTLE_AGREEMENT = 0.5  # of Kendall's W
LIMITS = (
    "These numbers predict frozen features with a linear head; after full fine-tuning the order can change, most "
    "likely among the level ones."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingVerdict:
    """What `Ranking` says under the same names."""

    advised: str | None
    sentence: str
    cautions: tuple[str, ...]


def decide(
    candidates: Sequence[Candidate],
    controls: Sequence[Control],
    agreement: float | None,
    leaked: Sequence[int] | None,
    alone: int = 0,
) -> RankingVerdict:
    """Which of `candidates`, in order, to use: the cheapest of those level with the most accurate that help at all.

    Args:
        alone: training rows that are the only one of their class.
    """
    level = [each for each in candidates if each.tied]
    possible = [each for each in level if not each.negative_transfer]
    helpful = [each for each in possible if not each.unclear] or possible
    cautions = [_negative(each, controls) for each in candidates if each.negative_transfer]
    cautions += [_upper_layers(each, controls) for each in candidates if each.negative_upper_layers]
    cautions += [_unclear(each, controls) for each in candidates if each.unclear and not each.negative_upper_layers]
    if alone:
        are = "row is the only one of its class" if alone == 1 else "rows are the only ones of their class"
        cautions.append(f"{whole(alone)} training {are} and cannot be answered; label more of these classes.")
    if leaked:
        are = "input is a copy or near copy" if len(leaked) == 1 else "inputs are copies or near copies"
        cautions.append(f"{whole(len(leaked))} test {are} of training inputs; test scores will look too good.")
    if agreement is not None and agreement < LITTLE_AGREEMENT:
        cautions.append(f"The four estimators order the candidates differently (Kendall's W {agreement:.2f}).")
    if not helpful:
        return RankingVerdict(advised=None, sentence=_no_advice(level, controls), cautions=tuple(cautions))
    chosen = min(helpful, key=_price)
    return RankingVerdict(
        advised=chosen.model.name, sentence=_advice(chosen, level, candidates), cautions=tuple(cautions)
    )


def _price(candidate: Candidate) -> tuple[float, float]:
    return candidate.price.flops_per_row, candidate.price.ms_per_row


def _name(candidate: Candidate) -> str:
    return short_model_name(candidate.model.name)


def _advice(chosen: Candidate, level: Sequence[Candidate], candidates: Sequence[Candidate]) -> str:
    shown = f"{_name(chosen)}, layer {chosen.layer}: accuracy {_shown(chosen)} expected of frozen features"
    if len(candidates) == 1:
        return f"{shown}."
    if len(level) == 1:
        second = min(candidates[1:], key=lambda each: each.behind.value if each.behind else 0.0)
        lead = second.behind
        by = "" if lead is None else f", {points(lead.value)} points ahead of {_name(second)}"
        return f"{shown}{by}."
    others = listed([_name(each) for each in level if each is not chosen])
    return f"{shown}; level with {others} within the error, and the cheapest of them that helps."


def _no_advice(level: Sequence[Candidate], controls: Sequence[Control]) -> str:
    shallow = controls[-1]
    otherwise = "fine-tune all of it, try other models, or train from scratch."
    if not any(no_gain(each.over_shallow) for each in level):
        return f"No candidate is better than a random copy of itself when frozen: {otherwise}"
    reached = accuracy(shallow.accuracy.value, shallow.accuracy.half_width)
    return f"No candidate is better than {shallow.name} ({reached}) when frozen: use that, or {otherwise}"


def _shown(candidate: Candidate) -> str:
    estimate = candidate.accuracy
    value, low, high = (accuracy(x, estimate.half_width) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} (95% interval {low} to {high})"


def _negative(candidate: Candidate, controls: Sequence[Control]) -> str:
    half = candidate.accuracy.half_width
    return (
        f"Negative transfer: {_name(candidate)}, frozen ({accuracy(candidate.accuracy.value, half)}), is not better "
        f"than {' or '.join(_rivals(candidate, controls))} beyond the error; do not freeze it: fine-tune all of it, "
        "choose another model, or train from scratch."
    )


def _unclear(candidate: Candidate, controls: Sequence[Control]) -> str:
    half = candidate.accuracy.half_width
    return (
        f"Too few rows to tell whether {_name(candidate)}, frozen ({accuracy(candidate.accuracy.value, half)}), is "
        f"better than {' or '.join(_rivals(candidate, controls))}; label more."
    )


def _rivals(candidate: Candidate, controls: Sequence[Control]) -> list[str]:
    """The controls that it is not known to be better than, with their accuracy."""
    half, value = candidate.accuracy.half_width, candidate.accuracy.value
    gains = {controls[-1].name: candidate.over_shallow, "its random copy": candidate.over_random}
    return [
        f"{name} ({accuracy(value - gain.value, half)})"
        for name, gain in gains.items()
        if gain is not None and not gain.above_zero
    ]


def _upper_layers(candidate: Candidate, controls: Sequence[Control]) -> str:
    half = candidate.accuracy.half_width
    help_ = "may help" if candidate.unclear else "help"
    return (
        f"Negative transfer in the upper layers: the last layer of {_name(candidate)} reads "
        f"{accuracy(candidate.last_layer, half)}, no better than {controls[-1].name} "
        f"({accuracy(controls[-1].accuracy.value, half)}); only lower layers {help_} (layer {candidate.layer}: "
        f"{accuracy(candidate.accuracy.value, half)}). Keep to that layer, fine-tune all of it, or choose another "
        "model."
    )
