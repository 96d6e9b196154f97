import json

import pytest
from finished_study import finished_study, make_study
from synthetic_records import hits, make_old, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import DataError, FormatError
from hf_transfer_kit.plan import DataSpec, Full, Protection, ReplaySettings
from hf_transfer_kit.prediction import answering_run, predict
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.study.study import carry_out

ARMS = [
    "controls/majority", "controls/shallow", "tiny-bert/features", "tiny-bert/top_layers", "tiny-bert/full",
    "tiny-bert/lora", "tiny-bert/scratch",
]  # fmt: skip


@pytest.fixture
def finished(text_csv, tiny_bert):
    return finished_study(text_csv, tiny_bert)


@pytest.mark.parametrize("arm", ARMS)
def test_a_loaded_run_answers_the_test_part_as_it_did_when_it_was_measured(finished, text_csv, arm):
    from hf_transfer_kit.data.labelled import load_data

    run = finished / "runs" / arm / "all" / "seed-0"
    record = RunRecord.load(run / "record.json")
    texts = load_data(DataSpec(path=str(text_csv))).test["input"]

    answers = predict(run, list(texts))

    assert [record.label_names.index(answer.label) for answer in answers] == list(record.test.predictions)
    for answer, confidence in zip(answers, record.test.calibrated_confidence, strict=True):
        assert answer.probabilities[answer.label] == pytest.approx(confidence, abs=1e-4)


def test_probabilities_are_of_every_class_likeliest_first_and_sum_to_one(finished):
    (answer,) = predict(finished / "runs/controls/shallow/all/seed-0", ["a lovely film"])

    assert set(answer.probabilities) == {"neg", "pos"}
    assert list(answer.probabilities.values()) == sorted(answer.probabilities.values(), reverse=True)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert (answer.label, answer.shown) == ("pos", "a lovely film")


def test_a_text_file_is_an_input_a_line(finished, tmp_path):
    (tmp_path / "texts.txt").write_text("a lovely film\n\na boring film\n", encoding="utf-8")

    answers = predict(finished / "runs/controls/shallow/all/seed-0", [str(tmp_path / "texts.txt")])

    assert [answer.label for answer in answers] == ["pos", "neg"]


def test_the_folder_of_a_comparison_answers_with_what_it_recommends(finished):
    run = answering_run(finished)
    record, comparison = RunRecord.load(run / "record.json"), Comparison.load(finished / "comparison.json")
    recommended = next(arm for arm in comparison.arms if arm.name == comparison.recommended)

    assert record.plan.approach.name == recommended.approach
    assert predict(finished, ["a lovely film"]) == predict(run, ["a lovely film"])


def test_of_the_recommended_seeds_the_best_on_validation_answers(tmp_path, finished):
    source = json.loads((finished / "runs/tiny-bert/features/all/seed-0/record.json").read_text())
    comparison = json.loads((finished / "comparison.json").read_text())
    arm = next(arm for arm in comparison["arms"] if arm["approach"] == "features")
    comparison["recommended"], arm["seeds"] = arm["name"], [0, 1, 2]
    (tmp_path / "comparison.json").write_text(json.dumps(comparison))
    for seed, validation_accuracy in enumerate((0.5, 0.9, 0.7)):
        record = source | {"plan": source["plan"] | {"seed": seed}, "validation_accuracy": validation_accuracy}
        folder = tmp_path / "runs" / f"seed-{seed}"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record))

    assert answering_run(tmp_path).name == "seed-1"


def test_a_recommended_method_is_told_from_the_same_approach_with_other_protections(tmp_path):
    records = {
        "full": make_record(hits(80, 100), Full(), old=make_old(hits(90, 100), hits(20, 100))),
        "full+replay": make_record(
            hits(80, 100), Full(), protection=Protection(replay=ReplaySettings()),
            old=make_old(hits(90, 100), hits(85, 100)),
        ),
    }  # fmt: skip
    for name, record in records.items():
        record.save(tmp_path / "runs" / name / "record.json")
    compare(list(records.values())).save(tmp_path / "comparison.json")

    assert answering_run(tmp_path).name == "full+replay"


def test_a_folder_above_a_run_is_told_where_the_run_is(finished):
    with pytest.raises(FormatError, match=r"did you mean '.*tiny-bert/features/all/seed-0'"):
        predict(finished / "runs" / "tiny-bert" / "features", ["a film"])


def test_a_misspelt_folder_gets_the_nearest_one(finished):
    with pytest.raises(FormatError, match=r"'.*oot' does not exist; did you mean 'out'"):
        predict(finished.with_name("oot"), ["a film"])


def test_a_file_that_is_not_there_is_not_taken_for_a_text(finished):
    with pytest.raises(DataError, match=r"missing\.txt"):
        predict(finished, ["missing.txt"])


def test_images_and_folders_of_images_are_answered(image_folder, tiny_image_model, tmp_path):
    carry_out(make_study(image_folder, tiny_image_model), tmp_path / "out")
    files = sorted((image_folder / "red").iterdir())

    answers = predict(tmp_path / "out/runs/tiny-vit/features/all/seed-0", [str(files[0]), str(image_folder / "red")])

    assert len(answers) == 1 + len(files)
    assert answers[0] == answers[1]
    assert answers[0].shown == f"red/{files[0].name}"
    with pytest.raises(DataError, match="does not exist"):
        predict(tmp_path / "out", ["nowhere.png"])
