"""`rank` on tiny models: what it reads, what it says, and what it survives."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from datasets import Dataset
from safetensors.numpy import load_file, save_file

from hf_transfer_kit.data.labelled import content_hash, load_data
from hf_transfer_kit.errors import DataError, FormatError, ModelError, PlanError
from hf_transfer_kit.features import cache_folder, cache_key, extract, store_features
from hf_transfer_kit.models import identity
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.probe import ridge_leave_one_out
from hf_transfer_kit.transferability import candidate_features as candidate_features_module
from hf_transfer_kit.transferability import ranking as ranking_module
from hf_transfer_kit.transferability.candidate_features import candidate_features
from hf_transfer_kit.transferability.leakage import leaked_test_rows
from hf_transfer_kit.transferability.learning_curve import learning_curve
from hf_transfer_kit.transferability.measured import score_model
from hf_transfer_kit.transferability.rank_aggregation import agreement
from hf_transfer_kit.transferability.ranking import rank
from hf_transfer_kit.transferability.result import Ranking
from hf_transfer_kit.transferability.row_choice import training_rows
from hf_transfer_kit.transferability.scores import score_layer


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


def labelled(spec, texts_and_labels):
    """The data of `spec` with other training rows."""
    data = load_data(spec)
    texts, labels = zip(*texts_and_labels, strict=True)
    train = Dataset.from_dict({"input": texts, "label": labels})
    hashes = {**data.hashes, "train": content_hash(train, [str(x) for x in range(200)], data.task)}
    return dataclasses.replace(data, train=train, hashes=hashes)


def test_data_that_leave_nothing_to_tell_are_refused(spec, model):
    copies = labelled(spec, [("good film", number % 2) for number in range(20)])
    with pytest.raises(DataError, match="1 different training rows; a ranking needs 8"):
        rank(copies, [model])
    one_each = labelled(spec, [(f"good {'film ' * number}", number) for number in range(20)])
    with pytest.raises(DataError, match="one training row of each class"):
        rank(one_each, [model])


def test_more_classes_than_rows_to_spare_and_classes_of_one_row_are_ranked(spec, model):
    rows = [(f"good {'film ' * number}", number // 2) for number in range(20)] + [("bad plot", 10)]
    ranking = rank(labelled(spec, rows), [model])

    assert (ranking.rows, ranking.classes) == (21, 11)
    assert any("1 training row is the only one of its class" in caution for caution in ranking.cautions)


def test_an_interrupted_run_goes_on_from_the_candidates_that_are_done(spec, model, tiny_bert, tmp_path, monkeypatch):
    shutil.copytree(tiny_bert, tmp_path / "other")
    weights = load_file(tmp_path / "other" / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in weights.items()}, tmp_path / "other" / "model.safetensors")
    passed, real = [], candidate_features_module.extract

    def extract(task, network, *args, **kwargs):
        if len(passed) == 2:
            raise KeyboardInterrupt
        passed.append(network.name_or_path)
        return real(task, network, *args, **kwargs)

    monkeypatch.setattr(candidate_features_module, "extract", extract)
    models = [model, ModelSpec(name=str(tmp_path / "other"))]
    with pytest.raises(KeyboardInterrupt):
        rank(spec, models)
    passed.clear()
    ranking = rank(spec, models)

    assert len(passed) == 2  # those of the second candidate
    assert [each.price.cached for each in sorted(ranking.candidates, key=lambda each: each.model.name)] in (
        [True, False], [False, True],
    )  # fmt: skip
    assert not [path for path in (cache_folder() / "features").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("damage", ["empty", "garbage", "half"])
def test_damaged_weights_do_not_end_the_run(spec, model, tiny_bert, tmp_path, damage):
    shutil.copytree(tiny_bert, tmp_path / "damaged")
    file = tmp_path / "damaged" / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "garbage": b"x" * 500, "half": whole[: len(whole) // 2]}[damage])
    ranking = rank(spec, [ModelSpec(name=str(tmp_path / "damaged")), model], random_copies=False)

    assert [each.model.name for each in ranking.candidates] == [model.name]
    assert "damaged" in ranking.failures[0].message


def test_the_candidates_come_in_the_order_of_the_numbers_and_once(spec, model):
    said = []
    ranking = rank(spec, [model, model], random_copies=False, on_progress=lambda *step: said.append(step))

    assert len(ranking.candidates) == 1
    assert ("tiny-bert (1 of 1)", 80, 80) in said
    assert said[0][0] == "reading the data"
    assert said[-1][0] == "learning curve"


def variants(tiny_bert, folder, count):
    """Models whose embeddings are those of `tiny_bert` with more and more noise."""
    weights = load_file(tiny_bert / "model.safetensors")
    name = next(name for name in weights if "word_embeddings" in name)
    for number in range(count):
        shutil.copytree(tiny_bert, folder / f"{number}")
        noise = np.random.default_rng(number).normal(size=weights[name].shape).astype(np.float32)
        save_file(weights | {name: weights[name] + number * noise}, folder / f"{number}" / "model.safetensors")
        yield ModelSpec(name=str(folder / f"{number}"))


def test_every_number_is_that_of_its_candidate_layer_and_control(spec, tiny_bert, tmp_path):
    models = list(variants(tiny_bert, tmp_path / "variants", 3))
    data = load_data(spec)
    train = data.train.select([*range(50), *(row for row in range(50, 80) if data.train[row]["label"] == 0)])
    data = dataclasses.replace(data, train=train, hashes={**data.hashes, "train": "uneven"})
    ranking = rank(data, models)
    rows = training_rows(data, data, 1000, 128, 0)
    passed = {model.name: candidate_features(rows, model, random_seed=0) for model in models}
    chosen = [passed[each.model.name][0].named(each.layer) for each in ranking.candidates]

    for candidate, features in zip(ranking.candidates, chosen, strict=True):
        copy = score_model(passed[candidate.model.name][1], rows.labels, 2).chosen
        assert candidate.accuracy.value == ridge_leave_one_out(features, rows.labels, 2).accuracy
        assert candidate.over_random.value == pytest.approx(candidate.accuracy.value - copy.ridge.accuracy)
    assert ranking.agreement == agreement([score_layer(features, rows.labels, 2).values for features in chosen])
    majority, shallow = (each.accuracy.value for each in ranking.controls)
    assert majority == np.bincount(rows.labels).max() / len(rows.labels) > 0.5
    words, _ = rows.task.shallow_features(rows.inputs, None)
    assert shallow == ridge_leave_one_out(words.toarray(), rows.labels, 2).accuracy
    shown = next((each for each in ranking.candidates if each.model.name == ranking.advised), ranking.candidates[0])
    features = passed[shown.model.name][0].named(shown.layer)
    assert ranking.curve == learning_curve(features, rows.labels, 2, 0)


def test_the_curve_is_of_the_advised_layer(spec, model, monkeypatch):
    shown = []
    monkeypatch.setattr(ranking_module, "learning_curve", lambda features, *_: shown.append(features))
    candidate = rank(spec, [model]).candidates[0]
    rows = training_rows(load_data(spec), spec, 1000, 128, 0)
    features = candidate_features(rows, model, random_seed=None)[0]

    assert candidate.layer != "3"
    np.testing.assert_array_equal(shown[0], features.named(candidate.layer))


def test_copies_in_the_test_part_are_reported(spec, model, parts, tmp_path):
    assert rank(spec, [model]).leaked_test_rows == leaked_test_rows(load_data(spec))
    shutil.copytree(parts, tmp_path / "leaky")
    rows = [list(csv.reader(open(parts / f"{part}.csv", encoding="utf-8")))[1:] for part in ("train", "test")]
    write(tmp_path / "leaky" / "test.csv", [*rows[1], rows[0][3]])
    ranking = rank(DataSpec(path=str(tmp_path / "leaky")), [model])

    assert len(rows[1]) in ranking.leaked_test_rows
    assert rank(DataSpec(path=str(tmp_path / "leaky")), [model], look_for_leaks=False).leaked_test_rows is None


def test_the_size_and_the_length_that_the_data_name_hold(spec, model):
    few, cut = dataclasses.replace(spec, train_size=40), dataclasses.replace(spec, max_length=3)
    assert rank(few, [model], random_copies=False).rows <= 40
    whole, short = (rank(each, [model], random_copies=False).candidates[0].layers for each in (spec, cut))
    assert whole != short


def test_the_pass_of_the_approach_features_is_used(spec, model, monkeypatch):
    own = without_times(rank(spec, [model], max_rows=40, random_copies=False))
    data = load_data(spec)
    shutil.rmtree(cache_folder())
    everything = dataclasses.replace(training_rows(data, spec, 1000, 128, 0), inputs=data.train["input"])
    key = cache_key(
        weights=identity(model).weights_digest, data=data.hashes["train"], task=data.task, max_length=spec.max_length
    )
    backbone, processor = everything.task.load_backbone(model), everything.task.load_processor(model)
    store_features(key, extract(everything.task, backbone, processor, everything.inputs, max_length=128))
    monkeypatch.setattr(candidate_features_module, "extract", None)
    again = without_times(rank(spec, [model], max_rows=40, random_copies=False))

    assert again["candidates"][0]["accuracy"] == own["candidates"][0]["accuracy"]
    assert again["candidates"][0]["layer"] == own["candidates"][0]["layer"]


def test_json_and_back(spec, model, tmp_path):
    ranking = rank(spec, [model])
    ranking.save(tmp_path / "ranking.json")

    assert Ranking.load(tmp_path / "ranking.json") == ranking
    mapping = json.loads((tmp_path / "ranking.json").read_text(encoding="utf-8"))
    assert (mapping["format"], mapping["version"]) == ("hf_transfer_kit.ranking", 1)
    with pytest.raises(FormatError, match="unknown setting 'winner'"):
        Ranking.from_mapping(mapping | {"winner": "a"})
