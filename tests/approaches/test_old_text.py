"""Scores of old text against formulas by hand: likelihood token by token, a probe's answers; what EWC gets of it."""

import copy
import math
from functools import partial

import numpy as np
import peft
import pytest
import torch
from architectures import TEXT_MODELS
from conftest import save_tiny_tokenizer, tiny_reviews
from tiny_training import assert_same_bits, train, weights
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertLMHeadModel,
    ElectraConfig,
    ElectraForPreTraining,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
)

from hf_transfer_kit.approaches.body import with_body_of
from hf_transfer_kit.approaches.fixed_probe import fit_probe, last_features
from hf_transfer_kit.approaches.language_model import load_language_model
from hf_transfer_kit.approaches.old_text import old_text_examples, text_scorer
from hf_transfer_kit.callbacks.ewc import EWC
from hf_transfer_kit.data.old_text import OldTextData, text_digest
from hf_transfer_kit.errors import DataError, ModelError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import get_task

TASK = get_task("text-classification")
TEXTS = [text for text, _ in tiny_reviews(80)]
SETTINGS = {
    "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 64, "initializer_range": 0.2,
}  # fmt: skip
BERT = BertConfig(**SETTINGS)


def data_of(train_texts=tuple(TEXTS[20:]), test_texts=tuple(TEXTS[:20])) -> OldTextData:
    return OldTextData(path="old.txt", train=train_texts, test=test_texts, digest=text_digest(test_texts))


@pytest.fixture
def saved(tmp_path):
    """Saves a new model of a class, with the tiny tokenizer, and gives where it lies."""

    def save(model_class, config) -> ModelSpec:
        torch.manual_seed(0)
        model_class(copy.deepcopy(config)).save_pretrained(tmp_path / model_class.__name__)
        save_tiny_tokenizer(tmp_path / model_class.__name__)
        return ModelSpec(name=str(tmp_path / model_class.__name__))

    return save


def classifier_of(spec: ModelSpec):
    return TASK.load_classifier(spec, ["no", "yes"], TASK.load_processor(spec))[0]


def moved(model, by: float = 0.2):
    """`model` with every weight moved at random."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += by * torch.randn(parameter.shape, generator=generator)
    return model


def with_adapters(model):
    """LoRA adapters that do something."""
    config = peft.LoraConfig(r=2, target_modules=["query", "value"], modules_to_save=["classifier"])
    return moved(peft.get_peft_model(model, config))


def ids_of(spec: ModelSpec, text: str) -> list[int]:
    return TASK.load_processor(spec)(text)["input_ids"]


def log_probability(model, tokens: list[int], position: int, token: int) -> float:
    """Of `token` by the logits at `position`, one text at a time, in double precision."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0, position].double().numpy()
    return float(logits[token] - math.log(np.exp(logits - logits.max()).sum()) - logits.max())


def causal_by_hand(model, tokens: list[int]) -> float:
    each = [log_probability(model, tokens, position - 1, tokens[position]) for position in range(1, len(tokens))]
    return -sum(each) / len(each)


def test_a_causal_model_is_scored_by_each_next_token(saved):
    spec = saved(GPT2LMHeadModel, TEXT_MODELS["gpt2"])
    scorer = text_scorer(spec, TASK, data_of(), 64)
    model = GPT2LMHeadModel.from_pretrained(spec.name).eval()
    by_hand = [causal_by_hand(model, ids_of(spec, text)) for text in scorer.texts]
    assert scorer.measure == "perplexity" and scorer.texts == tuple(TEXTS[:20])
    np.testing.assert_allclose(scorer.before, by_hand, rtol=1e-5)


def test_a_masked_model_is_scored_by_masks_that_are_always_the_same(saved):
    spec = saved(BertForMaskedLM, BERT)
    scorer = text_scorer(spec, TASK, data_of(), 64)
    model, language = BertForMaskedLM.from_pretrained(spec.name).eval(), load_language_model(spec, TASK)
    by_hand = []
    for text, row in zip(scorer.texts, language.rows(scorer.texts, 64), strict=True):
        tokens, whole = row["input_ids"], ids_of(spec, text)
        places = [place for place, label in enumerate(row["labels"]) if label != -100]
        assert len(places) == max(round(0.15 * (len(whole) - 2)), 1) and not {0, len(whole) - 1} & set(places)
        assert [row["labels"][place] for place in places] == [whole[place] for place in places]
        assert tokens == [4 if place in places else token for place, token in enumerate(whole)]  # 4 is the mask
        each = [log_probability(model, tokens, place, whole[place]) for place in places]
        by_hand.append(-sum(each) / len(each))
    np.testing.assert_allclose(scorer.before, by_hand, rtol=1e-5)
    np.testing.assert_array_equal(text_scorer(spec, TASK, data_of(), 64).before, scorer.before)


@pytest.mark.parametrize("name", ["gpt2", "bert", "features"])
def test_the_model_as_it_came_scores_after_what_it_scored_before(saved, name):
    classes = {"gpt2": (GPT2LMHeadModel, TEXT_MODELS["gpt2"]), "bert": (BertForMaskedLM, BERT)}
    spec = saved(*classes.get(name, (AutoModel._model_mapping[BertConfig], BERT)))
    scorer = text_scorer(spec, TASK, data_of(), 64)
    unchanged = scorer.compare(classifier_of(spec))
    assert unchanged.before == unchanged.after and unchanged == scorer.compare(None)
    assert unchanged.digest == text_digest(TEXTS[:20]) and len(unchanged.before) == 20
    assert scorer.compare(moved(classifier_of(spec))).after != unchanged.after
    assert scorer.compare(classifier_of(spec)) == unchanged  # nothing is left of the model before


@pytest.mark.parametrize(
    ("language_class", "config", "classifier_class"),
    [
        (BertForMaskedLM, BERT, BertForSequenceClassification),
        (GPT2LMHeadModel, TEXT_MODELS["gpt2"], GPT2ForSequenceClassification),
    ],
)
def test_a_trained_classifier_scores_as_the_language_model_with_its_body(
    saved, language_class, config, classifier_class
):
    spec = saved(language_class, config)
    scorer, trained = text_scorer(spec, TASK, data_of(), 64), moved(classifier_of(spec))
    assert isinstance(trained, classifier_class)
    by_hand = language_class.from_pretrained(spec.name)
    prefix = by_hand.base_model_prefix
    missing = getattr(by_hand, prefix).load_state_dict(getattr(trained, prefix).state_dict(), strict=False)
    assert not missing.missing_keys
    language = load_language_model(spec, TASK)
    expected = language.scores(by_hand.eval(), language.rows(scorer.texts, 64))
    np.testing.assert_array_equal(scorer(trained), expected)
    assert scorer(trained).mean() > scorer.before.mean() + 0.01
    np.testing.assert_array_equal(scorer(getattr(trained, prefix)), expected)  # the bare body, too


def test_a_head_that_shares_the_embeddings_still_does(saved):
    spec = saved(BertForMaskedLM, BERT)
    form, trained = BertForMaskedLM.from_pretrained(spec.name), moved(classifier_of(spec))
    before = weights(form)
    mixed = with_body_of(form, trained)
    assert mixed.cls.predictions.decoder.weight is mixed.bert.embeddings.word_embeddings.weight
    assert torch.equal(mixed.cls.predictions.decoder.weight, trained.bert.embeddings.word_embeddings.weight)
    assert torch.equal(mixed.cls.predictions.bias, form.cls.predictions.bias)
    assert_same_bits(before, weights(form))


@pytest.mark.parametrize("model_class", [BertForMaskedLM, BertForSequenceClassification])
def test_adapters_count_as_merged(saved, model_class):
    spec = saved(model_class, BERT)
    scorer, adapted = text_scorer(spec, TASK, data_of(), 64), with_adapters(classifier_of(spec))
    merged = scorer(copy.deepcopy(adapted).merge_and_unload())
    np.testing.assert_array_equal(scorer(adapted), merged)
    assert (merged != scorer.before).any()


@pytest.mark.parametrize("model_class", [BertForMaskedLM, BertForTokenClassification])  # the latter has no pooler
def test_scoring_leaves_no_trace(saved, model_class):
    spec = saved(model_class, BERT)
    model = with_adapters(classifier_of(spec)).train()
    model.base_model.model.bert.embeddings.eval()
    modes, before = [module.training for module in model.modules()], weights(model)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(3)
    np.random.seed(3)
    text_scorer(spec, TASK, data_of(), 64)(model)
    old_text_examples(spec, TASK, data_of(), 64)
    assert torch.equal(torch.rand(3), expected[0]) and (np.random.rand(3) == expected[1]).all()
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert_same_bits(before, weights(model))


def test_a_probe_notices_features_that_changed_and_only_those(saved):
    spec = saved(AutoModel._model_mapping[BertConfig], BERT)
    scorer, model = text_scorer(spec, TASK, data_of(), 64), classifier_of(spec)
    assert scorer.measure == "probe" and (scorer.before == 1).all()
    with torch.no_grad():
        model.classifier.weight.add_(5.0)
        model.bert.pooler.dense.weight.add_(5.0)
    assert (scorer(model) == 1).all()  # the head and the pooler are no features
    slightly, much = scorer(moved(classifier_of(spec), 1e-4)).mean(), scorer(moved(classifier_of(spec), 0.5)).mean()
    assert slightly >= 0.95 and much <= 0.7
    assert set(scorer(moved(classifier_of(spec), 0.1))) <= {0.0, 1.0}


def test_a_probe_reads_other_texts_than_it_learned_from(saved):
    """Features that are a permutation of the old ones: exactly the texts of moved clusters are lost."""
    spec = saved(AutoModel._model_mapping[BertConfig], BERT)
    scorer = text_scorer(spec, TASK, data_of(), 64)
    model = classifier_of(spec)
    last = model.bert.encoder.layer[-1].output.LayerNorm
    with torch.no_grad():
        last.weight.zero_()  # every token of every text has the same features now
        last.bias.copy_(torch.arange(16.0))
    kept = scorer(model)
    largest = max(np.bincount(scorer._first)) / len(kept)
    assert kept.mean() <= largest  # a constant answer is right for one cluster at most
    assert len(set(scorer._first)) > 1


@pytest.mark.parametrize(
    ("model_class", "config", "expected"),
    [
        (BertForPreTraining, BERT, (True, "BertForMaskedLM")),
        (BertLMHeadModel, BERT, (True, "BertForMaskedLM")),  # without is_decoder it sees the next token
        (BertLMHeadModel, BertConfig(**SETTINGS, is_decoder=True), (False, "BertLMHeadModel")),
        (GPT2LMHeadModel, TEXT_MODELS["gpt2"], (False, "GPT2LMHeadModel")),
        (BertForSequenceClassification, BERT, None),
        (ElectraForPreTraining, ElectraConfig(**SETTINGS, embedding_size=8), None),  # a discriminator
    ],
)  # fmt: skip
def test_which_checkpoints_are_language_models(saved, model_class, config, expected):
    found = load_language_model(saved(model_class, config), TASK)
    assert (None if found is None else (found.masked, type(found.model).__name__)) == expected


def test_a_sentence_encoder_that_names_another_class_is_none(saved, tmp_path):
    spec = saved(AutoModel._model_mapping[BertConfig], BERT)
    file = tmp_path / "BertModel" / "config.json"
    file.write_text(file.read_text().replace('"BertModel"', '"BertForMaskedLM"'))
    assert load_language_model(spec, TASK) is None
    assert text_scorer(spec, TASK, data_of(), 64).measure == "probe"


def test_long_texts_are_cut_and_what_has_nothing_to_predict_is_left_out(saved):
    spec = saved(BertForMaskedLM, BERT)
    texts = ("[SEP]", "good film", " ".join(["good"] * 30))
    scorer = text_scorer(spec, TASK, data_of(test_texts=texts), 8)
    assert scorer.texts == texts[1:] and scorer.compare(None).digest == text_digest(texts)
    assert any("1 old texts have no token" in note for note in scorer.notes)
    assert max(len(row["input_ids"]) for row in scorer._rows) == 8
    with pytest.raises(DataError, match="no old text has a token to predict"):
        text_scorer(spec, TASK, data_of(test_texts=("[SEP]",)), 8)


def test_a_causal_model_has_nothing_to_predict_in_a_single_token(saved):
    language = load_language_model(saved(GPT2LMHeadModel, TEXT_MODELS["gpt2"]), TASK)
    language.processor.backend_tokenizer.post_processor = TemplateProcessing(single="$A")  # as GPT-2's own: no frame
    rows = language.rows(["good", "good film"], 64)
    assert rows[0] is None and len(rows[1]["input_ids"]) == 2


def test_what_cannot_be_scored_is_refused(saved):
    spec = saved(AutoModel._model_mapping[BertConfig], BERT)
    with pytest.raises(DataError, match="the task is image-classification"):
        text_scorer(spec, get_task("image-classification"), data_of(), 64)
    with pytest.raises(DataError, match="9 old train texts are too few for a probe on features; give 10"):
        text_scorer(spec, TASK, data_of(tuple(TEXTS[:9])), 64)
    with pytest.raises(DataError, match="the same features"):
        text_scorer(spec, TASK, data_of(("good film",) * 10), 64)
    deeper = BertForSequenceClassification(BertConfig(**(SETTINGS | {"hidden_size": 8})))
    with pytest.raises(ModelError, match=r"no weight like .*embeddings.* of BertModel, so their bodies differ"):
        text_scorer(spec, TASK, data_of(), 64)(deeper)
    t5 = saved(T5ForConditionalGeneration, T5Config(vocab_size=32, d_model=16, d_ff=16, num_layers=1, num_heads=2))
    with pytest.raises(ModelError, match="is an encoder-decoder"):
        text_scorer(t5, TASK, data_of(), 64)


@pytest.mark.parametrize("kind", ["fisher", "sampled", "mas"])
@pytest.mark.parametrize("model_class", [BertForMaskedLM, BertForSequenceClassification])
def test_ewc_protects_the_body_and_leaves_the_head_free(saved, tmp_path, model_class, kind):
    spec = saved(model_class, BERT)
    start, pad = classifier_of(spec), TASK.load_processor(spec).pad
    start.accepts_loss_kwargs = False
    rows = [{**row, "labels": i % 2} for i, row in enumerate(TASK.encode(TASK.load_processor(spec), TEXTS[:16], 64))]
    old, moves = old_text_examples(spec, TASK, data_of(), 64), {}
    for strength in (0.0, 1e6):
        ewc = EWC(
            old.data, strength, kind, n_examples=8, reference_model=old.reference_model, collate_fn=old.collate_fn
        )
        model = copy.deepcopy(start)
        trainer_class = partial(Trainer, data_collator=lambda rows: pad(rows, return_tensors="pt"))
        train(tmp_path / str(strength), [ewc], model=model, data=rows, num_train_epochs=2, trainer_class=trainer_class)
        after, before = weights(model), weights(start)
        moves[strength] = {name: float((after[name] - before[name]).abs().mean()) for name in before}
    value = "bert.encoder.layer.0.attention.self.value.weight"
    assert moves[1e6][value] < moves[0.0][value] / 10
    assert moves[1e6]["classifier.weight"] > moves[0.0]["classifier.weight"] / 3


def test_a_feature_that_is_almost_constant_says_nothing():
    """As some of MiniLM are: divided by their own spread, a change of a millionth would be read from them."""
    source = np.random.default_rng(0)
    features = np.repeat(source.normal(size=(4, 8)), 25, axis=0) + 0.1 * source.normal(size=(100, 8))
    constant = 1.0 + 1e-6 * source.normal(size=(100, 2))
    probe, _ = fit_probe(np.concatenate([features, constant], axis=1))
    shifted = np.concatenate([features, constant + 1e-4], axis=1)
    assert probe.logits(shifted) == pytest.approx(probe.logits(np.concatenate([features, constant], axis=1)), abs=1e-3)
    two, halves = fit_probe(features[:14])
    assert two.weight.shape == (8, 2) and (two.logits(features[:14]).argmax(axis=1) == halves).mean() > 0.8


def test_a_probe_of_one_text_does_not_depend_on_chance():
    features = np.random.default_rng(0).normal(size=(60, 6))
    first = fit_probe(features)
    np.random.seed(5)
    again = fit_probe(features)
    assert (first[0].weight == again[0].weight).all() and (first[1] == again[1]).all()


def test_the_probe_under_ewc_is_the_one_that_scores(saved):
    spec = saved(BertForSequenceClassification, BERT)
    scorer, old = text_scorer(spec, TASK, data_of(), 64), old_text_examples(spec, TASK, data_of(), 64)
    logits = old.reference_model(**old.collate_fn(old.data))["logits"].detach().numpy()
    features = last_features(TASK, scorer._backbone, TASK.load_processor(spec), data_of().train, 64)
    np.testing.assert_allclose(logits, scorer._probe.logits(features), atol=1e-4)
    assert (logits.argmax(axis=1) == [row["labels"] for row in old.data]).mean() > 0.7  # of eight
    batch = old.collate_fn(old.data[:1])
    by_hand = -math.log(np.exp(logits[0])[batch["labels"][0]] / np.exp(logits[0]).sum())
    assert float(old.reference_model(**batch)["loss"].detach()) == pytest.approx(by_hand, rel=1e-4)
