import numpy as np
import pytest
import torch
from architectures import TEXT_MODELS
from conftest import save_tiny_tokenizer
from transformers import AutoModel, AutoTokenizer

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.embeddings.vectors import ModelEmbedder, unit
from hf_transfer_kit.tasks import get_task

TEXTS = ["the film was great", "awful plot", "a story", "music and a very lovely happy acting of the film", "poor"]


def embed(folder, texts, **settings):
    return ModelEmbedder(ModelSpec(name=str(folder)), get_task("text-classification"), **settings).embed(texts)


def test_other_models_give_the_mean_over_the_tokens(tiny_bert):
    model, tokenizer = AutoModel.from_pretrained(tiny_bert).eval(), AutoTokenizer.from_pretrained(tiny_bert)
    with torch.inference_mode():
        means = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0) for text in TEXTS]

    embedded = embed(tiny_bert, TEXTS)

    assert embedded.vectors == pytest.approx(unit(torch.stack(means).numpy()), abs=1e-5)
    assert embedded.tokens == sum(len(tokenizer(text)["input_ids"]) for text in TEXTS)


def test_batches_and_order_change_nothing(tiny_bert, monkeypatch):
    whole = embed(tiny_bert, TEXTS).vectors
    turned = embed(tiny_bert, TEXTS[::-1]).vectors[::-1]
    monkeypatch.setattr("hf_transfer_kit.tasks.text_classification.TextClassification.inference_batch", 2)

    assert turned == pytest.approx(whole, abs=1e-6)
    assert embed(tiny_bert, TEXTS).vectors == pytest.approx(whole, abs=1e-6)


def test_a_length_that_is_asked_for_cuts(tiny_bert):
    assert embed(tiny_bert, TEXTS, max_length=4).tokens == 4 * 4 + 3  # "poor" is shorter
    assert embed(tiny_bert, TEXTS, max_length=4).vectors[0] == pytest.approx(embed(tiny_bert, ["the film"]).vectors[0])


@pytest.mark.parametrize("name", ["deberta-v2", "gpt2", "llama", "modernbert"])
def test_models_of_other_architectures_embed(name, tmp_path):
    torch.manual_seed(0)
    AutoModel.from_config(TEXT_MODELS[name]).save_pretrained(tmp_path)
    save_tiny_tokenizer(tmp_path)

    vectors = embed(tmp_path, TEXTS).vectors

    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5))
    assert embed(tmp_path, TEXTS[:1]).vectors == pytest.approx(vectors[:1], abs=1e-5)


def test_of_an_encoder_decoder_the_encoder_embeds(tmp_path):
    from transformers import T5Config, T5EncoderModel, T5Model

    torch.manual_seed(0)
    config = T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2, decoder_start_token_id=0)
    T5Model(config).save_pretrained(tmp_path)
    save_tiny_tokenizer(tmp_path)
    tokens = AutoTokenizer.from_pretrained(tmp_path)(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        states = T5EncoderModel.from_pretrained(tmp_path).eval()(tokens["input_ids"]).last_hidden_state

    assert embed(tmp_path, TEXTS).vectors[0] == pytest.approx(unit(states[0].mean(dim=0).numpy()), abs=1e-5)


def test_damaged_weights_are_reported(tiny_bert, tmp_path):
    model = AutoModel.from_pretrained(tiny_bert)
    model.embeddings.word_embeddings.weight.data[:] = float("nan")
    model.save_pretrained(tmp_path)
    save_tiny_tokenizer(tmp_path)

    with pytest.raises(ModelError, match="not finite"):
        embed(tmp_path, TEXTS)
