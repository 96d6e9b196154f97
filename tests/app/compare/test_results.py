"""What is shown of finished runs, and which are compared."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support
from synthetic_records import make_record

from hf_transfer_kit.app.baseline.result import answers_card, per_class, wrong_answers
from hf_transfer_kit.app.compare.finished_runs import chosen_runs, finished_runs, weights_hash
from hf_transfer_kit.app.compare.tab import choices, compared, on_the_split_of_the_first
from hf_transfer_kit.errors import FormatError

RIGHT = [1] * 12 + [0] * 8


def save(folder, name, record):
    record.save(folder / name / "record.json")


@pytest.fixture
def runs(tmp_path):
    save(tmp_path, "a/one", make_record(RIGHT))
    save(tmp_path, "a/two", make_record([1] * 20, model="hub/other"))
    save(tmp_path, "b", make_record(RIGHT, test_hash="d" * 64))
    return tmp_path


def test_the_scores_of_a_class_are_those_of_scikit_learn():
    record = make_record([1, 0, 1, 1, 0, 1, 1, 1, 0, 0], label_names=("no", "yes"))
    precision, recall, f1, count = precision_recall_fscore_support(record.test.labels, record.test.predictions)
    found = {each.label: each for each in per_class(record)}

    for number, name in enumerate(record.label_names):
        one = found[name]
        assert np.allclose(
            [one.precision, one.recall, one.f1, one.count],
            [precision[number], recall[number], f1[number], count[number]],
        )


def test_wrong_answers_are_the_wrong_ones_and_the_surest_first():
    inputs = [f"text {i}" for i in range(20)]
    found = wrong_answers(make_record(RIGHT), inputs)

    assert {each.input for each in found} == set(inputs[12:])
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)
    assert all(each.right != each.answered for each in found)


def test_a_script_in_a_test_text_is_shown_as_text():
    page = answers_card(make_record(RIGHT), ["<img src=x onerror=alert(1)>"] * 20)

    assert "<img" not in page
    assert "&lt;img" in page


def test_runs_are_found_wherever_they_lie_and_broken_records_left_out(runs):
    (runs / "c").mkdir()
    (runs / "c" / "record.json").write_text("{}")

    assert {run.id for run in finished_runs(runs)} == {"a/one", "a/two", "b"}


@pytest.mark.parametrize("wanted", ["../a/one", "/etc", "c", ""])
def test_only_ids_of_the_list_are_taken(runs, wanted):
    with pytest.raises(FormatError, match="no finished run"):
        chosen_runs(runs, [wanted])


def test_runs_of_one_split_are_compared(runs):
    page, report = compared(runs, ["a/one", "a/two"])

    assert "hub/other".rpartition("/")[2] in page
    with open(report, encoding="utf-8") as file:
        assert "<html" in file.read()


def test_runs_of_different_splits_are_refused_with_the_reason(runs):
    page, report = compared(runs, ["a/one", "b"])

    assert "different hashes" in page
    assert report is None


def test_one_run_is_no_comparison(runs):
    assert "two runs or more" in compared(runs, ["a/one"])[0]


def test_all_on_the_newest_data_leaves_out_other_splits(runs):
    found = finished_runs(runs)
    newest_first = sorted(found, key=lambda run: run.id != "a/one")

    assert set(on_the_split_of_the_first(newest_first)) == {"a/one", "a/two"}
    assert on_the_split_of_the_first([]) == []


def test_a_setting_that_ran_twice_is_taken_once(runs):
    save(runs, "again", make_record(RIGHT))
    found = sorted(finished_runs(runs), key=lambda run: run.id != "again")

    assert set(on_the_split_of_the_first(found)) == {"again", "a/two"}


def test_titles_of_a_list_differ(runs):
    save(runs, "again", make_record(RIGHT))
    titles = [title for title, _ in choices(finished_runs(runs))]

    assert len(set(titles)) == len(titles) == 4


def test_the_hash_of_what_answers_changes_with_its_weights(runs):
    (one,) = chosen_runs(runs, ["a/one"])
    assert weights_hash(runs, one) == ""

    (runs / "a/one/model").mkdir()
    (runs / "a/one/model/head.safetensors").write_bytes(b"1")
    before = weights_hash(runs, one)
    (runs / "a/one/model/head.safetensors").write_bytes(b"2")

    assert len(before) == 12
    assert weights_hash(runs, one) != before
