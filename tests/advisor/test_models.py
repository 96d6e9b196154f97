"""The models of the advisor: the families the guides name, their numbers, and what they need."""

import re
from dataclasses import replace

import pytest

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import memory_by_parameters
from hf_transfer_kit.advisor.knowledge.models import known_models, model_named, slates
from hf_transfer_kit.advisor.knowledge.rule_table import rule
from hf_transfer_kit.advisor.rules import advise

FAMILIES = {
    "ResNet", "VGG", "Inception", "MobileNet", "EfficientNet", "ViT", "Swin", "Faster R-CNN", "DETR", "RT-DETR",
    "SegFormer", "MaskFormer", "BERT", "RoBERTa", "DeBERTa", "DistilBERT", "GPT", "LLaMA", "Mistral", "T5", "CLIP",
    "BLIP", "LSTM", "GRU", "PatchTST", "XLM-RoBERTa", "SciBERT", "BioBERT", "BiomedBERT", "LegalBERT", "FinBERT",
}  # fmt: skip
TABLE = {  # the guides' table of ImageNet models: parameters in millions, top-5 accuracy in per cent
    "vgg-16": ("138M", "92.7%"), "vgg-19": ("144M", "92.7%"), "resnet-50": ("25M", "93.3%"),
    "resnet-101": ("44M", "93.3%"), "inception": ("24M", "93.7%"), "mobilenet": ("3.4M", "90.1%"),
    "efficientnet-b0": ("5-66M", "97.1%"), "efficientnet-b7": ("5-66M", "97.1%"),
}  # fmt: skip


def test_every_family_that_the_guides_name_has_a_model():
    assert FAMILIES <= {model.family for model in known_models().values()}


def test_every_model_is_offered_for_something():
    offered = {model.key for slate in slates() for model in slate.models}
    assert offered == set(known_models())


@pytest.mark.parametrize("key", known_models())
def test_a_model_says_where_it_is_how_large_and_under_which_licence(key):
    model = known_models()[key]
    assert model.hub_id is None or re.fullmatch(r"[\w.-]+/[\w.-]+", model.hub_id)
    assert model.licence and model.why.endswith(".")
    assert model.parameters is not None or model.hub_id is None
    assert not model.kit or model.hub_id is not None


@pytest.mark.parametrize("key", TABLE)
def test_the_numbers_of_the_table_are_printed_as_they_stand_there(key):
    model, (parameters, accuracy) = known_models()[key], TABLE[key]
    shown = model.as_advice(None).why

    assert parameters in shown and accuracy in shown
    assert model.table in rule(model.rule).says


def test_counted_parameters_lie_near_those_of_the_table():
    for key, (parameters, _) in TABLE.items():
        numbers = [float(number) for number in re.findall(r"[\d.]+", parameters)]
        counted = known_models()[key].parameters / 1e6
        assert numbers[0] * 0.95 <= counted <= numbers[-1] * 1.06


def test_memory_counts_sixteen_bytes_a_trained_weight_and_four_a_frozen_one():
    model = known_models()["distilbert"]
    assert memory_by_parameters(model, "full") == pytest.approx(66_362_880 * 16 / 2**20 + 200)
    assert memory_by_parameters(model, "features") == pytest.approx(66_362_880 * 4 / 2**20 + 200)
    assert memory_by_parameters(known_models()["gpt-4"], "zero_shot") is None


def test_each_deeper_method_needs_more_memory():
    model = known_models()["bert"]
    needed = [memory_by_parameters(model, method) for method in ("features", "lora", "top_layers", "full")]
    assert needed == sorted(needed) and len(set(needed)) == 4


def test_a_model_is_found_by_its_hub_id_and_an_unknown_one_is_taken_as_it_is():
    assert model_named("microsoft/resnet-50").key == "resnet-50"
    assert model_named("bert-base-uncased").key == "bert"
    assert model_named("me/mine").hub_id == "me/mine" and model_named("me/mine").parameters is None


def test_the_model_a_person_wants_comes_first():
    advice = advise(TaskFacts(task="classification", modality="text", n_labelled=500, base_model="me/mine"))
    assert advice.models[0].hub_id == "me/mine" and advice.plan["model"]["name"] == "me/mine"


def test_a_wanted_model_too_large_for_real_time_is_left_out_with_a_word():
    facts = TaskFacts(task="classification", modality="text", n_labelled=500, real_time=True)
    advice = advise(replace(facts, base_model="mistralai/Mistral-7B-Instruct-v0.3"))

    assert advice.models[0].name == "DistilBERT base"
    assert any(warned.rule == "F8" and "Mistral 7B" in warned.text for warned in advice.warnings)


def test_a_gated_model_comes_with_a_warning_about_its_licence():
    advice = advise(TaskFacts(task="generation", llm=True))
    gated = [model.name for model in advice.models if model.licence.startswith("gated")]
    assert gated
    assert all(any(name in warned.text and "licence" in warned.text for warned in advice.warnings) for name in gated)
