import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from hf_transfer_kit.errors import ModelError, PromptError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.language_models.masked import MaskedClassifier
from hf_transfer_kit.prompting.prompts import Prompt

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WORDS = "the film was good bad fine great un ##happy ##ness ##ly and it . , : [ ] { } ( ) / + 1 mask sep x n a"
TEXTS = ["the film was great", "fine", "it was bad , the film and all of it", "film", "a fine film : great . great"]
TEMPLATE = """\
{% for each in demonstrations %}
{{ each.input }} . it was {{ each.label }} .
{% endfor %}
{{ input }} . it was {{ mask }} ."""
PROMPT = Prompt(name="test", template=TEMPLATE)
LABELS = ["good", "bad", "unhappy", "fine", "unhappyness"]  # of 1, 1, 2, 1 and 3 tokens for the BERT below


def save(folder, tokenizer, model_class, config):
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config)
        for parameter in model.parameters():  # biases too, which start as 0
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def word_pieces():
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), "of", "all"]
    tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip


@pytest.fixture(scope="module")
def byte_pieces():
    """A byte-level tokenizer as RoBERTa's: other tokens for "good" than for " good", masks that take the space."""
    from tokenizers import AddedToken
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]  # "<mask>" comes later, with its lstrip
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=letters, show_progress=False)
    tokenizer.train_from_iterator([*TEXTS * 5, "it was good . it was bad . it was unhappy ."], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=126, bos_token="<s>", eos_token="</s>", cls_token="<s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token=AddedToken("<mask>", lstrip=True),
    )  # fmt: skip


@pytest.fixture(scope="module")
def bert(tmp_path_factory, word_pieces):
    config = BertConfig(vocab_size=len(word_pieces), max_position_embeddings=64, **SIZES)
    return save(tmp_path_factory.mktemp("bert"), word_pieces, BertForMaskedLM, config)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory, byte_pieces):
    config = RobertaConfig(vocab_size=len(byte_pieces), max_position_embeddings=128, pad_token_id=1, **SIZES)
    return save(tmp_path_factory.mktemp("roberta"), byte_pieces, RobertaForMaskedLM, config)


def classifier(folder, labels=LABELS, demonstrations=None, prompt=PROMPT, **settings):
    fitted = MaskedClassifier(ModelSpec(name=str(folder)), prompt, **settings)
    fitted.fit(labels, demonstrations)
    return fitted


def brute_force(folder, text_with_gap, words):
    """log P of each of `words` by a plain pass over the text with mask tokens written into it, one word at a time.

    The tokens of a word are what the sentence with the word has, and the sentence with another thing has not.
    """
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    scores = []
    for word in words:
        filled, empty = (tokenizer(text_with_gap.replace("GAP", each)).input_ids for each in (word, "<mask>"))
        same = next(i for i, (a, b) in enumerate(zip(filled, empty, strict=False)) if a != b)
        after = next(i for i, (a, b) in enumerate(zip(filled[::-1], empty[::-1], strict=False)) if a != b)
        tokens = filled[same : len(filled) - after]
        masks = tokenizer.mask_token * len(tokens)
        encoded = tokenizer(text_with_gap.replace("GAP", masks), return_tensors="pt")
        at = (encoded.input_ids[0] == tokenizer.mask_token_id).nonzero().flatten()
        assert len(at) == len(tokens)
        with torch.no_grad():
            logits = model(input_ids=encoded.input_ids).logits[0, at]
        scores.append(sum(logits[i].log_softmax(-1)[token].item() for i, token in enumerate(tokens)))
    return scores


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_scores_are_those_of_one_plain_pass_for_each_text_and_label(architecture, request):
    folder = request.getfixturevalue(architecture)
    found = classifier(folder).score(TEXTS)

    for text, row in zip(TEXTS, found.log_scores, strict=True):
        assert row == pytest.approx(brute_force(folder, f"{text} . it was GAP .", LABELS), abs=1e-4)


def test_labels_have_the_tokens_that_they_have_in_the_sentence(bert, roberta, byte_pieces):
    assert classifier(bert).score(TEXTS).label_tokens.tolist() == [1, 1, 2, 1, 3]
    alone, inside = (len(byte_pieces.tokenize(each)) for each in ("good", " good"))
    assert alone > inside == 1  # else the next line would tell nothing
    assert classifier(roberta, ["good", "bad"]).score(TEXTS).label_tokens.tolist() == [1, 1]


def test_a_mask_at_the_beginning_has_no_space_before_it(roberta, byte_pieces):
    prompt = Prompt(name="test", template="{{ mask }} : {{ input }}")
    found = classifier(roberta, ["good", "film"], prompt=prompt).score(["film"])

    assert found.label_tokens.tolist() == [len(byte_pieces.tokenize("good")), len(byte_pieces.tokenize("film"))]
    assert found.log_scores[0] == pytest.approx(brute_force(roberta, "GAP : film", ["good", "film"]), abs=1e-4)


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_neither_batch_size_nor_order_changes_the_scores(architecture, request):
    folder = request.getfixturevalue(architecture)
    together = classifier(folder).score(TEXTS).log_scores

    alone = classifier(folder, batch_size=1).score(TEXTS).log_scores
    backwards = classifier(folder, batch_size=2).score(TEXTS[::-1]).log_scores[::-1]

    assert alone == pytest.approx(together, abs=1e-4)
    assert backwards == pytest.approx(together, abs=1e-4)


def test_the_head_runs_at_the_masks_only(bert):
    fitted, seen = classifier(bert, ["good", "bad"]), []
    fitted.score(TEXTS[:1])  # its operations are counted with the first text
    fitted._model.cls.register_forward_hook(lambda _module, inputs, _output: seen.append(tuple(inputs[0].shape)))

    fitted.score(TEXTS)

    assert seen == [(len(TEXTS), 1, 32)]
    assert fitted.details["path"] == "head at the masks only"


@pytest.mark.parametrize("wrong", ["raises", "says something else"])
def test_a_model_whose_head_cannot_be_parted_is_run_whole(bert, monkeypatch, wrong):
    right = classifier(bert).score(TEXTS)
    whole_forward = BertForMaskedLM.forward

    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        """As if the head looked at all tokens."""
        output = whole_forward(self, input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        if output.logits.shape[1] != input_ids.shape[1]:
            if wrong == "raises":
                raise RuntimeError("shapes do not match")
            output.logits = output.logits * 2
        return output

    monkeypatch.setattr(BertForMaskedLM, "forward", forward)
    fitted = classifier(bert)

    assert fitted.details["path"] == "whole model, one text at a time"
    assert fitted.score(TEXTS).log_scores == pytest.approx(right.log_scores, abs=1e-4)


def test_a_model_that_sees_padding_reads_one_text_at_a_time(bert, monkeypatch):
    whole_forward = BertForMaskedLM.forward

    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        return whole_forward(self, input_ids=input_ids, attention_mask=torch.ones_like(input_ids), **kwargs)

    monkeypatch.setattr(BertForMaskedLM, "forward", forward)
    found = classifier(bert).score(TEXTS)

    for text, row in zip(TEXTS, found.log_scores, strict=True):
        assert row == pytest.approx(brute_force(bert, f"{text} . it was GAP .", LABELS), abs=1e-4)


def test_demonstrations_are_filled_in_sentences_before_the_text(bert):
    shown = [Demonstration(input="great film", label="good"), Demonstration(input="a film", label="unhappy")]
    found = classifier(bert, demonstrations=shown).score(["the film"])

    sentences = "great film . it was good .\na film . it was unhappy .\nthe film . it was GAP ."
    assert found.log_scores[0] == pytest.approx(brute_force(bert, sentences, LABELS), abs=1e-4)


def test_every_text_has_its_own_retrieved_demonstrations(bert):
    class LastWord:
        def demonstrations_for(self, inputs):
            return [(Demonstration(input=text.split()[-1], label="bad"),) for text in inputs]

    found = classifier(bert, demonstrations=LastWord()).score(TEXTS)

    for text, row in zip(TEXTS, found.log_scores, strict=True):
        sentences = f"{text.split()[-1]} . it was bad .\n{text} . it was GAP ."
        assert row == pytest.approx(brute_force(bert, sentences, LABELS), abs=1e-4)


@pytest.mark.parametrize("text", ["{{ labels }} {% raw %}", "the [MASK] [SEP] film", "\ue000 \ue001", "it was good ."])
def test_what_looks_like_a_template_or_a_mask_in_a_text_is_plain_characters(bert, text):
    fitted = classifier(bert, ["good", "bad"])
    cloze = fitted._cloze.of(text, (), "good")
    special = {2: 1, 3: 1, 4: 0}  # one [CLS], one [SEP], and no [MASK] before it is put in

    assert {token: cloze.tokens.count(token) for token in special} == special
    assert cloze.places == [len(cloze.tokens) - 3]  # before " ." and [SEP]
    assert np.isfinite(fitted.score([text]).log_scores).all()


def test_tokens_are_counted_without_padding_and_for_each_number_of_masks(bert):
    one = classifier(bert, ["good", "bad"]).score(["film", "the film was fine"]).usage
    two = classifier(bert, ["good", "unhappy"]).score(["film"]).usage

    assert (one.tokens_in, one.tokens_out) == (8 + 11, 2)  # [CLS] film . it was [MASK] . [SEP]
    assert (two.tokens_in, two.tokens_out) == (8 + 9, 1 + 2)


def test_too_many_demonstrations_are_refused_with_the_number_that_fits(bert):
    shown = [Demonstration(input="film", label="good")] * 12  # 6 tokens each
    fitted = classifier(bert, ["good", "bad"], shown[:8])
    assert fitted.score(["film"]).usage.tokens_in == 8 * 6 + 8

    with pytest.raises(PromptError, match=r"^12 demonstrations make the prompt .* reads 64; 9 fit: --shots 9\.$"):
        classifier(bert, ["good", "bad"], shown)
    with pytest.raises(PromptError, match=r"reads 64; 7 fit: --shots 7\.$"):
        fitted.score(["film", "film " * 14])  # 7 * 6 + 14 + 7 = 63 tokens
    with pytest.raises(PromptError, match="without any demonstration"):
        fitted.score(["film " * 58])


def test_a_prompt_of_exactly_the_context_length_is_answered(bert):
    fitted = classifier(bert, ["good", "unhappyness"])  # 6 other tokens, and 1 mask or 3

    assert fitted.score(["film " * 55]).usage.tokens_in == 62 + 64
    with pytest.raises(PromptError, match="is 65 tokens long"):
        fitted.score(["film " * 56])


def test_a_checkpoint_without_a_language_model_head_is_refused(tmp_path, word_pieces):
    save(tmp_path, word_pieces, BertModel, BertConfig(vocab_size=len(word_pieces), **SIZES))

    with pytest.raises(ModelError, match="no language model head: its answers would be random"):
        classifier(tmp_path)


def test_a_checkpoint_without_its_body_is_refused(tmp_path, word_pieces, bert):
    from safetensors.torch import load_file, save_file

    for file in bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(bert / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(ModelError, match="lack 1 parameters"):
        classifier(tmp_path)


def test_a_tokenizer_without_a_mask_is_refused(tmp_path, word_pieces, bert):
    for file in bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    backend = word_pieces.backend_tokenizer
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)

    with pytest.raises(ModelError, match="has no mask token"):
        classifier(tmp_path)


@pytest.mark.parametrize(
    ("template", "labels", "message"),
    [
        ("{{ input }}", ["good"], "has 0 places for an answer"),
        ("{{ mask }} {{ input }} {{ mask }}", ["good"], "has 2 places for an answer"),
        ("{{ input }}{{ mask }}", ["good"], "grows together"),
        (
            "{{ input }} {{ mask }}",
            ["good", "terrible"],
            "of label 'terrible' are not in the model's vocab",
        ),
        ("{{ input }} {{ mask }}", ["good", "GOOD"], "are the same to the model as those of 'good'"),
        ("{{ input }} {{ mask }}", ["\u200b"], "no token for the words"),
    ],
)
def test_prompts_and_labels_that_cannot_work_are_refused(bert, template, labels, message):
    prompt = Prompt(name="mine", template=template)

    with pytest.raises(PromptError, match=message):
        classifier(bert, labels, prompt=prompt)


def test_words_that_grow_together_with_a_text_are_refused_and_not_scored_wrongly(bert):
    fitted = classifier(
        bert, ["good"], prompt=Prompt(name="mine", template="{{ input[0] }} {{ mask }}{{ input[1:] }}")
    )

    assert fitted.score(["a . film"]).usage.tokens_in == 6
    with pytest.raises(PromptError, match="put a space before and after"):
        fitted.score(["anext"])  # "goodnext" is one unknown word


def test_words_that_have_other_tokens_behind_another_text_are_refused(bert):
    fitted = classifier(bert, ["happy"], prompt=Prompt(name="mine", template="{{ input }}{{ mask }}"))  # "##happy"

    assert fitted.score(["un"]).label_tokens.tolist() == [1]
    with pytest.raises(PromptError, match="put a space before and after"):
        fitted.score(["a film . "])  # "happy" is an unknown word


def test_progress_ends_with_all_inputs_and_no_inputs_give_no_rows(bert):
    fitted, seen = classifier(bert, ["good", "bad"], batch_size=2), []

    fitted.score(TEXTS, lambda *done: seen.append(done))

    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert fitted.score([]).log_scores.shape == (0, 2)


def test_scoring_before_fitting_says_so(bert):
    with pytest.raises(PromptError, match="call fit"):
        MaskedClassifier(ModelSpec(name=str(bert)), PROMPT).score(TEXTS)


def test_fitting_again_takes_another_prompt_and_other_labels_and_loads_no_weights(bert):
    fitted = classifier(bert, ["good", "bad"])
    model = fitted._model

    fitted.prompt = Prompt(name="other", template="{{ input }} , a {{ mask }} film")
    fitted.fit(["fine", "unhappy"])
    found = fitted.score(TEXTS)

    assert fitted._model is model
    assert fitted.parameters == sum(parameter.numel() for parameter in model.parameters())
    for text, row in zip(TEXTS, found.log_scores, strict=True):
        assert row == pytest.approx(brute_force(bert, f"{text} , a GAP film", ["fine", "unhappy"]), abs=1e-4)
