"""What 1000 predictions cost, with and without what is kept between them."""

from collections.abc import Callable, Sequence
from typing import Any

from hf_transfer_kit.approaches.approach import Predictor
from hf_transfer_kit.measure import Meter, flop_counter
from hf_transfer_kit.prompting.scores import Usage
from hf_transfer_kit.records import PredictionCost

TOGETHER = 32  # inputs answered at once
ALONE = 3  # inputs answered one by one, each with nothing kept from the one before


def cost_of_thousand(predictor: Predictor, inputs: Sequence[Any]) -> PredictionCost:
    """What `predictor` needs for 1000 inputs like the first ones of `inputs` on this machine; at least one input."""
    together, alone = list(inputs[:TOGETHER]), list(inputs[:ALONE])
    predictor.logits(together[:1])  # loads what is loaded once
    seconds, flops, usage = _measured(predictor, together)
    share = 1000 / len(together)
    cost = PredictionCost(
        seconds=seconds * share, flops=flops * share, seconds_uncached=seconds * share, flops_uncached=flops * share,
        tokens_in=usage.tokens_in * share, tokens_cached=usage.tokens_cached * share,
        tokens_out=usage.tokens_out * share,
    )  # fmt: skip
    if not usage.tokens_cached:
        return cost
    seconds = flops = 0.0
    for each in alone:
        took, operations, _ = _measured(predictor, [each], predictor.forget)
        seconds, flops = seconds + took, flops + operations
    share = 1000 / len(alone)
    return PredictionCost(
        seconds=cost.seconds, flops=cost.flops, seconds_uncached=seconds * share, flops_uncached=flops * share,
        tokens_in=cost.tokens_in, tokens_cached=cost.tokens_cached, tokens_out=cost.tokens_out,
    )  # fmt: skip


def billed_thousand(usage: Usage, inputs: int) -> PredictionCost:
    """What 1000 inputs cost where `inputs` of them took `usage` on another machine."""
    share = 1000 / inputs
    return PredictionCost(
        seconds=usage.seconds * share, flops=0.0, seconds_uncached=usage.seconds * share, flops_uncached=0.0,
        tokens_in=usage.tokens_in * share, tokens_cached=usage.tokens_cached * share,
        tokens_out=usage.tokens_out * share, dollars=usage.dollars * share,
    )  # fmt: skip


def _measured(
    predictor: Predictor, inputs: list[Any], before: Callable[[], None] = lambda: None
) -> tuple[float, float, Usage]:
    """(seconds, operations, tokens) of answering `inputs`; counting slows a call down, so it has one of its own."""
    before()
    with Meter() as meter:
        predictor.logits(inputs)
    before()
    with flop_counter() as counter:
        predictor.logits(inputs)
    return meter.seconds, float(counter.get_total_flops()), predictor.usage()
