import numpy as np
import pytest
from vectors_on_paper import MINILM, NAMES, SIDES, OnPaper, Wordless, cosines, shown

from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.embeddings.embedding import EmbeddingClassifier
from hf_transfer_kit.prompting.embeddings.prototype import PrototypeClassifier
from hf_transfer_kit.prompting.embeddings.vectors import TEMPERATURE, ModelEmbedder
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.tasks import get_task

TEXTS = ["the film was great", "awful plot", "a story", "music and a very lovely happy acting of the film", "poor"]


def model_of(folder):
    return ModelSpec(name=str(folder))


def test_zero_shot_scores_are_cosines_with_the_names():
    classifier = EmbeddingClassifier(MINILM, NAMES, embedder=OnPaper(good=[1, 0], bad=[0, 2], text=[3, 4]))

    classifier.fit(SIDES)
    scores = classifier.score(["text"])

    assert scores.log_scores * TEMPERATURE == pytest.approx(np.array([[0.6, 0.8]]))
    assert scores.predictions.tolist() == [1]
    assert scores.label_tokens.tolist() == [1, 1]
    assert scores.usage.tokens_in == 1
    assert not scores.unreadable.any()


def test_several_templates_are_averaged_after_normalising():
    vectors = {"good": [10, 0], "so good": [0, 1], "bad": [0, 1], "so bad": [0, 1], "text": [1, 0]}
    prompt = Prompt(name="two", label_templates=("{{ label }}", "so {{ label }}"))
    classifier = EmbeddingClassifier(MINILM, prompt, embedder=OnPaper(**vectors))

    classifier.fit(SIDES)

    assert cosines(classifier, ["text"]) == pytest.approx(np.array([[0.5**0.5, 0]]))  # lengths of 10 and 1 count alike


def test_label_texts_are_embedded_in_one_call_and_only_on_fit():
    embedder = OnPaper(good=[1, 0], bad=[0, 1], a=[1, 1], b=[1, 2])
    classifier = EmbeddingClassifier(MINILM, NAMES, embedder=embedder)

    classifier.fit(SIDES)
    classifier.score(["a"])
    classifier.score(["b"])

    assert embedder.seen == ["good", "bad", "a", "a", "b"]  # "a" twice: to answer, and to count operations
    assert embedder.calls == 4


def test_a_prompt_without_label_templates_gives_the_words_alone():
    embedder = OnPaper(**{"lost card": [1, 0], "bad": [0, 1]})

    EmbeddingClassifier(MINILM, Prompt(name="bare"), embedder=embedder).fit(["lost_card", "bad"])

    assert embedder.seen == ["lost card", "bad"]


def test_template_syntax_in_a_label_is_data():
    embedder = OnPaper(**{"{{ 1 + 1 }}": [1, 0], "{% raw %}": [0, 1], "x": [1, 0]})
    classifier = EmbeddingClassifier(MINILM, NAMES, embedder=embedder)

    classifier.fit(["{{ 1 + 1 }}", "{% raw %}"])

    assert classifier.score(["x"]).predictions.tolist() == [0]


def test_nothing_to_score_gives_no_rows():
    classifier = EmbeddingClassifier(MINILM, NAMES, embedder=OnPaper(good=[1, 0], bad=[0, 1]))
    classifier.fit(SIDES)

    assert classifier.score([]).log_scores.shape == (0, 2)


def test_the_nearest_examples_are_added_to_their_labels_names():
    paper = OnPaper(good=[1, 0], bad=[0, 1], near=[0.6, 0.8], far=[0, -1], text=[0.6, 0.8])
    classifier = EmbeddingClassifier(MINILM, NAMES, shots=1, embedder=paper)

    classifier.fit(SIDES, shown(("near", "good"), ("far", "good")))

    # good: (1, 0) + (0.6, 0.8) has the length sqrt(3.2), its product with the text is 0.6 + 1; bad: its name alone
    assert cosines(classifier, ["text"]) == pytest.approx(np.array([[1.6 / 3.2**0.5, 0.8]]))


def test_an_exact_copy_of_the_input_does_not_answer():
    paper = OnPaper(**{"good": [1, 0], "bad": [0, 1], "A text!": [0, 1], "a text": [0, 1], "other": [1, 0]})
    classifier = EmbeddingClassifier(MINILM, NAMES, shots=1, embedder=paper)
    classifier.fit(SIDES, shown(("a text", "good"), ("other", "bad")))

    # the copy would have moved good to (1, 1); without it, "other" is nearest and moves bad to (1, 1)
    assert cosines(classifier, ["A text!"]) == pytest.approx(np.array([[0, 0.5**0.5]]))


def test_a_label_known_from_the_input_alone_gets_the_lowest_similarity():
    classifier = EmbeddingClassifier(MINILM, NAMES, embedder=Wordless(a=[1, 0], b=[0, 1]))
    classifier.fit(SIDES, shown(("a", "good"), ("b", "bad")))

    assert cosines(classifier, ["a"]) == pytest.approx(np.array([[-1, 0]]))


@pytest.mark.parametrize("kind", [PrototypeClassifier, EmbeddingClassifier])
def test_without_words_every_label_needs_an_example(kind):
    classifier = kind(MINILM, NAMES, embedder=Wordless(a=[1, 0]))

    with pytest.raises(PromptError, match="label 'bad' has no demonstration"):
        classifier.fit(SIDES, shown(("a", "good")))


@pytest.mark.parametrize("kind", [PrototypeClassifier, EmbeddingClassifier])
def test_a_demonstration_of_an_unknown_label_is_refused(kind):
    with pytest.raises(PromptError, match="label 'ugly', which is no label"):
        kind(MINILM, NAMES, embedder=OnPaper()).fit(SIDES, shown(("a", "ugly")))


def test_labels_that_read_the_same_are_refused_where_names_count():
    paper = {"a b": [1, 0], "x": [1, 0], "y": [0, 1]}
    examples = shown(("x", "a_b"), ("y", "a b"))

    with pytest.raises(PromptError, match="same words"):
        PrototypeClassifier(MINILM, NAMES, embedder=OnPaper(**paper)).fit(["a_b", "a b"], examples)
    PrototypeClassifier(MINILM, NAMES, names=False, embedder=OnPaper(**paper)).fit(["a_b", "a b"], examples)


def test_no_shots_and_unknown_nouns_are_refused():
    with pytest.raises(PromptError, match="shots=0"):
        EmbeddingClassifier(MINILM, NAMES, shots=0)
    with pytest.raises(PromptError, match="choose one of text, image"):
        EmbeddingClassifier(MINILM, NAMES, input_noun="sound")


def test_someone_elses_choice_of_examples_is_refused():
    class Nearest:
        def demonstrations_for(self, inputs):
            return [() for _ in inputs]

    with pytest.raises(PromptError, match="give it all examples"):
        EmbeddingClassifier(MINILM, NAMES, embedder=OnPaper()).fit(SIDES, Nearest())


def test_progress_counts_to_the_end(tiny_bert):
    calls = []
    classifier = EmbeddingClassifier(model_of(tiny_bert), NAMES)
    classifier.fit(SIDES)
    classifier.score(TEXTS * 10, on_progress=lambda done, of: calls.append((done, of)))

    assert calls == [(32, 50), (50, 50)]


def test_vectors_made_before_are_used(tiny_bert):
    plain = EmbeddingClassifier(model_of(tiny_bert), NAMES)
    made = ModelEmbedder(model_of(tiny_bert), get_task("text-classification")).embed(TEXTS).vectors
    known = dict(zip(TEXTS, 7 * made, strict=True))
    looking_up = EmbeddingClassifier(
        model_of(tiny_bert), NAMES, vectors=lambda texts: np.stack([known[text] for text in texts])
    )
    for classifier in (plain, looking_up):
        classifier.fit(SIDES, shown((TEXTS[0], "good"), (TEXTS[1], "bad")))

    scores = looking_up.score(TEXTS)

    assert scores.log_scores == pytest.approx(plain.score(TEXTS).log_scores, abs=1e-4)
    assert scores.usage.tokens_in == 0


def test_details_say_how_it_embeds(tiny_bert):
    classifier = EmbeddingClassifier(model_of(tiny_bert), NAMES, shots=3)
    classifier.fit(SIDES, shown(("great", "good")))

    assert classifier.details == {
        "pooling": "mean", "instruction": "", "max_length": 64, "temperature": TEMPERATURE, "label_templates": 1,
        "fit_tokens": 9, "shots": 3,
    }  # fmt: skip


def test_a_vision_model_compares_images_with_images(tiny_image_model, image_folder):
    images = sorted(map(str, image_folder.rglob("*.png")))
    label = {path: path.split("/")[-2] for path in images}
    examples = shown(*((path, label[path]) for path in images[::2]))
    for classifier in (
        PrototypeClassifier(model_of(tiny_image_model), NAMES, input_noun="image"),
        EmbeddingClassifier(model_of(tiny_image_model), NAMES, input_noun="image"),
    ):
        classifier.fit(["blue", "red"], examples)
        right = classifier.score(images[1::2]).predictions == [label[path] == "red" for path in images[1::2]]

        assert right.mean() > 0.8
        assert classifier.score(images[:1]).usage.tokens_in == 0


def test_a_vision_model_without_examples_is_refused(tiny_image_model):
    classifier = EmbeddingClassifier(model_of(tiny_image_model), NAMES, input_noun="image")

    with pytest.raises(ModelError, match="knows no words"):
        classifier.fit(SIDES)
    with pytest.raises(PromptError, match="no demonstration"):
        PrototypeClassifier(model_of(tiny_image_model), NAMES, input_noun="image").fit(SIDES)


SENTENCES = {
    "sports": [
        "The striker scored twice in the second half.", "She won the marathon in record time.",
        "Our goalkeeper saved a penalty.", "The tennis final went to five sets.",
        "He was traded to another basketball club.", "The referee showed a red card.",
        "They qualified for the world cup.",
    ],
    "cooking": [
        "Let the dough rest for an hour.", "Fry the onions until they are golden.", "Add a pinch of salt to the soup.",
        "Roast the chicken with lemon and thyme.", "Whisk the eggs with sugar.", "The sauce needs more garlic.",
        "Preheat the oven to 200 degrees.",
    ],
    "computers": [
        "The laptop does not start after the update.", "My hard disk is full.", "He wrote the program in Python.",
        "The keyboard has a broken key.", "Restart the server and read the log.", "The processor has eight cores.",
    ],
}  # fmt: skip


def test_minilm_knows_topics_by_their_names():
    labels = list(SENTENCES)
    texts, truth = zip(*((text, i) for i, label in enumerate(labels) for text in SENTENCES[label]), strict=True)
    classifier = EmbeddingClassifier(
        MINILM, Prompt(name="about", label_templates=("This text is about {{ label }}.",))
    )
    classifier.fit(labels)

    assert len(texts) == 20
    assert (classifier.score(texts).predictions == truth).mean() > 0.8
