import re

import pytest
import yaml
from huggingface_hub import ModelCard
from synthetic_records import hits, make_old, make_record, make_thousand

from hf_transfer_kit.plan import (
    EwcSettings,
    Features,
    FewShot,
    Full,
    Lora,
    Protection,
    Remote,
    Scratch,
    Shallow,
    TransferPlan,
)
from hf_transfer_kit.reporting.model_card import model_card
from hf_transfer_kit.reporting.places import is_hub_name, places_of, public_plan, public_record

HOME = "/home/ann/secret"


def card_of(record, **more):
    return ModelCard(model_card(record, **({"weights": "0123456789ab"} | more)))


def blocks(card, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", card.text, flags=re.DOTALL)


def test_the_hub_reads_base_model_data_license_and_results():
    record = make_record(hits(15, 20), Full(), path="org/reviews")
    data = card_of(record, license="mit", repo="ann/mine").data

    assert (data.base_model, data.datasets, data.license) == ("hub/mini", "org/reviews", "mit")
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-classification")
    assert data.to_dict()["base_model_relation"] == "finetune"
    results = {result.metric_type: result for result in data.eval_results}
    assert results["accuracy"].metric_value == 0.75
    assert all(result.dataset_type == "org/reviews" for result in results.values())
    assert data.model_name == "mine"


@pytest.mark.parametrize(
    ("approach", "library", "relation"),
    [(Full(), "transformers", "finetune"), (Lora(), "peft", "adapter"), (Features(), "hf-transfer-kit", None)],
)
def test_the_library_is_the_one_that_loads_what_was_saved(approach, library, relation):
    data = card_of(make_record(hits(15, 20), approach)).data.to_dict()

    assert (data["library_name"], data.get("base_model_relation")) == (library, relation)


def test_what_is_not_known_is_left_out():
    data = card_of(make_record(hits(15, 20), Scratch())).data.to_dict()

    assert not {"license", "base_model", "datasets"} & set(data)  # a random start stands on no weights


def test_no_place_of_this_machine_is_named():
    record = make_record(
        hits(15, 20), FewShot(shots=2, prompt=f"{HOME}/prompt.yaml"), path=f"{HOME}/reviews.csv",
        model=f"{HOME}/my-model", old=make_old([1, 1, 0, 1], [1, 0, 0, 1]), old_path=f"{HOME}/older.csv",
        details={"note": [f"read from {HOME}/reviews.csv"]},
    )  # fmt: skip
    record = record.__class__.from_mapping(record.to_mapping() | {"model": {"name": f"{HOME}/my-model"}})
    text = str(card_of(record))

    assert "/ann" not in text and "secret" not in text
    assert "reviews.csv" in text and "older.csv" in text and "my-model" in text
    assert HOME not in str(public_record(record).to_mapping())
    assert places_of(record.plan) == {
        f"{HOME}/{name}" for name in ("reviews.csv", "older.csv", "my-model", "prompt.yaml")
    }


def test_the_address_of_a_server_is_left_out_and_the_plan_still_reads():
    record = make_record(hits(15, 20), FewShot(shots=2), remote=Remote(url="http://10.0.0.7:8000/v1"))
    plan = public_plan(record.plan)

    assert "10.0.0.7" not in str(card_of(record)) + plan.to_yaml()
    assert TransferPlan.from_yaml(plan.to_yaml()) == plan


def test_the_plan_on_the_card_is_the_plan_of_the_run():
    record = make_record(hits(15, 20), Full(learning_rate=3e-5), path="org/reviews")
    text = card_of(record).text
    shown = re.search(r"\n\n((?:    .*\n)+)\n</details>\s*$", text).group(1)

    assert TransferPlan.from_mapping(yaml.safe_load(shown)) == record.plan


def test_mark_up_in_label_names_is_shown_and_not_obeyed():
    names = ("<script>alert(1)</script>", "[x](http://evil) | *b*")
    text = card_of(make_record(hits(15, 20), label_names=names)).text

    assert "<script>" not in text and "&lt;script&gt;" in text
    assert r"\[x\](http://evil) \| \*b\*" in text


def test_scores_are_those_of_the_record_class_by_class():
    record = make_record([1, 0] * 10, label_names=("no", "yes"))  # "no" always right, "yes" never
    text = card_of(record).text

    assert "| yes | 10 | 0.00 | – | 0.00 |" in text  # noqa: RUF001
    assert "| no | 10 | 1.00 | 0.50 | 0.67 |" in text
    assert "| accuracy | 0.50 |" in text
    assert "`0123456789ab`" in text


def test_what_was_protected_and_forgotten_is_told():
    old = make_old([1] * 8 + [0] * 2, [1] * 4 + [0] * 6)
    record = make_record(hits(15, 20), Full(), protection=Protection(ewc=EwcSettings()), old=old)
    text = card_of(record).text

    assert "Protected by: ewc." in text
    assert "| accuracy on the old test items, before | 0.800 |\n| after | 0.400 |" in text
    assert "## Protected" not in card_of(make_record(hits(15, 20), Full())).text


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (
            make_record(hits(15, 20), FewShot(shots=2), labels=2),
            "labelled examples of the training data, word for word",
        ),
        (make_record(hits(15, 20), Shallow()), "vocabulary holds the words"),
        (make_record(hits(15, 20), Lora(), old=make_old([1, 1], [1, 0])), "learned the old data first"),
        (make_record(hits(15, 20), Features()), "only 20 items"),
        (make_record(hits(15, 20), Full()), "cut after 128 tokens"),
    ],
)
def test_limits_say_what_a_reader_must_know(record, words):
    assert words in card_of(record).text.partition("## Limits")[2]


def test_code_is_python_and_names_the_repository():
    for approach in (Full(), Lora(), Features()):
        card = card_of(make_record(hits(15, 20), approach, thousand=make_thousand(1.0)), repo="ann/mine")
        for code in blocks(card):
            compile(code, "card", "exec")
            assert "ann/mine" in code


@pytest.mark.parametrize(
    ("name", "known"),
    [("org/data", True), ("imdb", True), ("data/x.csv", False), ("/x", False), ("../x", False), ("a/b/c", False)],
)
def test_names_of_the_hub_are_told_from_paths(name, known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(name) is known


def test_a_folder_that_looks_like_a_hub_name_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "data").mkdir(parents=True)

    assert not is_hub_name("org/data")
