import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    BlenderbotConfig,
    BlenderbotForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.language_models import label_rows
from hf_transfer_kit.prompting.language_models.encoder_decoder import EncoderDecoderClassifier
from hf_transfer_kit.prompting.prompts import Prompt

T5_SIZES = {"d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 64}
BART_SIZES = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
}  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz.,:<>/{}[]%0123456789"
PIECES = ["▁the", "▁film", "▁was", "▁good", "▁bad", "▁fine", "▁card", "▁lost", "▁is", "▁it", "▁topic"]
TEXTS = ["the film was good", "fine", "it was bad, the film and all of it", "the card is lost", "bad film"]
TEMPLATE = """\
{% for each in demonstrations %}
{{ each.input }} topic: {{ each.label }}.
{% endfor %}
{{ input }} topic:"""
PROMPT = Prompt(name="test", template=TEMPLATE)
LABELS = ["card", "bad", "card_lost", "card_lost_fine", "film", "fine"]  # of 1, 1, 2, 3, 1, 1 tokens; some begin alike


@pytest.fixture(scope="module")
def sentence_pieces():
    """A tokenizer as T5's: a space before the first word, an end token, no start token."""
    names = ["<pad>", "</s>", "<unk>", "▁", *LETTERS]
    vocabulary = [(name, -20.0 if len(name) == 1 else 0.0) for name in names]
    tokenizer = Tokenizer(models.Unigram(vocabulary + [(piece, -2.0) for piece in PIECES], unk_id=2))
    tokenizer.normalizer = normalizers.Replace("\n", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def words():
    """A tokenizer as BART's: a start token and an end token around everything."""
    names = ["<s>", "<pad>", "</s>", "<unk>", *[piece[1:] for piece in PIECES], "and", "all", "of", ",", ":", "."]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, bos_token="<s>", pad_token="<pad>", eos_token="</s>",
        unk_token="<unk>",
    )  # fmt: skip


def save(folder, tokenizer, model_class, config):
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def t5(tmp_path_factory, sentence_pieces):
    config = T5Config(vocab_size=len(sentence_pieces), decoder_start_token_id=0, tie_word_embeddings=False, **T5_SIZES)
    return save(tmp_path_factory.mktemp("t5"), sentence_pieces, T5ForConditionalGeneration, config)


@pytest.fixture(scope="module")
def bart(tmp_path_factory, words):
    config = BartConfig(vocab_size=len(words), max_position_embeddings=64, **BART_SIZES)
    return save(tmp_path_factory.mktemp("bart"), words, BartForConditionalGeneration, config)


@pytest.fixture(scope="module")
def blenderbot(tmp_path_factory, words):
    """A model that does not say how labels become the decoder's inputs."""
    config = BlenderbotConfig(
        vocab_size=len(words), max_position_embeddings=64, bos_token_id=0, pad_token_id=1, eos_token_id=2,
        decoder_start_token_id=0, forced_eos_token_id=2, **BART_SIZES,
    )  # fmt: skip
    return save(tmp_path_factory.mktemp("blenderbot"), words, BlenderbotForConditionalGeneration, config)


def classifier(folder, labels=LABELS, demonstrations=None, prompt=PROMPT, **settings):
    fitted = EncoderDecoderClassifier(ModelSpec(name=str(folder)), prompt, **settings)
    fitted.fit(labels, demonstrations)
    return fitted


def brute_force(folder, texts, answers):
    """One pass of the whole model for each text and answer: minus the summed loss that training would see."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    scores = np.zeros((len(texts), len(answers)))
    for row, text in enumerate(texts):
        for column, answer in enumerate(answers):
            encoded = tokenizer(text, text_target=answer, return_tensors="pt")
            with torch.no_grad():
                loss = model(input_ids=encoded.input_ids, labels=encoded.labels).loss
            scores[row, column] = -loss.item() * encoded.labels.shape[1]
    return scores


def spaced(labels):
    return [label.replace("_", " ") for label in labels]


@pytest.mark.parametrize("architecture", ["t5", "bart", "blenderbot"])
def test_scores_are_those_of_one_whole_pass_for_each_text_and_label(architecture, request):
    folder = request.getfixturevalue(architecture)
    fitted = classifier(folder)
    found = fitted.score(TEXTS)

    expected = brute_force(folder, [f"{text} topic:" for text in TEXTS], spaced(LABELS))
    assert found.log_scores == pytest.approx(expected, abs=1e-4)
    assert fitted.details["path"] == "keys and values of the encoder kept"
    assert np.ptp(expected) > 1  # else equal numbers would tell nothing


def test_the_end_of_a_label_counts(t5):
    """Else a label could never lose against a longer one that begins with it."""
    found = classifier(t5).score(TEXTS)

    assert found.label_tokens.tolist() == [2, 2, 3, 4, 2, 2]


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_neither_batch_size_nor_order_changes_the_scores(architecture, request):
    folder = request.getfixturevalue(architecture)
    together = classifier(folder).score(TEXTS).log_scores

    alone = classifier(folder, batch_size=1).score(TEXTS).log_scores
    backwards = classifier(folder, batch_size=2).score(TEXTS[::-1]).log_scores[::-1]

    assert alone == pytest.approx(together, abs=1e-4)
    assert backwards == pytest.approx(together, abs=1e-4)


@pytest.mark.parametrize("bound", [1, 30_000])
def test_the_memory_of_rows_is_bounded_and_changes_nothing(t5, monkeypatch, bound):
    fitted, rows = classifier(t5), []
    right = fitted.score(TEXTS).log_scores
    monkeypatch.setattr(label_rows, "ROWS_BYTES", bound)
    whole_forward = T5ForConditionalGeneration.forward

    def forward(self, *args, encoder_outputs=None, **kwargs):
        if encoder_outputs is not None:
            states = encoder_outputs.last_hidden_state
            own = sum(layer.keys.nbytes + layer.values.nbytes for layer in kwargs["past_key_values"].layers_of_rows)
            rows.append((len(states), states.nbytes + own))
        return whole_forward(self, *args, encoder_outputs=encoder_outputs, **kwargs)

    def rows_of(cache, prompts, rows_of=label_rows._rows_of):
        copies = rows_of(cache, prompts)
        copies.layers_of_rows = [layer for part in label_rows._parts(copies) for layer in part]
        return copies

    monkeypatch.setattr(label_rows, "_rows_of", rows_of)
    monkeypatch.setattr(T5ForConditionalGeneration, "forward", forward)

    assert fitted.score(TEXTS).log_scores == pytest.approx(right, abs=1e-4)
    assert all(count == 1 or used <= bound for count, used in rows)
    assert sum(count for count, _ in rows) == len(TEXTS) * len(LABELS)
    assert (max(count for count, _ in rows) == 1) == (bound == 1)


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_every_text_goes_through_the_encoder_once_and_its_keys_are_made_once(architecture, request):
    fitted, encoded, keys = classifier(request.getfixturevalue(architecture)), [], []
    fitted.score(TEXTS[:1])  # its operations are counted with the first text
    fitted._model.get_encoder().register_forward_hook(lambda *_: encoded.append(1))
    for name, module in fitted._model.named_modules():
        if name.endswith(("EncDecAttention.k", "encoder_attn.k_proj")):
            module.register_forward_hook(lambda _module, inputs, _output: keys.append(len(inputs[0])))

    fitted.score(TEXTS)

    assert encoded == [1]
    assert keys == [len(TEXTS)] * 2  # of two layers: a row for each text, not for each label


@pytest.mark.parametrize("wrong", ["raises", "says something else"])
def test_a_model_without_a_right_cache_reads_the_states_for_each_label(t5, monkeypatch, wrong):
    expected = brute_force(t5, [f"{text} topic:" for text in TEXTS], spaced(LABELS))
    whole_forward = T5ForConditionalGeneration.forward

    def forward(self, *args, past_key_values=None, **kwargs):
        if past_key_values is not None and wrong == "raises":
            raise ValueError("no cache here")
        return whole_forward(self, *args, **kwargs)  # forgets the start token

    monkeypatch.setattr(T5ForConditionalGeneration, "forward", forward)
    fitted = classifier(t5)
    found = fitted.score(TEXTS)

    assert fitted.details["path"] == "states of the encoder kept"
    assert found.log_scores == pytest.approx(expected, abs=1e-4)
    assert found.usage.tokens_out == len(TEXTS) * 15


def test_a_model_that_sees_padding_reads_one_text_at_a_time(t5, monkeypatch):
    expected = brute_force(t5, [f"{text} topic:" for text in TEXTS], spaced(LABELS))
    whole_forward = T5ForConditionalGeneration.forward

    def forward(self, *args, attention_mask=None, **kwargs):
        return whole_forward(self, *args, **kwargs)

    monkeypatch.setattr(T5ForConditionalGeneration, "forward", forward)

    assert classifier(t5).score(TEXTS).log_scores == pytest.approx(expected, abs=1e-4)


def test_demonstrations_stand_in_the_prompt_of_the_encoder(t5):
    shown = [Demonstration(input="the card is lost", label="card_lost"), Demonstration(input="a film", label="film")]
    found = classifier(t5, demonstrations=shown).score(TEXTS[:2])

    before = "the card is lost topic: card lost.\na film topic: film.\n"
    expected = brute_force(t5, [f"{before}{text} topic:" for text in TEXTS[:2]], spaced(LABELS))
    assert found.log_scores == pytest.approx(expected, abs=1e-4)


class LastWord:
    """Shows each text its own last word, `count` times."""

    def __init__(self, count=1):
        self.count = count

    def demonstrations_for(self, inputs):
        return [(Demonstration(input=text.split()[-1], label="bad"),) * self.count for text in inputs]


def test_every_text_has_its_own_retrieved_demonstrations(t5):
    found = classifier(t5, demonstrations=LastWord()).score(TEXTS)

    prompts = [f"{text.split()[-1]} topic: bad.\n{text} topic:" for text in TEXTS]
    assert found.log_scores == pytest.approx(brute_force(t5, prompts, spaced(LABELS)), abs=1e-4)


@pytest.mark.parametrize("shown", [(), (Demonstration(input="</s> <pad>", label="card"),)])
def test_what_looks_like_a_template_or_an_end_token_in_a_text_is_plain_characters(t5, shown):
    fitted = classifier(t5)
    tokens = fitted._encode("{{ labels }} </s><pad> {% raw %}", shown)

    assert tokens.count(1) == 1 and tokens[-1] == 1  # the end token that the tokenizer puts there
    assert 0 not in tokens
    assert fitted._tokenizer.decode(tokens[:-1]).endswith("{{ labels }} < /s>< pad> {% raw %} topic:")


def test_tokens_are_counted_without_padding(t5):
    usage = classifier(t5, ["card", "card_lost"]).score(["film", "the film was bad"]).usage

    assert usage.tokens_in == (2 + 2) + (5 + 2)  # " topic", ":" and the end token; each "▁word" is one
    assert usage.tokens_out == 2 * (1 + 1 + 2)  # the start token once, then "card", and "card lost"


def test_too_many_demonstrations_are_refused_with_the_number_that_fits(t5):
    shown = [Demonstration(input="film", label="card")] * 20  # film topic : card . make 5 tokens
    with pytest.raises(PromptError, match=r"^20 demonstrations make the prompt for 'x' 105 .* 11 fit: --shots 11\.$"):
        classifier(t5, demonstrations=shown)  # "x" is two tokens
    fitted = classifier(t5, demonstrations=shown[:10])
    assert fitted.score(["film"]).usage.tokens_in == 50 + 4
    with pytest.raises(PromptError, match=r"^10 demonstrations .* reads 64; 9 fit: --shots 9\.$"):
        fitted.score(["film", "film " * 12])
    with pytest.raises(PromptError, match="without any demonstration"):
        fitted.score(["film " * 62])
    with pytest.raises(PromptError, match=r"^20 demonstrations .* reads 64; 12 fit: --shots 12\.$"):
        classifier(t5, demonstrations=LastWord(20)).score(["film"])


def test_a_tokenizer_without_a_limit_sets_none_on_relative_positions(tmp_path, t5, sentence_pieces):
    for file in t5.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    PreTrainedTokenizerFast(
        tokenizer_object=sentence_pieces.backend_tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path)
    text = "film " * 200

    found = classifier(tmp_path).score([text])

    assert found.log_scores == pytest.approx(brute_force(t5, [f"{text} topic:"], spaced(LABELS)), abs=1e-4)


def test_a_checkpoint_without_a_decoder_is_refused(tmp_path, sentence_pieces):
    config = T5Config(vocab_size=len(sentence_pieces), decoder_start_token_id=0, **T5_SIZES)
    save(tmp_path, sentence_pieces, T5EncoderModel, config)

    with pytest.raises(ModelError, match=r"lacks .* its answers would be random"):
        classifier(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["card", "zürich"], "of label 'zürich' are not in the model's vocabulary"),
        (["card lost", "card   lost"], "'card lost' and 'card   lost' have the same words"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(t5, labels, message):
    with pytest.raises(PromptError, match=message):
        classifier(t5, labels)


def test_progress_ends_with_all_inputs_and_no_inputs_give_no_rows(t5):
    fitted, seen = classifier(t5, batch_size=2), []

    fitted.score(TEXTS, lambda *done: seen.append(done))

    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert fitted.score([]).log_scores.shape == (0, len(LABELS))


def test_scoring_before_fitting_says_so(t5):
    with pytest.raises(PromptError, match="call fit"):
        EncoderDecoderClassifier(ModelSpec(name=str(t5)), PROMPT).score(TEXTS)


def test_fitting_again_takes_another_prompt_and_other_labels_and_loads_no_weights(t5):
    fitted = classifier(t5, ["card", "bad"])
    model = fitted._model

    fitted.prompt = Prompt(name="other", template="{{ input }} is it")
    fitted.fit(["film", "card_lost"])
    found = fitted.score(TEXTS)

    assert fitted._model is model
    assert fitted.parameters == sum(parameter.numel() for parameter in model.parameters())
    expected = brute_force(t5, [f"{text} is it" for text in TEXTS], ["film", "card lost"])
    assert found.log_scores == pytest.approx(expected, abs=1e-4)
