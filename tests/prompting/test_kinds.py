import pytest
import transformers as hf

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.plan import ModelSpec, Remote
from hf_transfer_kit.prompting.kinds import kind_of, knows_words
from hf_transfer_kit.prompting.make import KINDS, make_classifier, prompts_for

TEXT, IMAGE = "text-classification", "image-classification"


@pytest.fixture
def model(tmp_path):
    """Makes a folder with the configuration of a model whose checkpoint was saved from the class `architecture`."""

    def make(config, architecture, **files):
        folder = tmp_path / architecture
        config.architectures = [architecture]
        config.save_pretrained(folder)
        for name, text in files.items():
            (folder / f"{name}.json").write_text(text)
        return ModelSpec(name=str(folder))

    return make


@pytest.mark.parametrize(
    ("config", "architecture", "task", "kind", "words"),
    [
        (hf.LlamaConfig(), "LlamaForCausalLM", TEXT, "causal", True),
        (hf.GPT2Config(), "GPT2LMHeadModel", TEXT, "causal", True),
        (hf.BertConfig(), "BertForMaskedLM", TEXT, "masked", True),
        (hf.BertConfig(), "BertModel", TEXT, "embedding", True),
        (hf.BertConfig(), "BertForSequenceClassification", TEXT, "embedding", True),
        (hf.T5Config(), "T5ForConditionalGeneration", TEXT, "encoder_decoder", True),
        (hf.BartConfig(), "BartModel", TEXT, "embedding", True),
        (hf.CLIPConfig(), "CLIPModel", IMAGE, "image_text", True),
        (hf.SiglipConfig(), "SiglipModel", IMAGE, "image_text", True),
        (hf.ViTConfig(), "ViTForImageClassification", IMAGE, "embedding", False),
    ],
)
def test_a_model_is_asked_by_what_it_is(model, config, architecture, task, kind, words):
    spec = model(config, architecture)

    assert kind_of(spec, task) == kind
    assert knows_words(spec, task) == words
    assert prompts_for(kind, spec, task)
    assert prompts_for("prototype", spec, task)[0].label_templates


def test_a_language_model_that_was_trained_to_embed_is_asked_by_its_embeddings(model):
    spec = model(hf.Qwen3Config(), "Qwen3ForCausalLM", modules="[]")

    assert kind_of(spec, TEXT) == "embedding"
    assert kind_of(spec, TEXT, "causal") == "causal"  # unless somebody says otherwise


def test_a_remote_model_is_remote_whatever_is_asked_for():
    spec = ModelSpec(name="big/chat", remote=Remote(url="http://127.0.0.1:1/v1"))

    assert kind_of(spec, TEXT) == kind_of(spec, TEXT, "masked") == "remote"


def test_a_kind_that_cannot_be_is_refused(model):
    with pytest.raises(PromptError, match="is asked by 'embedding' here, not by 'causal'"):
        kind_of(model(hf.ViTConfig(), "ViTModel"), IMAGE, "causal")
    with pytest.raises(PromptError, match="no built-in prompts of kind 'causall'; did you mean 'causal'"):
        make_classifier("org/model", kind="causall")


def test_every_kind_has_its_classifier(model):
    text, image = model(hf.BertConfig(), "BertForMaskedLM"), model(hf.CLIPConfig(), "CLIPModel")
    remote = ModelSpec(name="big/chat", remote=Remote(url="http://127.0.0.1:1/v1"))
    specs = dict.fromkeys(KINDS, text) | {"image_text": image, "remote": remote}

    made = {
        kind: type(make_classifier(spec, kind=kind, task=IMAGE if spec is image else TEXT)).__name__
        for kind, spec in specs.items()
    }

    assert made == {
        "causal": "CausalClassifier", "masked": "MaskedClassifier", "encoder_decoder": "EncoderDecoderClassifier",
        "image_text": "ImageTextClassifier", "embedding": "EmbeddingClassifier", "remote": "RemoteClassifier",
        "prototype": "PrototypeClassifier",
    }  # fmt: skip
