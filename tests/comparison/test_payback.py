import dataclasses

import pytest
from synthetic_records import hits, make_record, make_thousand

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.payback import break_even
from hf_transfer_kit.comparison.prompting_verdict import pays
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import Features, FewShot, Full, Remote, Shallow, ZeroShot

REMOTE = Remote(url="http://127.0.0.1:1/v1", price_in=1.0, max_dollars=1.0)


def compared(prompt, trained, *, once=(1.0, 25.0), price=None, remote=None, dollars=0.0):
    """few_shot against full; `prompt` and `trained`: 1000 predictions, `once`: seconds before the first."""
    records = [
        make_record(
            hits(60, 100),
            FewShot(),
            labels=16,
            seconds=once[0],
            thousand=prompt,
            remote=remote,
            train_dollars=dollars,
            model="hub/chat" if remote else "hub/mini",
        ),
        make_record(hits(90, 100), Full(), seconds=once[1], thousand=trained),
        make_record(hits(50, 100), Shallow(), thousand=make_thousand(0.1)),
    ]
    return compare(records, dollars_per_hour=price)


def test_what_is_paid_once_is_divided_by_what_each_prediction_saves():
    comparison = compared(make_thousand(10.0, 400.0), make_thousand(4.0))

    payback = comparison.payback
    assert (payback.trained, payback.prompting, payback.unit) == ("full", "few_shot", "seconds")
    assert payback.one_off == pytest.approx(24)
    assert payback.saved == pytest.approx(6)
    assert payback.saved_uncached == pytest.approx(396)
    assert comparison.prompting.endswith(  # 24 s at 6 ms, and at 396 ms
        "; full pays back against few_shot after about 4000 predictions, after about 61 predictions where the prompt "
        "is read again for every prediction."
    )


def test_the_same_number_with_and_without_a_cache_is_said_once():
    text = compared(make_thousand(10.0), make_thousand(4.0)).prompting

    assert text.endswith("; full pays back against few_shot after about 4000 predictions.")


@pytest.mark.parametrize(
    ("once", "seconds", "words"),
    [
        ((1, 25), 5.0, "never pays back against few_shot (its predictions cost more)"),
        ((1, 25), 10.2, "never pays back against few_shot (its predictions cost as much)"),  # within a tenth
        ((30, 25), 10.2, "pays back against few_shot from the first prediction on"),
        ((30, 25), 20.0, "pays back against few_shot from the first prediction on"),
        # 5 s saved once, 5 ms lost on each
        ((30, 25), 5.0, "pays back against few_shot only up to about 1000 predictions (they cost more)"),
    ],
)
def test_what_never_pays_and_what_pays_at_once(once, seconds, words):
    text = compared(make_thousand(seconds), make_thousand(10.0), once=once).prompting

    assert text.endswith(f"; full {words}.")


def test_seconds_that_differ_for_the_same_operations_are_the_chance_of_a_busy_machine():
    prompt, trained = make_thousand(27.0, 500.0), make_thousand(10.0)
    same = dataclasses.replace(prompt, flops=trained.flops * 1.001)

    assert compared(prompt, trained).payback.equal is False
    assert compared(same, trained).prompting.endswith(
        "; full never pays back against few_shot (its predictions cost as much), but after about 49 predictions where "
        "the prompt is read again for every prediction."
    )
    uncounted = dataclasses.replace(prompt, flops=0.0), dataclasses.replace(trained, flops=0.0)
    assert compared(*uncounted).payback.equal is False


def test_break_even_is_where_both_have_cost_the_same():
    for one_off, saved in ((24.0, 6.0), (0.5, 3.0), (1e4, 1e-3)):
        predictions = break_even(one_off, saved)

        assert one_off - predictions / 1000 * saved == pytest.approx(0, abs=1e-9 * one_off)
    assert break_even(5.0, 0.0) is None
    assert pays(0.0005, 1.0, equal=False) == "after about 1 prediction"


def test_what_is_billed_is_compared_in_dollars_once_this_machine_has_a_price():
    billed, here = make_thousand(30.0, dollars=2.0), make_thousand(3600.0)

    comparison = compared(billed, here, once=(60.0, 7200.0), price=1.5, remote=REMOTE, dollars=0.5)

    payback = comparison.payback
    assert payback.unit == "dollars"
    assert payback.one_off == pytest.approx(2 * 1.5 - 0.5)  # two hours here; the minutes of waiting cost nothing
    assert payback.saved == pytest.approx(2.0 - 1.5)
    assert "full · mini pays back against few_shot · chat after about 5000 predictions" in comparison.prompting
    assert comparison.measurement.dollars_per_hour == 1.5


def test_what_is_missing_for_a_price_is_named():
    here = make_thousand(3600.0)

    without_price = compared(make_thousand(30.0, dollars=2.0), here, remote=REMOTE)
    without_bill = compared(make_thousand(30.0), here, remote=REMOTE, price=1.0)

    assert without_price.prompting.endswith(
        "; whether full · mini pays back against few_shot · chat is open without the price of this machine "
        "(--dollars-per-hour)."
    )
    assert without_bill.prompting.endswith("is open without the price of the remote model.")


def test_a_price_changes_nothing_where_nothing_is_billed():
    with_price = compared(make_thousand(10.0), make_thousand(4.0), price=3.0)

    assert with_price.payback == compared(make_thousand(10.0), make_thousand(4.0)).payback


def test_a_negative_price_is_refused():
    with pytest.raises(PlanError, match="dollars_per_hour=-1"):
        compared(make_thousand(1.0), make_thousand(1.0), price=-1)


def test_records_without_the_cost_of_1000_predictions_have_no_payback():
    comparison = compared(None, make_thousand(4.0))

    assert comparison.payback is None
    assert "pays back" not in comparison.prompting
    assert comparison.prompting.startswith("With 120 labels, full beats the best prompt (few_shot) by 30.0 points [")


def test_the_recommended_arm_is_the_one_that_must_pay_back():
    records = [
        make_record(hits(60, 100), ZeroShot(), labels=0, thousand=make_thousand(10.0)),
        make_record(hits(91, 100), Full(), seconds=100, thousand=make_thousand(4.0)),
        make_record(hits(90, 100), Features(), seconds=1, thousand=make_thousand(4.0)),
    ]

    comparison = compare(records)

    assert comparison.recommended == comparison.payback.trained == "features"


def test_costs_of_1000_predictions_are_means_over_the_seeds_and_none_where_one_lacks_them():
    records = [make_record(hits(15, 20), seed=seed, thousand=make_thousand(s)) for seed, s in enumerate((2.0, 4.0))]
    assert compare(records).arms[0].cost.thousand == make_thousand(3.0)

    lacking = [records[0], dataclasses.replace(records[1], cost=dataclasses.replace(records[1].cost, thousand=None))]
    assert compare(lacking).arms[0].cost.thousand is None


def test_payback_and_price_survive_the_file(tmp_path):
    comparison = compared(make_thousand(30.0, dollars=2.0), make_thousand(4.0), price=2.0, remote=REMOTE)

    comparison.save(tmp_path / "comparison.json")

    assert Comparison.load(tmp_path / "comparison.json") == comparison
