"""Order, ties, advice and cautions, on answers made up for the purpose."""

import dataclasses

import numpy as np

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.features import LayerFeatures, PassCost
from hf_transfer_kit.probe import LeaveOneOut
from hf_transfer_kit.records import ModelIdentity
from hf_transfer_kit.transferability.measured import MeasuredModel, ScoredModel, compare_candidates
from hf_transfer_kit.transferability.result import Control
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
    ridge = LeaveOneOut(hits=answers, squared_error=0.1, strength=1.0)
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


def few(answers):
    """`answers`, (rows,), as hits."""
    return np.array(answers, dtype=bool)


def tiny_sample(name, *, flops=1e9, random=(1, 1, 0, 0, 1, 0, 1, 1)):
    """Eight rows, seven of them right; a random copy with five."""
    found = layer(few([1, 1, 1, 1, 1, 1, 1, 0]))
    copy = ScoredModel(evidence={"1": layer(few(random))}, best="1", last="1", seconds=0.1)
    return dataclasses.replace(
        measured(name, 0.9, flops=flops),
        scored=ScoredModel(evidence={"1": found, "2": found}, best="1", last="2", seconds=0.1),
        random=copy,
    )


def test_too_few_rows_are_no_negative_transfer():
    ordered = compare_candidates([tiny_sample("bird")], few([1, 0, 1, 0, 1, 1, 0, 1]), seed=0)
    said = decide(ordered, CONTROLS, None, ())

    assert (ordered[0].negative_transfer, ordered[0].negative_upper_layers, ordered[0].unclear) == (False, False, True)
    assert said.advised == "bird"
    assert said.cautions == (
        "Too few rows to tell whether bird, frozen (0.88), is better than TF-IDF (0.62) or its random copy (0.62); "
        "label more.",
    )


def test_of_level_candidates_one_that_surely_helps_goes_before_a_cheaper_one_that_may():
    sure = tiny_sample("sure", flops=1e12, random=[0] * 8)
    ordered = compare_candidates([tiny_sample("cheap", flops=1), sure], few([0] * 8), seed=0)

    assert {each.model.name: each.unclear for each in ordered} == {"cheap": True, "sure": False}
    assert decide(ordered, CONTROLS, None, ()).advised == "sure"


def test_where_nothing_helps_the_control_that_does_as_well_is_named():
    _, said = verdict(measured("bird", 0.5), shallow=0.52)
    assert said.sentence.startswith("No candidate is better than TF-IDF (0.50) when frozen: use that, or fine-tune")
    _, said = verdict(measured("bird", 0.8, random=0.8), shallow=0.5)
    assert said.sentence.startswith("No candidate is better than a random copy of itself when frozen: fine-tune")


def test_each_control_is_compared_with_its_own():
    ordered, said = verdict(measured("a", 0.9, random=0.2), shallow=0.7)
    assert round(ordered[0].over_shallow.value, 6) == 0.2
    assert round(ordered[0].over_random.value, 6) == 0.7
    assert ordered[0].behind is None
    assert said.cautions == ()


def test_the_last_layer_is_compared_with_the_shallow_control_and_not_with_the_best_layer():
    ordered, _ = verdict(measured("a", 0.8, last=0.6), shallow=0.5)
    assert round(ordered[0].last_layer_over_shallow.value, 6) == 0.1
    assert ordered[0].last_layer == 0.6
    assert not ordered[0].negative_upper_layers


def slowed(candidate):
    cost = dataclasses.replace(candidate.features.cost, seconds=9.0)
    return dataclasses.replace(candidate, features=dataclasses.replace(candidate.features, cost=cost))


def test_equal_work_is_told_apart_by_time():
    slow, fast = slowed(measured("slow", 0.81)), measured("fast", 0.80, shift=20)
    assert verdict(slow, fast)[1].advised == "fast"


def test_work_counts_before_time_which_differs_between_machines():
    little, much = slowed(measured("little", 0.81, flops=1e6)), measured("much", 0.80, flops=1e9, shift=20)
    assert verdict(little, much)[1].advised == "little"


def test_the_lead_is_over_the_second_best():
    _, said = verdict(measured("best", 0.9), measured("worst", 0.5, others=0.7), measured("second", 0.8, others=0.6))
    assert "10.0 points ahead of second" in said.sentence


def test_of_level_candidates_with_equal_mean_rank_the_more_accurate_one_is_first():
    first, second = measured("a", 0.80), measured("b", 0.81, shift=20)
    for each, (knn, h, evidence) in ((first, (0.2, 0.9, 0.9)), (second, (0.9, 0.1, 0.2))):
        best = dataclasses.replace(each.scored.evidence["1"], knn=hits(knn), h_score=h, log_me=evidence)
        each.scored.evidence["1"] = best
    ordered, _ = verdict(first, second)

    assert [each.mean_rank for each in ordered] == [1.5, 1.5]
    assert names(ordered) == ["b", "a"]


def test_candidates_are_ranked_by_their_best_layers():
    ordered, _ = verdict(measured("a", 0.9, last=0.1), measured("b", 0.6, last=0.6))
    assert ordered[0].ranks == {"ridge": 1.0, "knn": 1.0, "h_score": 1.0, "log_me": 1.0}


def test_every_candidate_that_does_not_help_is_said_and_once():
    _, said = verdict(measured("a", 0.5), measured("b", 0.49), shallow=0.52)
    assert [caution.split(",")[0] for caution in said.cautions] == ["Negative transfer: a", "Negative transfer: b"]


def test_rows_alone_in_their_class_are_said():
    ordered = compare_candidates([measured("a", 0.9)], hits(0.5), seed=0)
    assert decide(ordered, CONTROLS, None, (), alone=1).cautions == (
        "1 training row is the only one of its class and cannot be answered; label more of these classes.",
    )
    assert decide(ordered, CONTROLS, None, (), alone=0).cautions == ()


def test_where_the_upper_layers_do_not_help_and_the_lower_ones_may_it_is_said_once():
    scored = measured("bird", 0.55, last=0.3).scored
    rows = slice(0, 400, 8)  # fifty rows: five points cannot be told from nothing
    few_rows = {name: layer(each.ridge.hits[rows], others=each.h_score) for name, each in scored.evidence.items()}
    bird = dataclasses.replace(
        measured("bird", 0.55),
        scored=dataclasses.replace(scored, evidence=few_rows),
        random=ScoredModel(evidence={"1": layer(hits(0.0)[rows])}, best="1", last="1", seconds=0.1),
    )
    ordered = compare_candidates([bird], hits(0.5, 100)[rows], seed=0)
    said = decide(ordered, CONTROLS, None, ())

    assert ordered[0].unclear and ordered[0].negative_upper_layers
    assert len(said.cautions) == 1
    assert "only lower layers may help" in said.cautions[0]


def test_leaks_and_disagreement_are_said():
    _, said = verdict(measured("a", 0.9), agreement=0.2, leaked=(3, 5))
    assert "2 test inputs are copies or near copies" in said.cautions[0]
    assert "Kendall's W 0.20" in said.cautions[1]
