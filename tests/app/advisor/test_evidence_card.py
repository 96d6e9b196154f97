"""What was measured, as a card: dots, intervals, numbers."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from advisor.made_rankings import around, candidate, ranking

from hf_transfer_kit.advisor.at_hand.measuring import evidence_of
from hf_transfer_kit.app.advisor.evidence_card import HELD_OUT, evidence_card
from hf_transfer_kit.app.advisor.evidence_plot import LEFT, RIGHT, WIDTH, Axis, Dot, dot_plot

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def evidence():
    measured = ranking(candidate("me/best", 0.9), candidate("you/other", 0.8, behind=0.1), failed=("org/away",))
    return evidence_of(measured, around(0.87))


def svg_of(card):
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", card)[0])


def test_every_candidate_and_control_has_its_dot_and_its_line_in_the_table(evidence):
    card = evidence_card(evidence)
    groups = svg_of(card).findall("g")

    assert [group.find("text").text for group in groups] == ["best", HELD_OUT, "other", "majority", "TF-IDF"]
    assert [group.get("class") for group in groups] == [
        "tk-advised", "tk-candidate", "tk-candidate", "tk-control", "tk-control",
    ]  # fmt: skip
    assert card.count("<tr") == 1 + 5
    for words in ("0.900", "0.880 to 0.920", "advised", "control", "800 training rows", "org/away is not here."):
        assert words in card


def test_a_dot_stands_where_its_value_is_and_its_line_spans_the_interval():
    plot = ElementTree.fromstring(dot_plot([Dot(name="m", value=0.5, low=0.0, high=1.0, kind="control")], "Accuracy"))
    line, circle = plot.find("g/line"), plot.find("g/circle")

    assert (float(line.get("x1")), float(line.get("x2"))) == (LEFT, WIDTH - RIGHT)
    assert float(circle.get("cx")) == pytest.approx((LEFT + WIDTH - RIGHT) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 0.0), (1.0, 1.0), (0.6, 0.6), (0.0, 1.0), (0.949, 0.951), (0.62, 0.9)]
)
def test_the_axis_holds_all_values_within_nought_and_one(low, high):
    ticks = Axis(low=low, high=high).ticks

    assert 2 <= len(ticks) <= 6
    assert 0 <= ticks[0] <= low + 1e-9 and high - 1e-9 <= ticks[-1] <= 1
    assert list(ticks) == sorted(set(ticks))


def test_the_plot_says_its_numbers_to_those_who_do_not_see_it(evidence):
    plot = svg_of(evidence_card(evidence))

    assert plot.get("role") == "img"
    assert "best 0.90 (0.88 to 0.92)" in plot.get("aria-label")


def test_where_no_candidate_helps_none_is_called_advised():
    useless = candidate("me/mine", 0.5, over_shallow=-0.1, last_over_shallow=-0.1)
    card = evidence_card(evidence_of(ranking(useless, advised=None)))

    assert "advised" not in card
    assert "negative transfer" in card


def test_what_comes_from_models_and_data_is_text(evidence):
    first = replace(evidence.candidates[0], name=SCRIPT)
    card = evidence_card(
        replace(evidence, candidates=(first,), model=SCRIPT, data=SCRIPT, sentence=SCRIPT, cautions=(SCRIPT,) * 3,
                failures=(SCRIPT,))
    )  # fmt: skip

    assert "<script" not in card


def test_where_nothing_was_measured_there_is_no_card():
    assert evidence_card(None) == ""
    assert dot_plot([], "Accuracy") == ""
