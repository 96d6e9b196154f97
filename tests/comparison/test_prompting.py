import pytest
from synthetic_records import hits, make_record, make_thousand

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import FINE_TUNED, PRETRAINED, PROMPTED, Comparison
from hf_transfer_kit.plan import (
    APPROACHES,
    CONTROLS,
    Features,
    FewShot,
    Full,
    PromptTuning,
    Prototype,
    Scratch,
    Shallow,
    ZeroShot,
)
from hf_transfer_kit.plan import PROMPTED as PROMPTED_CLASSES
from hf_transfer_kit.records import RunRecord


def arm(comparison, name):
    return next(arm for arm in comparison.arms if arm.name == name)


def test_every_approach_is_a_control_a_random_start_prompted_or_fine_tuned():
    names = [*(each.name for each in CONTROLS), *PRETRAINED, "scratch"]

    assert sorted(names) == sorted(APPROACHES)
    assert {each.name for each in PROMPTED_CLASSES} == set(PROMPTED)
    assert not set(PROMPTED) & set(FINE_TUNED)


def test_prompted_and_fine_tuned_arms_know_that_they_are():
    comparison = compare(
        [make_record(hits(10, 20), each) for each in (ZeroShot(), PromptTuning(), Features(), Shallow(), Scratch())]
    )

    kinds = {each.name: (each.is_prompted, each.is_fine_tuned, each.is_pretrained) for each in comparison.arms}
    assert kinds == {
        "zero_shot": (True, False, True),
        "prompt_tuning": (False, True, True),
        "features": (False, True, True),
        "TF-IDF": (False, False, False),
        "scratch": (False, False, False),
    }


# --- arms without labels --------------------------------------------------------------------------------------------


def sized(*records):
    """features at 50 and 100 examples, with `records`."""
    return compare(
        [*(make_record(hits(60, 100), train_size=size, seed=seed) for size in (50, 100) for seed in (0, 1)), *records]
    )


@pytest.mark.parametrize("size", [50, 100, 4000])
def test_an_arm_without_labels_is_in_the_table_whatever_its_rows_and_misses_no_seed(size):
    comparison = sized(make_record(hits(50, 100), ZeroShot(), labels=0, train_size=size))

    assert {each.name: each.train_size for each in comparison.arms} == {"features": 100, "zero_shot": size}
    assert arm(comparison, "zero_shot").labels_used == 0
    assert comparison.data.rows["train"] == 100
    assert not any("seeds" in warning or "is missing" in warning for warning in comparison.warnings)


def test_an_arm_without_labels_that_ran_at_every_size_is_there_once():
    comparison = sized(*(make_record(hits(50, 100), ZeroShot(), labels=0, train_size=size) for size in (50, 100)))

    assert [each.name for each in comparison.arms] == ["features", "zero_shot"]
    curves = {curve.name: [point.labels_used for point in curve.points] for curve in comparison.curves}
    assert curves == {"features": [70, 120], "zero_shot": [0]}


def test_an_arm_that_looks_at_labels_still_belongs_to_its_size():
    comparison = sized(make_record(hits(50, 100), ZeroShot(search=True), labels=20, train_size=50))

    assert [each.name for each in comparison.arms] == ["features"]
    assert "zero_shot has no finished run with 100 training examples" in " ".join(comparison.warnings)


def test_an_arm_that_lacks_the_largest_size_is_named_with_that_of_the_arms_with_labels():
    comparison = sized(
        make_record(hits(90, 100), ZeroShot(), labels=0, train_size=4000),
        make_record(hits(50, 100), Full(), train_size=50),
    )

    assert comparison.arms[0].name == "zero_shot"
    assert "full has no finished run with 100 training examples" in " ".join(comparison.warnings)


def test_a_second_training_size_is_not_made_by_an_arm_without_labels():
    records = [make_record(hits(60, 100)), make_record(hits(50, 100), ZeroShot(), labels=0, train_size=500)]

    assert compare(records).curves == ()


def test_prompts_alone_can_be_compared():
    records = [
        make_record(hits(50, 100), ZeroShot(), labels=0, train_size=500),
        make_record(hits(60, 100), ZeroShot(calibration="none"), labels=0, train_size=500),
    ]

    comparison = compare(records)

    assert len(comparison.arms) == 2
    assert comparison.prompting == ""
    assert comparison.data.rows["train"] == 500


def test_labels_used_are_those_the_record_names():
    comparison = compare([make_record(hits(50, 100), FewShot(), labels=16), make_record(hits(60, 100), Full())])

    assert arm(comparison, "few_shot").labels_used == 16
    assert arm(comparison, "full").labels_used == 120


# --- the sentence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompted", "trained", "start"),
    [
        (50, 90, "With 120 labels, full beats the best prompt (prototype) by 40.0 points ["),
        (90, 50, "With 120 labels, the best prompt (prototype) beats full by 40.0 points ["),
        (80, 81, "With 120 labels, full and the best prompt (prototype) are level within the error (1.0 points ["),
    ],
)
def test_with_one_size_the_sentence_is_about_the_difference_there(prompted, trained, start):
    comparison = compare(
        [
            make_record(hits(prompted, 100), Prototype(), labels=100),
            make_record(hits(10, 100), ZeroShot(), labels=0),
            make_record(hits(trained, 100), Full()),
        ]
    )

    assert comparison.prompting.startswith(start)
    low, high = (float(end) for end in comparison.prompting.split("[")[1].split("]")[0].split(", "))
    assert low <= abs(trained - prompted) <= high
    assert ("level" in start) == (low <= 0)


def test_with_several_sizes_the_sentence_is_about_the_crossover_and_your_labels():
    records = [make_record(hits(200, 400), ZeroShot(), labels=0, thousand=make_thousand(9.0))]
    for size, right in ((50, 100), (400, 350)):
        records.append(
            make_record(hits(right, 400), Full(), train_size=size, seconds=61.0, thousand=make_thousand(3.0))
        )

    text = compare(records).prompting

    assert text.startswith("Prompting is ahead below about 140 labels [")  # 70 to 420, 0.4 of the way: 70 * 6 ** 0.4
    assert text.endswith(
        "(zero_shot against full); with your 420, full pays back against zero_shot after about 10,000 predictions."
    )


def test_without_a_prompt_or_without_a_fine_tuned_arm_there_is_no_sentence():
    assert compare([make_record(hits(10, 20), Full()), make_record(hits(10, 20), Shallow())]).prompting == ""
    assert compare([make_record(hits(10, 20), ZeroShot()), make_record(hits(10, 20), Scratch())]).prompting == ""


# --- files ----------------------------------------------------------------------------------------------------------


def without(mapping, *names):
    """`mapping` without the keys `names`, at every depth."""
    if isinstance(mapping, dict):
        return {key: without(value, *names) for key, value in mapping.items() if key not in names}
    return [without(value, *names) for value in mapping] if isinstance(mapping, list) else mapping


def test_files_from_before_prompts_still_load():
    new = ("prompting", "crossover", "payback", "dollars_per_hour", "remote", "unreadable", "prompt", "thousand",
           "train_dollars")  # fmt: skip
    comparison = compare([make_record(hits(15, 20), Full()), make_record(hits(10, 20), Shallow())])
    assert Comparison.from_mapping(without(comparison.to_mapping(), *new)) == comparison

    record = make_record(hits(15, 20), Full())
    mapping = without(record.to_mapping(), "thousand", "train_dollars", "remote")
    mapping["data"] = without(mapping["data"], "labels")
    assert RunRecord.from_mapping(mapping) == record


def test_a_comparison_with_prompts_survives_its_file(tmp_path):
    records = [
        make_record(hits(50, 100), ZeroShot(), labels=0, details={"prompt": "built-in"}, thousand=make_thousand(3.0)),
        *(make_record(hits(right, 100), Full(), train_size=size, thousand=make_thousand(3.0))
          for size, right in ((50, 40), (100, 80))),
    ]  # fmt: skip
    comparison = compare(records)
    assert comparison.crossover and comparison.payback

    comparison.save(tmp_path / "comparison.json")

    assert Comparison.load(tmp_path / "comparison.json") == comparison
