"""A study of methods that must not forget, from plans to the report; each step has tests of its own elsewhere."""

import csv
import dataclasses
import random
import re

import pytest
from finished_study import make_study

from hf_transfer_kit.comparison.result import Comparison
from hf_transfer_kit.errors import DataError, OutputError, PlanError, ResourceError
from hf_transfer_kit.plan import DataSpec, Features
from hf_transfer_kit.prediction import answering_run, predict
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.study import preflight
from hf_transfer_kit.study.method import method_named
from hf_transfer_kit.study.study import carry_out


@pytest.fixture(scope="module")
def old_csv(tmp_path_factory):
    """100 texts, "plays" where they have the word music, "tells" where they have the word plot."""
    draw, path = random.Random(1), tmp_path_factory.mktemp("old") / "older.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        for i in range(100):
            words = [draw.choice(("the", "film", "was", "and", "very", "acting")) for _ in range(draw.randint(4, 12))]
            words.insert(draw.randint(0, len(words)), ("music", "plot")[i % 2])
            rows.writerow((" ".join(words), ("plays", "tells")[i % 2]))
    return path


def study_of(text_csv, tiny_bert, old_csv, *names, **settings):
    methods = tuple(method_named(name, "approaches") for name in names)
    return make_study(text_csv, tiny_bert, approaches=methods, old_data=DataSpec(path=str(old_csv)), **settings)


def test_a_comparison_with_old_data_reports_both_skills_grows_and_answers(text_csv, tiny_bert, old_csv, tmp_path):
    out = tmp_path / "out"
    names = ("full", "full+ewc", "full+replay", "features")

    comparison = carry_out(study_of(text_csv, tiny_bert, old_csv, *names), out)

    assert not comparison.failures
    records = {path.parts[-4]: RunRecord.load(path) for path in out.glob("runs/*/*/*/*/record.json")}
    assert set(records) == {*names, "majority", "shallow"}
    assert records["full"].label_names == ("plays", "tells", "neg", "pos")
    arms = {arm.name: arm for arm in comparison.arms}
    for name in names:
        old = records[name].old
        hit = [answer == label for answer, label in zip(old.after, old.labels, strict=True)]
        assert arms[name].old.after.value == pytest.approx(sum(hit) / len(hit))
        assert old.before == records["full"].old.before  # every arm starts from the same model
    assert {arm.name for arm in comparison.arms if arm.old} == set(names)
    assert comparison.old_data.label_names == ("plays", "tells")
    assert "## Old task" in (out / "report.md").read_text(encoding="utf-8")
    assert (out / "pictures" / "forgetting.png").exists()

    before = {path: path.read_bytes() for path in out.glob("runs/**/record.json")}
    grown = carry_out(study_of(text_csv, tiny_bert, old_csv, "full", "gradual"), out)
    assert "gradual" in {arm.name for arm in grown.arms}
    assert {path: path.read_bytes() for path in before} == before

    run = answering_run(out)
    chosen = next(arm for arm in Comparison.load(out / "comparison.json").arms if arm.name == grown.recommended)
    assert RunRecord.load(run / "record.json").plan.method == chosen.method
    assert predict(out, ["a lovely film"])[0].label in ("plays", "tells", "neg", "pos")

    with pytest.raises(OutputError, match=r"its old_data\.path is '.*older.csv', now 'other.csv'"):
        carry_out(study_of(text_csv, tiny_bert, "other.csv", "full"), out)
    with pytest.raises(OutputError, match=r"its old_data\.path is '.*older.csv', now None"):
        carry_out(make_study(text_csv, tiny_bert, approaches=(Features(),)), out)
    old_csv.write_text(old_csv.read_text(encoding="utf-8") + "more music,plays\n", encoding="utf-8")
    with pytest.raises(OutputError, match=r"the content of the old data '.*older.csv' has changed"):
        carry_out(study_of(text_csv, tiny_bert, old_csv, "full"), out)


def test_old_data_of_another_task_is_refused_before_anything_runs(text_csv, tiny_bert, image_folder, tmp_path):
    with pytest.raises(DataError, match="give old data of the same task"):
        carry_out(study_of(text_csv, tiny_bert, image_folder, "full"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def room_needed(monkeypatch, study, path):
    """(disk, memory) in MiB that a study asks for, as its refusals say."""
    sizes = []
    for resource in ("disk_usage", "virtual_memory"):
        with monkeypatch.context() as patch:
            patch.setattr("hf_transfer_kit.models.weights_bytes", lambda model: 100 * 2**20)
            if resource == "disk_usage":
                patch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 0}))
            else:
                patch.setattr(preflight.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 0}))
                patch.setattr(preflight, "_has_gpu", lambda: False)
            with pytest.raises(ResourceError) as refusal:
                preflight.check_room(study.plans().values(), path, learns_old=study.old_data is not None)
            number, unit = re.search(r"(?:about|least) (\S+) ([MG]iB)", str(refusal.value)).groups()
            sizes.append(float(number) * (1024 if unit == "GiB" else 1))
    return tuple(sizes)


@pytest.mark.parametrize(
    ("name", "disk", "memory"),
    [  # in sizes of the model. Disk: kept + checkpoints + guards + starting model; memory: 4 for AdamW on all weights
        ("full", 1 + 5 + 0 + 1, 4),
        ("gradual", 1 + 5 + 0 + 1, 4),
        ("full+l2sp", 1 + 5 + 1 + 1, 5),
        ("full+ewc", 1 + 5 + 2 + 1, 6),
        ("full+ewc+l2sp", 1 + 5 + 3 + 1, 7),
        ("features", 0 + 5 + 0 + 1, 4),  # learning the old data
    ],
)
def test_the_room_for_protections_and_for_the_starting_model_is_counted(
    monkeypatch, tmp_path, text_csv, tiny_bert, name, disk, memory
):
    study = study_of(text_csv, tiny_bert, "older.csv", name)

    assert room_needed(monkeypatch, study, tmp_path) == pytest.approx((100 * disk, 100 * memory), rel=0.1)
    without = dataclasses.replace(study, approaches=(method_named("full", "x"),), old_data=None)
    assert room_needed(monkeypatch, without, tmp_path) == pytest.approx((600, 400), rel=0.1)


@pytest.fixture
def old_txt(tmp_path):
    """60 texts without labels, a line each."""
    draw, path = random.Random(2), tmp_path / "older.txt"
    words = ("music", "plot", "acting", "story", "film", "very", "the", "was")
    path.write_text("".join(" ".join(draw.choices(words, k=8)) + "\n" for _ in range(60)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def masked_bert(tmp_path_factory, tiny_bert):
    """The tiny BERT with its language-model head."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("models") / "masked-bert"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForMaskedLM(BertConfig.from_pretrained(tiny_bert)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("model", "measure"), [("tiny_bert", "probe"), ("masked_bert", "perplexity")])
def test_old_text_without_labels_is_scored_before_and_after(model, measure, text_csv, old_txt, request, tmp_path):
    out, names = tmp_path / "out", ("full", "full+ewc", "full+l2sp", "lora", "features", "scratch")
    study = study_of(text_csv, request.getfixturevalue(model), old_txt, *names)

    comparison = carry_out(study, out)

    assert not comparison.failures
    records = {path.parts[-4]: RunRecord.load(path) for path in out.glob("runs/*/*/*/*/record.json")}
    scored = {name: record.old_text for name, record in records.items() if record.old_text}
    assert set(scored) == set(names) - {"scratch"}
    assert {text.measure for text in scored.values()} == {measure}
    assert len({text.before for text in scored.values()}) == 1
    assert scored["features"].after == scored["features"].before  # a frozen model forgets nothing
    assert scored["full"].after != scored["full"].before
    assert records["full"].label_names == ("neg", "pos")
    assert "## Old texts" in (out / "report.md").read_text(encoding="utf-8")
    assert predict(out, ["a lovely film"])[0].label in ("neg", "pos")
    assert predict(next(out.glob("runs/*/lora/*/seed-0")), ["a lovely film"])[0].label in ("neg", "pos")

    old_txt.write_text(old_txt.read_text(encoding="utf-8") + "more music\n", encoding="utf-8")
    with pytest.raises(OutputError, match=r"the content of the old data '.*older.txt' has changed"):
        carry_out(study, out)


def test_replay_of_old_text_without_labels_is_refused_before_anything_runs(text_csv, tiny_bert, old_txt, tmp_path):
    with pytest.raises(PlanError, match="replay needs labels"):
        carry_out(study_of(text_csv, tiny_bert, old_txt, "full+replay"), tmp_path / "out")

    assert not (tmp_path / "out" / "runs").exists()
