"""Order, ties, advice and cautions, on answers made up for the purpose."""

import numpy as np

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.features import LayerFeatures, PassCost
from hf_transfer_kit.records import ModelIdentity
from hf_transfer_kit.transferability.measured import MeasuredModel, ScoredModel, compare_candidates
from hf_transfer_kit.transferability.result import Control
from hf_transfer_kit.transferability.ridge import RidgeAnswers
from hf_transfer_kit.transferability.scores import LayerEvidence
from hf_transfer_kit.transferability.verdict import decide

ROWS = 400
CONTROLS = tuple(
    Control(name=name, accuracy=Estimate(value=value, low=value - 0.05, high=value + 0.05))
    for name, value in (("majority", 0.1), ("TF-IDF", 0.5))
)


def hits(accuracy, shift=0):
    """(rows,) bool: `accuracy` of them True, beginning at row `shift`."""
    return np.roll(np.arange(ROWS) < round(accuracy * ROWS), shift)


def layer(answers, others=0.0):
    """`others`: what the estimators besides ridge say."""
    ridge = RidgeAnswers(hits=answers, squared_error=0.1, strength=1.0)
    return LayerEvidence(width=4, ridge=ridge, knn=hits(others), h_score=others, log_me=others)


def measured(name, best, *, last=None, random=0.2, flops=1e9, shift=0, others=None):
    """A candidate whose best layer is "1" and whose last is "2"; `flops` are of one row."""
    top = layer(hits(best, shift), others=best if others is None else others)
    layers = {"1": top, "2": top if last is None else layer(hits(last), others=0.0)}
    cost = PassCost(rows=100, seconds=1.0, cpu_seconds=1.0, flops=100 * flops, parameters=10, peak_mib=1.0)
    return MeasuredModel(
        model=ModelIdentity(name=name),
        features=LayerFeatures(layers=(), cost=cost, cached=False),
        scored=ScoredModel(evidence=layers, best="1", last="2", seconds=0.1),
        random=ScoredModel(evidence={"1": layer(hits(random))}, best="1", last="1", seconds=0.1),
    )


def verdict(*candidates, shallow=0.5, agreement=None, leaked=()):
    ordered = compare_candidates(candidates, hits(shallow), seed=0)
    return ordered, decide(ordered, CONTROLS, agreement, leaked)


def names(candidates):
    return [each.model.name for each in candidates]


def test_a_clear_lead_is_advised_whatever_it_costs():
    ordered, said = verdict(measured("cheap", 0.7, flops=1e6), measured("org/best", 0.9, flops=1e12))

    assert names(ordered) == ["org/best", "cheap"]
    assert said.advised == "org/best"
    assert "20.0 points ahead of cheap" in said.sentence
    assert not ordered[1].tied


def test_level_candidates_are_called_so_and_the_cheapest_is_advised():
    ordered, said = verdict(
        measured("dear", 0.81, flops=1e12), measured("cheap", 0.80, flops=1e6, shift=20), measured("bad", 0.6, flops=1)
    )
    assert [each.tied for each in ordered] == [True, True, False]
    assert said.advised == "cheap"
    assert "level with dear" in said.sentence


def test_differences_are_paired_over_rows():
    # One point apart on the very same rows is sure; on other rows it is not.
    same, _ = verdict(measured("a", 0.80), measured("b", 0.76))
    other, _ = verdict(measured("a", 0.80), measured("b", 0.76, shift=100))

    assert not same[1].tied
    assert other[1].tied


def test_no_estimator_moves_a_candidate_before_one_that_is_clearly_more_accurate():
    ordered, _ = verdict(measured("a", 0.9, others=0.0), measured("b", 0.6, others=0.9))
    assert names(ordered) == ["a", "b"]


def test_level_candidates_stand_by_mean_rank():
    ordered, _ = verdict(measured("a", 0.81, others=0.1), measured("b", 0.80, shift=40, others=0.9))

    assert names(ordered) == ["b", "a"]
    assert ordered[0].ranks == {"ridge": 2.0, "knn": 1.0, "h_score": 1.0, "log_me": 1.0}
    assert [each.mean_rank for each in ordered] == [1.25, 1.75]


def test_no_better_than_the_shallow_control_is_negative_transfer():
    ordered, said = verdict(measured("org/bird", 0.5), shallow=0.52)

    assert ordered[0].negative_transfer
    assert said.advised is None
    assert said.cautions[0].startswith("Negative transfer: bird, frozen (0.50), is not better than TF-IDF (0.52)")


def test_no_better_than_a_random_copy_is_negative_transfer():
    ordered, said = verdict(measured("bird", 0.8, random=0.8))
    assert ordered[0].negative_transfer
    assert "its random copy (0.800)" in said.cautions[0]


def test_a_cheaper_level_candidate_that_does_not_help_is_not_advised():
    _, said = verdict(measured("cheap", 0.8, random=0.8, flops=1), measured("dear", 0.8, flops=1e12))
    assert said.advised == "dear"


def test_upper_layers_below_the_control_are_said():
    ordered, said = verdict(measured("bird", 0.8, last=0.45))

    assert ordered[0].negative_upper_layers and not ordered[0].negative_transfer
    assert said.advised == "bird"
    assert said.cautions[0].startswith("Negative transfer in the upper layers: the last layer of bird reads 0.450")


def test_leaks_and_disagreement_are_said():
    _, said = verdict(measured("a", 0.9), agreement=0.2, leaked=(3, 5))
    assert "2 test inputs are copies or near copies" in said.cautions[0]
    assert "Kendall's W 0.20" in said.cautions[1]
