"""Rankings made up for the purpose."""

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.records import ModelIdentity
from hf_transfer_kit.transferability.result import Candidate, Control, FailedCandidate, PassPrice, Ranking


def around(value, half=0.02):
    return Estimate(value=value, low=value - half, high=min(value + half, 1.0))


def candidate(
    name, value, *, last=None, half=0.02, over_shallow=0.2, gain_half=0.02, last_over_shallow=0.2, behind=None
):  # fmt: skip
    """`last`: accuracy on the last layer, the best one's if not given; gains over the shallow control."""
    return Candidate(
        model=ModelIdentity(name=name), layers=(), layer="3", accuracy=around(value, half),
        last_layer=value if last is None else last, ranks={"ridge": 1.0}, mean_rank=1.0,
        behind=None if behind is None else around(behind), over_random=None,
        over_shallow=around(over_shallow, gain_half),
        last_layer_over_shallow=around(last_over_shallow),
        price=PassPrice(ms_per_row=1.0, flops_per_row=1.0, parameters=10, estimator_seconds=0.1, cached=False),
    )  # fmt: skip


def ranking(*candidates, advised="first", shallow=0.6, failed=()):
    """The first candidate is the advised one; None: none helps."""
    controls = (Control(name="majority", accuracy=around(0.1)), Control(name="TF-IDF", accuracy=around(shallow)))
    return Ranking(
        data="reviews.csv", rows=800, classes=4, candidates=candidates, controls=controls,
        failures=tuple(FailedCandidate(model=name, message=f"{name} is not here.") for name in failed),
        advised=candidates[0].model.name if advised == "first" else advised, sentence="What the ranking says.",
        cautions=("Careful with this.",),
    )  # fmt: skip
