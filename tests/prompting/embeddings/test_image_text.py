import numpy as np
import pytest
import torch
from conftest import GOOD, save_tiny_tokenizer
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.embeddings.image_text import ImageTextClassifier
from hf_transfer_kit.prompting.embeddings.prototype import PrototypeClassifier
from hf_transfer_kit.prompting.prompts import Prompt

TEMPLATE = Prompt(name="one", label_templates=("the {{ label }} film",))
TEMPLATES = Prompt(
    name="three", label_templates=("{{ label }}", "a very {{ label }} story", "{{ label }} music and film")
)
LABELS = list(GOOD[:5])
LENGTH = 16  # positions of the text tower

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SIZES | {
    "vocab_size": 32,
    "max_position_embeddings": LENGTH,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
VISION = SIZES | {"image_size": 32, "patch_size": 8}
IMAGE_SIZE = {"height": 32, "width": 32}


def save(folder, model, processor):
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "position" not in name:
            torch.nn.init.normal_(parameter, std=0.3)  # else all images look alike to it
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    save_tiny_tokenizer(folder)
    return ModelSpec(name=str(folder))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24))
        processor = CLIPImageProcessor(size=IMAGE_SIZE, crop_size=IMAGE_SIZE)
        return save(tmp_path_factory.mktemp("clip"), model, processor)


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = SiglipModel(SiglipConfig(text_config=TEXT | {"projection_size": 32}, vision_config=VISION))
        model.logit_scale.data.fill_(2.0)
        model.logit_bias.data.fill_(-3.0)
        return save(tmp_path_factory.mktemp("siglip"), model, SiglipImageProcessor(size=IMAGE_SIZE))


@pytest.fixture(scope="module")
def images():
    draw = np.random.default_rng(0)
    return [Image.fromarray(draw.integers(0, 255, (40, 32, 3), dtype=np.uint8)) for _ in range(20)]


@pytest.fixture(params=["clip", "siglip"])
def spec(request):
    return request.getfixturevalue(request.param)


def full_model(spec, images, texts):
    """logits_per_image of the whole model, all texts with all images."""
    model = AutoModel.from_pretrained(spec.name).eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(spec.name), AutoImageProcessor.from_pretrained(spec.name)
    padding = {"padding": "max_length", "max_length": LENGTH} if hasattr(model, "logit_bias") else {"padding": True}
    tokens = tokenizer(texts, return_tensors="pt", **padding)
    with torch.inference_mode():
        return model(**tokens, **processor(images=images, return_tensors="pt")).logits_per_image.numpy()


def fitted(spec, prompt, labels=LABELS, demonstrations=None, kind=ImageTextClassifier, **settings):
    classifier = kind(spec, prompt, input_noun="image", **settings)
    classifier.fit(labels, demonstrations)
    return classifier


def towers(classifier, images, texts):
    """Vectors as the classifier has them, for arithmetic on top."""
    return classifier.embedder.embed(images).vectors, classifier.embedder.embed_texts(texts).vectors


def test_clip_scores_are_the_logits_of_the_full_model(clip, images):
    expected = full_model(clip, images, [f"the {label} film" for label in LABELS])

    scores = fitted(clip, TEMPLATE).score(images)

    assert scores.log_scores == pytest.approx(expected, abs=1e-4)
    assert len(set(scores.predictions)) > 1
    assert scores.label_tokens.tolist() == [1] * 5
    assert scores.usage.tokens_in == 0


def test_siglip_scores_are_the_log_probabilities_of_the_full_model(siglip, images):
    logits = full_model(siglip, images, [f"the {label} film" for label in LABELS])
    expected = torch.nn.functional.logsigmoid(torch.tensor(logits)).numpy()

    assert fitted(siglip, TEMPLATE).score(images).log_scores == pytest.approx(expected, abs=1e-4)


def test_several_templates_are_averaged_between_normalising(spec, images):
    model = AutoModel.from_pretrained(spec.name)
    scale = model.logit_scale.exp().item()
    bias = model.logit_bias.item() if hasattr(model, "logit_bias") else 0
    expected = np.zeros((len(images), len(LABELS)))
    for i, label in enumerate(LABELS):
        each = full_model(spec, images, [label, f"a very {label} story", f"{label} music and film"])  # (images, 3)
        texts = towers(fitted(spec, TEMPLATE), images[:1], TEMPLATES.label_texts(label))[1]
        # cosine with a mean of unit vectors: the mean of the cosines, divided by the mean's length
        expected[:, i] = ((each - bias) / scale).mean(axis=1) / np.linalg.norm(texts.mean(axis=0))
    logits = scale * expected + bias
    wanted = -np.logaddexp(0, -logits) if bias else logits

    assert fitted(spec, TEMPLATES).score(images).log_scores == pytest.approx(wanted, abs=1e-4)


def test_label_texts_pass_the_text_tower_once(spec, images):
    classifier = ImageTextClassifier(spec, TEMPLATES)
    classifier.embedder.load()
    rows = {"text": 0, "image": 0}

    def count(tower):
        def hook(module, arguments, keywords, output):
            rows[tower] += len(output[0])

        return hook

    model = classifier.embedder._model
    model.text_model.register_forward_hook(count("text"), with_kwargs=True)
    model.vision_model.register_forward_hook(count("image"), with_kwargs=True)
    classifier.fit(LABELS)
    for image in images:
        classifier.score([image])

    assert rows == {"text": 15, "image": 20 + 1}  # one image is looked at again to count operations


def test_batches_and_order_change_nothing(spec, images):
    classifier = fitted(spec, TEMPLATES)
    whole = classifier.score(images).log_scores

    assert classifier.score(images[::-1]).log_scores[::-1] == pytest.approx(whole, abs=1e-4)
    assert np.concatenate([classifier.score([image]).log_scores for image in images]) == pytest.approx(whole, abs=1e-4)


def test_images_may_be_undecoded_files(clip, images, tmp_path):
    images[0].save(tmp_path / "0.png")
    content = (tmp_path / "0.png").read_bytes()
    classifier = fitted(clip, TEMPLATE)

    scores = classifier.score([images[0], str(tmp_path / "0.png"), {"bytes": content, "path": None}]).log_scores

    assert scores[1:] == pytest.approx(scores[[0, 0]], abs=1e-4)


def test_few_shots_add_the_nearest_images_to_the_label_texts(spec, images):
    shown = [Demonstration(input=image, label=LABELS[i % 2]) for i, image in enumerate(images[:6])]
    classifier = fitted(spec, TEMPLATE, LABELS[:2], shown, shots=2)
    vectors, texts = towers(classifier, images, ["the good film", "the great film"])
    expected = np.zeros((4, 2))
    for row, x in enumerate(vectors[6:10]):
        order = np.argsort(-vectors[:6] @ x)
        for label in range(2):
            own = [i for i in order[:2] if i % 2 == label] or [next(i for i in order if i % 2 == label)]
            mean = texts[label] + vectors[own].sum(axis=0)
            expected[row, label] = mean @ x / np.linalg.norm(mean)

    scores = classifier.score(images[6:10]).log_scores

    assert scores * classifier.details["temperature"] == pytest.approx(expected, abs=1e-5)


def test_prototypes_of_such_a_model_use_both_towers(spec, images):
    shown = [Demonstration(input=image, label=LABELS[0]) for image in images[:3]]
    classifier = fitted(spec, TEMPLATE, LABELS[:2], shown, kind=PrototypeClassifier)
    vectors, texts = towers(classifier, images, ["the good film", "the great film"])
    good = texts[0] + vectors[:3].sum(axis=0)
    expected = np.stack([vectors @ good / np.linalg.norm(good), vectors @ texts[1]], axis=1)

    assert classifier.score(images).log_scores * classifier.details["temperature"] == pytest.approx(expected, abs=1e-5)


def test_siglip_2_with_images_of_any_shape(images, tmp_path):
    torch.manual_seed(2)
    vision = SIZES | {"patch_size": 8, "num_patches": 16}
    model = Siglip2Model(Siglip2Config(text_config=TEXT | {"projection_size": 32}, vision_config=vision))
    spec = save(tmp_path, model, Siglip2ImageProcessor(patch_size=8, max_num_patches=16))
    logits = full_model(spec, images, [f"the {label} film" for label in LABELS])
    expected = torch.nn.functional.logsigmoid(torch.tensor(logits)).numpy()

    assert fitted(spec, TEMPLATE).score(images).log_scores == pytest.approx(expected, abs=1e-4)


def test_a_label_text_too_long_for_the_model_is_refused(spec):
    prompt = Prompt(name="long", label_templates=("{{ label }}" + " film" * 20,))

    with pytest.raises(PromptError, match="has 23 tokens"):
        fitted(spec, prompt)


def test_template_syntax_in_a_label_is_data(clip, images):
    labels = ["{{ 1 / 0 }}", "{% raw %}"]
    classifier = fitted(clip, TEMPLATE, labels)
    by_hand = [TEMPLATE.label_templates[0].replace("{{ label }}", label) for label in labels]

    vectors, texts = classifier.embedder.embed(images[:1]).vectors, classifier.embedder.embed_texts(by_hand).vectors
    cosines = classifier.embedder.name_scores(vectors @ texts.T)
    assert classifier.score(images[:1]).log_scores == pytest.approx(cosines, abs=1e-4)


def test_a_model_without_two_towers_is_refused(tiny_image_model):
    with pytest.raises(ModelError):
        fitted(ModelSpec(name=str(tiny_image_model)), TEMPLATE)


def test_progress_counts_to_the_end(clip, images):
    calls = []
    fitted(clip, TEMPLATE).score(images, on_progress=lambda done, of: calls.append((done, of)))

    assert calls == [(16, 20), (20, 20)]
