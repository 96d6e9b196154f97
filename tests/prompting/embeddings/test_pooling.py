import json
import shutil

import pytest

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.models import resolve
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.embeddings.pooling import POOLERS, pooling_of
from hf_transfer_kit.prompting.embeddings.vectors import ModelEmbedder
from hf_transfer_kit.tasks import get_task

MINILM = ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2")
TEXTS = ["the film was great", "awful plot", "a story", "music and a very lovely happy acting of the film", "poor"]


def embed(folder, texts, **settings):
    return ModelEmbedder(ModelSpec(name=str(folder)), get_task("text-classification"), **settings).embed(texts)


@pytest.fixture
def sentence_model(tiny_bert, tmp_path):
    """Makes a copy of the tiny BERT that carries files of sentence-transformers."""

    def make(pooling, modules=("Transformer", "Pooling", "Normalize"), prompts=None, **sizes):
        folder = tmp_path / f"model {len(list(tmp_path.iterdir()))}"
        shutil.copytree(tiny_bert, folder)
        paths = {"Transformer": "", "Pooling": "1_Pooling"}
        listed = [
            {
                "idx": i,
                "name": str(i),
                "path": paths.get(kind, f"{i}_{kind}"),
                "type": f"sentence_transformers.models.{kind}",
            }
            for i, kind in enumerate(modules)
        ]
        (folder / "1_Pooling").mkdir()
        (folder / "2_Normalize").mkdir()
        (folder / "modules.json").write_text(json.dumps(listed))
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | pooling))
        (folder / "sentence_bert_config.json").write_text(json.dumps(sizes))
        if prompts:
            (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        return folder

    return make


def test_minilm_gives_the_embedding_of_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    texts = ["hello", "where is my card?", "a longer sentence, with one word after the other " * 40, "Straße 😀"]
    expected = SentenceTransformer(resolve(MINILM), device="cpu").encode(texts)

    assert embed(MINILM.name, texts).vectors == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mode", [*POOLERS, ["cls", "mean"]])
def test_every_pooling_is_that_of_sentence_transformers(sentence_model, mode):
    from sentence_transformers import SentenceTransformer

    folder = sentence_model({"pooling_mode": mode}, max_seq_length=8)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)

    assert embed(folder, TEXTS).vectors == pytest.approx(expected, abs=1e-5)


def test_prompts_and_lower_case_are_those_of_the_model(sentence_model):
    from sentence_transformers import SentenceTransformer

    prompts = {"prompts": {"query": "good film: ", "other": "bad"}, "default_prompt_name": "query"}
    folder = sentence_model({"pooling_mode_cls_token": True}, prompts=prompts, do_lower_case=True)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)

    assert embed(folder, TEXTS).vectors == pytest.approx(expected, abs=1e-5)
    assert pooling_of(ModelSpec(name=str(folder))).prepare("A Film") == "good film: a film"


def test_a_prompt_for_classification_goes_before_the_default_one(sentence_model):
    prompts = {"prompts": {"query": "q: ", "Classification": "c: "}, "default_prompt_name": "query"}

    assert pooling_of(ModelSpec(name=str(sentence_model({}, prompts=prompts)))).instruction == "c: "


def test_a_model_with_more_than_pooling_is_refused(sentence_model):
    folder = sentence_model({}, modules=("Transformer", "Pooling", "Dense"))

    with pytest.raises(ModelError, match="embeds with Dense"):
        pooling_of(ModelSpec(name=str(folder)))


def test_unknown_pooling_and_pooling_without_the_prompt_are_refused(sentence_model):
    with pytest.raises(ModelError, match="pools by 'magic'"):
        pooling_of(ModelSpec(name=str(sentence_model({"pooling_mode": "magic"}))))
    with pytest.raises(ModelError, match="leaves its instruction out"):
        pooling_of(ModelSpec(name=str(sentence_model({"include_prompt": False}))))


def test_a_broken_file_is_named(sentence_model):
    folder = sentence_model({})
    (folder / "modules.json").write_text("[")

    with pytest.raises(ModelError, match=r"'modules\.json' of model"):
        pooling_of(ModelSpec(name=str(folder)))
