"""Every check on small data of which the findings are known by construction."""

import io

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pictures

from hf_transfer_kit.checking.checks import check_data
from hf_transfer_kit.data.labelled import LabelledData

SUBJECTS = ["my cat", "the old mayor", "a tall sailor", "our neighbour", "every pupil", "that doctor", "no baker"]
VERBS = ["paints", "forgets", "borrows", "understands", "questions", "sells", "photographs", "admires", "repairs"]
OBJECTS = [
    "a yellow bicycle",
    "three letters",
    "the harbour",
    "some music",
    "her umbrella",
    "old maps",
    "big pumpkins",
]


def sentences(part, count):
    """`count` sentences, none like another one, of this part or another one."""
    places = range({"train": 0, "validation": 150, "test": 200}[part], 400)[:count]
    return [f"{SUBJECTS[i % 7]} {VERBS[i % 9]} {OBJECTS[(i // 7) % 7]} {i * 7919 + 1000003}" for i in places]


def rows_of(part, count, classes=2):
    return [(text, i % classes) for i, text in enumerate(sentences(part, count))]


def data_of(train=(), validation=(), test=(), *, names=("no", "yes"), clean=True, task="text-classification"):
    """The given rows after clean ones, or alone."""
    given = {"train": train, "validation": validation, "test": test}
    sizes = {"train": 120, "validation": 40, "test": 120}
    rows = {part: (rows_of(part, sizes[part]) if clean else []) + list(given[part]) for part in given}
    value = Value("string") if task == "text-classification" else Image(decode=False)
    features = Features({"input": value, "label": Value("int64")})
    parts = {
        part: Dataset.from_dict({"input": [x for x, _ in some], "label": [y for _, y in some]}, features=features)
        for part, some in rows.items()
    }
    return LabelledData(
        task=task,
        label_names=tuple(names),
        **parts,
        input_column="text",
        label_column="label",
        hashes=dict.fromkeys(parts, ""),
        origins={part: f"{part}.csv" for part in parts},
        source_rows={part: np.arange(len(some)) for part, some in rows.items()},
    )


def kinds(report):
    return [finding.kind for finding in report.findings]


def only(report, kind):
    [finding] = [finding for finding in report.findings if finding.kind == kind]
    return finding


def test_clean_data_has_no_findings():
    report = check_data(data_of())
    assert report.findings == () and report.leaked_test_rows == ()
    assert report.rows == {"train": 120, "validation": 40, "test": 120} and report.classes == 2


def test_a_test_row_that_is_a_copy_of_a_training_row_is_a_leak():
    report = check_data(data_of(train=[("Is it raining?", 0)], test=[("is it  raining", 0)]))
    finding = only(report, "leaked_exact")
    assert kinds(report) == ["leaked_exact"]
    assert report.leaked_test_rows == finding.rows == (120,)
    assert finding.severity == "warning"
    assert finding.message.startswith("1 of 121 test texts is a copy of training texts;")
    assert finding.examples == ('test: "is it raining" = train: "Is it raining?"',)


def test_a_near_copy_shows_how_similar_it_is():
    train, test = "please book a table for two at nine", "please book a table for two at nine t"
    report = check_data(data_of(train=[(train, 0)], test=[(test, 0)]))
    finding = only(report, "leaked_near")
    assert kinds(report) == ["leaked_near"] and report.leaked_test_rows == (120,)
    # 32 and 34 different 4-grams, all of the shorter text in the longer one: 32 / 34 = 0.941.
    assert finding.examples == (f'test: "{test}" ~ train: "{train}" (similarity 0.94)',)


def test_a_near_copy_is_never_called_wholly_similar():
    long = " ".join(sentences("train", 12))
    report = check_data(data_of(train=[(long, 0)], test=[(long + "q", 0)]))
    assert only(report, "leaked_near").examples[0].endswith("(similarity 0.99)")  # one new 4-gram among hundreds


def test_copies_with_another_label_are_counted_and_both_labels_named():
    report = check_data(data_of(train=[("is it raining", 0)] * 2, test=[("is it raining", 1), ("is it raining", 0)]))
    finding = only(report, "leaked_exact")
    assert finding.count == 2 and "2 of 122 test texts are copies" in finding.message
    assert "1 of them with another label" in finding.message
    assert finding.examples[0] == "test and train: \"is it raining\" (labels 'yes', 'no')"


def test_copies_of_validation_rows_are_leaks_too():
    report = check_data(data_of(validation=[("is it raining", 0)], test=[("is it raining", 0)]))
    assert report.leaked_test_rows == (120,) and kinds(report) == ["leaked_exact"]
    assert "of validation texts" in only(report, "leaked_exact").message


def test_copies_between_validation_and_training_leave_the_test_part_alone():
    report = check_data(data_of(train=[("is it raining", 0)], validation=[("is it raining", 0)]))
    finding = only(report, "leaked_exact")
    assert report.leaked_test_rows == () and finding.rows == (40,)
    assert finding.message.startswith("1 of 41 validation texts is a copy of training texts")


def test_copies_and_near_copies_together_are_all_the_leaked_rows():
    train = [("please book a table for two at nine", 0), ("is it raining", 0)]
    test = [
        ("is it raining", 0),
        ("please book a table for two at nine!", 0),
        ("please book a table for two at nine t", 0),
    ]
    report = check_data(data_of(train=train, test=test))
    assert only(report, "leaked_exact").rows == (120, 121) and only(report, "leaked_near").rows == (122,)
    assert only(report, "leaked_near").message.startswith("1 more test text is a near copy of training texts.")
    assert report.leaked_test_rows == (120, 121, 122)


def test_no_finding_shows_more_than_three_examples():
    rows = [(text, 0) for text in sentences("train", 30)]
    report = check_data(data_of(train=rows, validation=rows, test=rows))
    assert {len(finding.examples) for finding in report.findings if finding.kind == "leaked_exact"} == {3}
    assert report.leaked_test_rows == tuple(range(120, 150))


def test_a_repeated_training_row_is_counted_once_for_each_repeat():
    report = check_data(data_of(train=[("is it raining", 0), ("good morning", 1), ("Is it raining?", 0)] * 2))
    finding = only(report, "repeated")
    assert kinds(report) == ["repeated"] and finding.severity == "note"
    assert finding.rows == (122, 123, 124, 125) and "4 of 126 training texts repeat" in finding.message
    assert finding.examples == ('"is it raining" (4 times)', '"good morning" (2 times)')


def test_an_input_with_two_labels_is_a_conflict_and_says_where():
    report = check_data(data_of(train=[("is it raining", 0)], test=[("Is it raining?", 1)]))
    finding = only(report, "label_conflict")
    assert finding.count == 1 and finding.severity == "warning"
    assert finding.message.startswith("1 text has more than one label")
    assert finding.examples == ("\"is it raining\": 'no' (train), 'yes' (test)",)


def test_a_conflict_inside_training_is_found_too():
    report = check_data(data_of(train=[("is it raining", 0), ("is it raining", 1)]))
    assert kinds(report) == ["label_conflict", "repeated"]


@pytest.mark.parametrize(
    ("large", "small", "severity"), [(59, 20, None), (60, 20, "note"), (99, 10, "note"), (100, 10, "warning")]
)
def test_imbalance_is_noted_from_three_to_one_and_warned_of_from_ten_to_one(large, small, severity):
    texts = sentences("train", large + small)
    train = [(text, int(i >= large)) for i, text in enumerate(texts)]
    validation, test = (
        rows_of("validation", 40),
        [(text, int(i >= 150)) for i, text in enumerate(sentences("test", 200))],
    )
    report = check_data(data_of(train, validation, test, clean=False))
    assert [finding.severity for finding in report.findings] == ([severity] if severity else [])
    if severity:
        message = only(report, "imbalance").message
        assert f"'no', has {large} training texts, the smallest, 'yes', {small}" in message
        assert "is right for 75% of the test part" in message  # 150 of 200


@pytest.mark.parametrize(("part", "severity"), [("train", "warning"), ("validation", "note"), ("test", "warning")])
def test_a_class_that_a_part_lacks_is_named(part, severity):
    rows = {name: rows_of(name, 120 if name != "validation" else 40, 3) for name in ("train", "validation", "test")}
    rows[part] = [(text, label % 2) for text, label in rows[part]]
    report = check_data(data_of(**rows, names=("no", "yes", "maybe"), clean=False))
    finding = only(report, "missing_class")
    assert finding.severity == severity and finding.examples == ("'maybe'",)
    assert finding.message.startswith("1 of 3 classes has no ")


def test_seven_training_examples_of_a_class_are_few_and_eight_are_not():
    texts = sentences("train", 45)
    train = [(text, 0 if i < 10 else 1 if i < 17 else 2 if i < 25 else 3) for i, text in enumerate(texts)]
    test = [(text, i % 4) for i, text in enumerate(sentences("test", 120))]
    validation = [(text, i % 4) for i, text in enumerate(sentences("validation", 40))]
    report = check_data(data_of(train, validation, test, names=("a", "b", "c", "d"), clean=False))
    finding = only(report, "few_examples")
    assert finding.count == 1 and finding.examples == ("'b' (7)",)


def test_a_small_test_part_says_how_wide_its_interval_is():
    data = data_of(rows_of("train", 120), rows_of("validation", 40), rows_of("test", 25), clean=False)
    finding = only(check_data(data), "small_test")
    # Standard error of 12 or 13 right of 25: sqrt(1/2 * 1/2 / 25) = 1/10, so 1.96 / 10 to either side.
    assert finding.severity == "note" and "only 25 texts" in finding.message and "up to 20 points" in finding.message


def test_a_test_part_of_a_hundred_rows_is_not_called_small():
    for size, found in ((99, ["small_test"]), (100, [])):
        data = data_of(rows_of("train", 120), rows_of("validation", 40), rows_of("test", size), clean=False)
        assert kinds(check_data(data)) == found


def test_progress_only_grows_and_ends_at_the_total():
    steps = []
    repeated = [("is it raining", 0)] * 50  # compared once only
    check_data(data_of(train=repeated), lambda done, total: steps.append((done, total)))
    assert steps == sorted(steps) and len({total for _, total in steps}) == 1
    assert steps[-1][0] == steps[-1][1] and len(steps) > 2


def picture(seed, brightness=1.0, kind="PNG"):
    """A smooth picture of its own for each seed, in a file of the given kind."""
    noise = np.random.default_rng(seed).integers(20, 200, (6, 6, 3)).astype(np.uint8)
    image = Pictures.fromarray(noise).resize((48, 48), Pictures.Resampling.BICUBIC)
    image = Pictures.fromarray((np.asarray(image) * brightness).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, kind)
    return {"bytes": file.getvalue(), "path": f"{kind.lower()}/{seed}.{kind.lower()}"}


def test_pictures_are_compared_by_what_they_show():
    train = [(picture(i), i % 2) for i in range(20)]
    validation = [(picture(100 + i), i % 2) for i in range(20)]
    test = [(picture(200 + i), i % 2) for i in range(100)]
    test += [(picture(3, kind="BMP"), 1), (picture(4, brightness=0.9), 1)]  # a copy; a darker one with another label
    report = check_data(data_of(train, validation, test, clean=False, task="image-classification"))
    assert only(report, "leaked_exact").examples == ('test: "bmp/3.bmp" = train: "png/3.png"',)
    assert only(report, "leaked_near").message.startswith("1 more test image is a near copy of training images, 1 of")
    assert report.leaked_test_rows == (100, 101) and len(report.findings) == 2
