"""What was measured stands beside the rules, and is followed where they disagree."""

import pytest
from advisor.made_rankings import around, candidate, ranking

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.at_hand.measuring import candidates_of, evidence_of
from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import memory_by_parameters
from hf_transfer_kit.advisor.rules import advise
from hf_transfer_kit.errors import FormatError

TEXTS = {"modality": "text", "task": "classification", "compute": "gpu"}


def with_evidence(measured, **facts):
    return advise(TaskFacts(**TEXTS | facts), evidence=evidence_of(measured))


def said(advice, rule):
    return [each.text for each in (*advice.reasons, *advice.warnings) if each.rule == rule]


def test_features_that_leave_nothing_to_gain_are_the_advice_however_many_labels_there_are():
    measured = ranking(candidate("me/mine", 0.995, half=0.01))
    alone, advice = advise(TaskFacts(**TEXTS, n_labelled=50_000)), with_evidence(measured, n_labelled=50_000)

    assert (alone.method, advice.method) == ("full", "features")
    assert said(advice, "M1")
    assert "full fine-tuning" in said(advice, "M4")[0] and "feature extraction" in said(advice, "M4")[0]
    assert advice.plan["approach"]["name"] == "features"


def test_an_interval_that_reaches_below_98_percent_is_not_enough():
    advice = with_evidence(ranking(candidate("me/mine", 0.985, half=0.01)), n_labelled=50_000, n_classes=2)

    assert advice.method != "features"
    assert not said(advice, "M1")


def test_validation_rows_that_are_answered_worse_speak_against_enough():
    """Rows that come in groups answer for each other: leave-one-out is too good then."""
    grouped = ranking(candidate("me/mine", 0.995, half=0.01))
    facts = TaskFacts(**TEXTS, n_labelled=50_000)
    trusted, warned = (evidence_of(grouped, around(value, 0.001)) for value in (0.995, 0.9))

    assert (trusted.frozen, warned.frozen) == ("enough", "falls_short")
    assert not any("validation" in each for each in trusted.cautions)
    assert "0.900" in warned.cautions[-1] and "Trust validation" in warned.cautions[-1]
    assert [advise(facts, evidence=each).method for each in (trusted, warned)] == ["features", "gradual"]


@pytest.mark.parametrize(
    ("labels", "method", "rule"), [(60, "features", "M3"), (500, "full", "M2"), (50_000, "full", "M2")]
)
def test_where_no_frozen_candidate_helps_all_of_it_is_trained_if_there_are_labels(labels, method, rule):
    useless = candidate("me/mine", 0.5, over_shallow=-0.1, last_over_shallow=-0.1)
    advice = with_evidence(ranking(useless, advised=None), n_labelled=labels, similarity="same")

    assert advice.method == method
    assert said(advice, rule)
    assert any("said to be near" in text for text in said(advice, "M4"))
    assert advice.models[0].hub_id == "me/mine"  # the most accurate of them


@pytest.mark.parametrize(
    ("accuracy", "last", "last_gain", "similarity"),
    [
        (0.85, 0.85, 0.2, "same"),  # 15 errors where the control has 40
        (0.75, 0.75, 0.2, "moderate"),  # 25 of 40
        (0.85, 0.70, 0.2, "moderate"),  # the last layer does not serve
        (0.85, 0.60, 0.0, "different"),  # it is no better than the control
    ],
)
def test_similarity_is_how_far_up_the_features_serve(accuracy, last, last_gain, similarity):
    measured = ranking(candidate("me/mine", accuracy, last=last, last_over_shallow=last_gain))

    assert evidence_of(measured).similarity == similarity


def test_with_too_few_rows_to_tell_nothing_is_opened_yet():
    unclear = candidate("me/mine", 0.7, half=0.2, over_shallow=0.0, gain_half=0.3)
    told = evidence_of(ranking(unclear))
    advice = with_evidence(ranking(unclear), n_labelled=500)

    assert (told.frozen, told.similarity) == ("unclear", None)
    assert advise(TaskFacts(**TEXTS, n_labelled=500)).method == "top_layers"
    assert advice.method == "features" and "KIT16" in {reason.rule for reason in advice.reasons}
    assert (
        with_evidence(ranking(unclear), n_labelled=50_000).method != "features"
    )  # so many that the rules know better
    assert advice.plan["model"]["name"] == "me/mine"


def test_a_similarity_that_was_told_is_kept_unless_nothing_frozen_helps():
    facts = TaskFacts(**TEXTS, similarity="moderate")
    good, bad = candidate("me/mine", 0.85), candidate("me/mine", 0.5, over_shallow=-0.1)

    assert evidence_of(ranking(good)).added_to(facts).similarity == "moderate"
    assert evidence_of(ranking(good)).added_to(TaskFacts(**TEXTS)).similarity == "same"
    assert evidence_of(ranking(bad, advised=None)).added_to(facts).similarity == "different"


@pytest.mark.parametrize("last", [0.97, 0.9])  # measured similarity: same, moderate
@pytest.mark.parametrize(("labels", "method"), [(40 * 49, "features"), (40 * 50, "top_layers")])
def test_features_that_help_are_not_fine_tuned_with_few_labels_a_class(labels, method, last):
    """Of 40 classes: in benchmarks/crossover features stand above top_layers and full below some 50 of a class."""
    measured = ranking(candidate("me/mine", 0.97, last=last))
    advice = with_evidence(measured, n_labelled=labels, n_classes=40)

    assert advice.method == method
    assert bool(said(advice, "M6")) == (method == "features")
    assert advise(TaskFacts(**TEXTS, n_labelled=labels, n_classes=40)).method == "top_layers"


@pytest.mark.parametrize(("labels", "method", "rule"), [(40 * 49, "features", "M6"), (40 * 50, "gradual", "M7")])
def test_features_that_fall_short_open_more_layers_once_there_are_labels_for_it(labels, method, rule):
    """In benchmarks/advice top_layers stays below the features, and gradual unfreezing is four points above them."""
    advice = with_evidence(ranking(candidate("me/mine", 0.85)), n_labelled=labels, n_classes=40)

    assert advice.method == method
    assert said(advice, rule)


def test_where_only_lower_layers_help_few_labels_are_no_reason_to_freeze():
    measured = ranking(candidate("me/mine", 0.85, last=0.6, last_over_shallow=0.0))

    assert with_evidence(measured, n_labelled=800, n_classes=40).method == "gradual"


def test_the_plan_starts_from_the_model_that_was_measured_best():
    advice = with_evidence(ranking(candidate("me/mine", 0.96), failed=["bert"]), n_labelled=2000, n_classes=2)

    assert advice.models[0].hub_id == advice.plan["model"]["name"] == "me/mine"
    assert advice.facts == TaskFacts(**TEXTS, n_labelled=2000, n_classes=2)  # what was told, not what was measured
    assert "BERT base, which was not measured" in said(advice, "M4")[0]
    assert said(advice, "M5") == ["Careful with this."]
    assert advice.evidence.failures == ("bert is not here.",)


def test_the_model_a_person_wants_stays_and_the_measurement_is_told():
    advice = with_evidence(ranking(candidate("me/mine", 0.96)), n_labelled=2000, base_model="you/yours")

    assert advice.plan["model"]["name"] == "you/yours"
    assert "as you wish" in said(advice, "M4")[0]


def test_a_measurement_that_agrees_changes_no_word_of_the_decision():
    alone = advise(TaskFacts(**TEXTS, n_labelled=500, n_classes=2, similarity="moderate"))
    measured = ranking(candidate(alone.models[0].hub_id, 0.96))
    advice = with_evidence(measured, n_labelled=500, n_classes=2, similarity="moderate")

    assert (advice.method, advice.models, advice.plan) == (alone.method, alone.models, alone.plan)
    assert not said(advice, "M4")


def test_what_is_measured_is_what_the_rules_name_and_one_made_for_frozen_use():
    texts = decide(TaskFacts(**TEXTS, n_labelled=500), memory_by_parameters)
    images = decide(TaskFacts(modality="image", n_labelled=500), memory_by_parameters)

    assert candidates_of(texts, "en")[-1] == "sentence-transformers/all-MiniLM-L6-v2"
    assert candidates_of(texts, "de") == tuple(model.hub_id for model in texts.models[:3])
    assert len(candidates_of(images, None)) == 3


def test_advice_with_evidence_goes_through_json_unchanged():
    advice = with_evidence(ranking(candidate("me/mine", 0.85)), n_labelled=500)

    assert Advice.from_mapping(advice.to_mapping()) == advice


def test_evidence_comes_back_from_its_file_and_anything_else_is_refused(tmp_path):
    found = evidence_of(ranking(candidate("me/mine", 0.9)), around(0.88))
    found.save(tmp_path / "evidence.json")
    assert Evidence.load(tmp_path / "evidence.json") == found

    for wrong in ({}, {"format": "hf_transfer_kit.ranking", "version": 1}, found.to_mapping() | {"rows": "many"}):
        with pytest.raises(FormatError):
            Evidence.from_mapping(wrong)
    with pytest.raises(FormatError, match="does not exist"):
        Evidence.load(tmp_path / "nowhere.json")
