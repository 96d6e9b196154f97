"""`rank` on tiny models: what it reads, what it says, and what it survives."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

from hf_transfer_kit.data.labelled import load_data
from hf_transfer_kit.errors import DataError, FormatError, ModelError, PlanError
from hf_transfer_kit.features import cache_folder
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.transferability import candidate_features as candidate_features_module
from hf_transfer_kit.transferability.ranking import rank
from hf_transfer_kit.transferability.result import Ranking


@pytest.fixture(scope="module")
def parts(tmp_path_factory, text_csv):
    """A folder of train, validation and test files."""
    rows = list(csv.reader(open(text_csv, encoding="utf-8")))[1:]
    folder = tmp_path_factory.mktemp("parts")
    for part, chosen in {"train": rows[:80], "validation": rows[80:100], "test": rows[100:]}.items():
        write(folder / f"{part}.csv", chosen)
    return folder


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def without_times(ranking):
    """What is measured, less what the clock and the place say."""
    mapping = ranking.to_mapping()
    for candidate in mapping["candidates"]:
        candidate["price"] = None
    return {key: value for key, value in mapping.items() if key not in ("seconds", "data", "machine", "versions")}


@pytest.fixture
def spec(parts):
    return DataSpec(path=str(parts))


@pytest.fixture
def model(tiny_bert):
    return ModelSpec(name=str(tiny_bert))


def test_every_layer_and_the_mean_is_measured(spec, model):
    ranking = rank(spec, [model])
    (candidate,) = ranking.candidates

    assert [each.layer for each in candidate.layers] == ["0", "1", "2", "3", "mean"]
    assert candidate.layer in [each.layer for each in candidate.layers]
    assert ranking.rows == 80
    assert [each.name for each in ranking.controls] == ["majority", "TF-IDF"]
    assert candidate.over_random is not None


def test_labels_of_test_and_validation_change_nothing(spec, model, parts, tmp_path):
    honest = rank(spec, [model])
    shutil.copytree(parts, tmp_path / "corrupted")
    for part in ("validation", "test"):
        path = tmp_path / "corrupted" / f"{part}.csv"
        rows = list(csv.reader(open(path, encoding="utf-8")))[1:]
        write(path, [(text, "pos" if label == "neg" else "neg") for text, label in rows])

    assert without_times(rank(DataSpec(path=str(tmp_path / "corrupted")), [model])) == without_times(honest)


def test_labels_of_training_do_change_it(spec, model, parts, tmp_path):
    shutil.copytree(parts, tmp_path / "shuffled")
    rows = list(csv.reader(open(parts / "train.csv", encoding="utf-8")))[1:]
    labels = np.random.default_rng(0).permutation([label for _, label in rows])
    write(tmp_path / "shuffled" / "train.csv", zip([text for text, _ in rows], labels, strict=True))
    ranking = rank(DataSpec(path=str(tmp_path / "shuffled")), [model])

    assert ranking.candidates[0].accuracy.value < rank(spec, [model]).candidates[0].accuracy.value - 0.2
    assert ranking.candidates[0].negative_transfer  # nothing is better than the controls on labels without meaning
    assert ranking.advised is None
    assert "Negative transfer" in ranking.cautions[0]


def test_a_model_of_fewer_layers_costs_less(spec, model, tiny_bert, tmp_path):
    from transformers import AutoModel

    small = AutoModel.from_pretrained(tiny_bert)
    small.encoder.layer = small.encoder.layer[:2]
    small.config.num_hidden_layers = 2
    shutil.copytree(tiny_bert, tmp_path / "two-layers")
    small.save_pretrained(tmp_path / "two-layers")
    cheaper = ModelSpec(name=str(tmp_path / "two-layers"))
    ranking = rank(spec, [model, cheaper])
    price = {each.model.name: each.price for each in ranking.candidates}

    assert price[cheaper.name].flops_per_row < price[model.name].flops_per_row
    assert price[cheaper.name].parameters < price[model.name].parameters


def test_one_broken_candidate_does_not_end_the_run(spec, model, tiny_image_model, tmp_path):
    bad = ModelSpec(name=str(tmp_path / "nowhere"))
    wrong_kind = ModelSpec(name=str(tiny_image_model))
    ranking = rank(spec, [bad, model, wrong_kind])

    assert [each.model.name for each in ranking.candidates] == [model.name]
    assert [each.model for each in ranking.failures] == [bad.name, wrong_kind.name]
    assert "does not exist" in ranking.failures[0].message


def test_a_candidate_that_breaks_while_it_runs_does_not_end_the_run(spec, model, tiny_bert, tmp_path, monkeypatch):
    shutil.copytree(tiny_bert, tmp_path / "breaks")
    bad, real = ModelSpec(name=str(tmp_path / "breaks")), candidate_features_module.extract

    def extract(task, network, *args, **kwargs):
        if "breaks" in network.name_or_path:
            raise RuntimeError("shapes do not fit")
        return real(task, network, *args, **kwargs)

    monkeypatch.setattr(candidate_features_module, "extract", extract)
    # The same weights are one candidate to the cache, so the broken one comes first.
    ranking = rank(spec, [bad, model])

    assert "does not run (RuntimeError: shapes do not fit)" in ranking.failures[0].message
    assert ranking.candidates[0].model.name == model.name


def test_no_candidate_at_all_is_an_error(spec, tmp_path):
    with pytest.raises(ModelError, match="no candidate could be measured"):
        rank(spec, [ModelSpec(name=str(tmp_path / "nowhere"))])
    with pytest.raises(PlanError, match="no models to rank"):
        rank(spec, [])


def test_a_second_run_passes_nothing_and_says_the_same(spec, model, monkeypatch):
    first = rank(spec, [model])
    monkeypatch.setattr(candidate_features_module, "extract", None)
    second = rank(spec, [model])

    assert without_times(second) == without_times(first)
    assert second.candidates[0].price.cached and not first.candidates[0].price.cached


def test_other_rows_have_features_of_their_own(spec, model):
    assert rank(spec, [model]).rows == 80
    few = rank(spec, [model], max_rows=40)

    assert few.rows == 40
    assert len(list((cache_folder() / "features").iterdir())) == 4  # two passes for each set of rows


def test_copies_among_the_training_rows_count_once(model, parts, tmp_path):
    shutil.copytree(parts, tmp_path / "repeated")
    rows = list(csv.reader(open(parts / "train.csv", encoding="utf-8")))[1:]
    write(tmp_path / "repeated" / "train.csv", [*rows, *rows])
    once, twice = (rank(DataSpec(path=str(folder)), [model]) for folder in (parts, tmp_path / "repeated"))

    assert twice.rows == once.rows
    assert twice.candidates[0].accuracy == once.candidates[0].accuracy


def test_pictures_are_ranked_too(image_folder, tiny_image_model):
    ranking = rank(DataSpec(path=str(image_folder)), [ModelSpec(name=str(tiny_image_model))])
    assert ranking.controls[-1].name == "raw pixels"


def test_one_class_alone_has_nothing_to_tell(spec, model):
    data = load_data(spec)
    one = dataclasses.replace(data, train=data.train.filter(lambda row: row["label"] == 0))
    with pytest.raises(DataError, match="one class alone"):
        rank(one, [model])


def test_json_and_back(spec, model, tmp_path):
    ranking = rank(spec, [model])
    ranking.save(tmp_path / "ranking.json")

    assert Ranking.load(tmp_path / "ranking.json") == ranking
    mapping = json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))
    assert (mapping["format"], mapping["version"]) == ("hf_transfer_kit.ranking", 1)
    with pytest.raises(FormatError, match="unknown setting 'winner'"):
        Ranking.from_mapping(mapping | {"winner": "a"})
