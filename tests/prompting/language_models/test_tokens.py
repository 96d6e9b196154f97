import pytest
from tiny_language_models import CHAT, across_words, byte_level, sentence_piece
from transformers import GPT2Config, LlamaConfig, MambaConfig

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.prompting.language_models.frames import chat_frame, plain_frame
from hf_transfer_kit.prompting.language_models.tokens import PromptTokens, common_prefix, positions
from hf_transfer_kit.prompting.prompts import Prompt

TOKENIZERS = {"byte level": byte_level(), "sentence piece": sentence_piece(), "across words": across_words()}
DEMONSTRATIONS = "{% for each in demonstrations %}"
EVERY = pytest.mark.parametrize("name", TOKENIZERS)


@EVERY
def test_a_prompt_is_encoded_as_the_tokenizer_does_it(name):
    texts = ["my card is lost", "Text: the card\n\nLabel:"]

    encoded = PromptTokens(TOKENIZERS[name], starts=True).encode(texts)

    assert encoded == [TOKENIZERS[name](text)["input_ids"] for text in texts]


@EVERY
def test_context_and_continuation_are_the_whole_text_and_one_token_of_its_end(name):
    tokenizer = TOKENIZERS[name]
    tokens = PromptTokens(tokenizer, starts=True)
    context, words = "Text: it is lost\nLabel:", [" card", " card payment", " lost card"]
    ids = tokens.encode([context])[0]

    for text, found in zip(words, tokens.continuations(context, words, end="\n\n"), strict=True):
        whole = tokenizer(context + text)["input_ids"]
        assert ids[: found.kept] + list(found.ids[:-1]) == whole
        after = tokenizer(context + text + "\n\n")["input_ids"][len(whole) :]
        assert found.ids[-1:] == tuple(after[:1])


def test_a_label_is_not_what_its_words_are_alone():
    tokenizer = TOKENIZERS["sentence piece"]
    tokens = PromptTokens(tokenizer, starts=True)

    (found,) = tokens.continuations("Label:\n(", ["card"], end=")")

    alone = tokenizer("card", add_special_tokens=False)["input_ids"]
    assert alone == tokenizer.convert_tokens_to_ids(["▁card"])
    assert list(found.ids[: len(alone)]) != alone  # inside a word there is no space before it
    assert "▁" not in tokenizer.convert_ids_to_tokens(list(found.ids))[0]


def test_a_label_that_melts_into_the_context_says_how_much_of_it_stays():
    tokenizer = TOKENIZERS["across words"]
    tokens = PromptTokens(tokenizer, starts=True)
    context = "(\nLabel:"
    ids = tokens.encode([context])[0]

    card, zoe = tokens.continuations(context, [" card", " Zo"], end="\n")

    assert "".join(tokenizer.convert_ids_to_tokens([*ids[: card.kept], *card.ids])) == "(\nLabel: card\n"
    assert card.kept < len(ids) == zoe.kept


def test_a_tokenizer_that_drops_line_breaks_ends_labels_with_its_end_token():
    class Deaf:
        """Reads words only."""

        def __init__(self):
            self.bos_token_id, self.eos_token_id, self.chat_template = None, 99, None
            self.added_tokens_decoder = {}

        def __call__(self, texts, **settings):
            many = [texts] if isinstance(texts, str) else texts
            ids = [[len(word) for word in text.split()] for text in many]
            return {"input_ids": ids[0] if isinstance(texts, str) else ids}

    (found,) = PromptTokens(Deaf(), starts=True).continuations("Label:", [" lost card"], end="\n")

    assert found.ids == (4, 4, 99)


def test_an_empty_prompt_still_has_a_token_to_start_from():
    assert PromptTokens(TOKENIZERS["byte level"], starts=True).encode([""]) == [[1]]


@EVERY
def test_the_name_of_a_control_token_in_a_text_is_plain_text(name):
    tokens = PromptTokens(TOKENIZERS[name], starts=False)
    control = set(TOKENIZERS[name].all_special_ids) - {TOKENIZERS[name].unk_token_id}

    marked, plain = tokens.encode([tokens.as_data("a </s> b <|user|> c"), "a </s> b"])

    assert not control.intersection(marked)
    assert control.intersection(plain)
    assert tokens.as_data("my card, my {{ card }} \ufdd0") == "my card, my {{ card }} "


def test_a_control_token_read_as_text_keeps_its_letters():
    tokens = PromptTokens(TOKENIZERS["byte level"], starts=False)

    assert TOKENIZERS["byte level"].decode(tokens.encode([tokens.as_data("a </s> b")])[0]) == "a </s> b"


def test_the_common_beginning_is_found():
    assert common_prefix([[1, 2, 3], [1, 2], [1, 2, 4]]) == [1, 2]
    assert common_prefix([[1], [2]]) == common_prefix([]) == common_prefix([[], [1]]) == []


def test_how_much_a_model_reads_is_the_smaller_of_what_is_known():
    unknown, known = byte_level(), byte_level(longest=100)

    assert positions(unknown, GPT2Config(n_positions=64)) == 64
    assert positions(known, LlamaConfig(max_position_embeddings=512)) == 100
    assert positions(known, LlamaConfig(max_position_embeddings=102)) == 102  # load_tokenizer keeps two back
    assert positions(unknown, MambaConfig()) is None
    assert positions(known, MambaConfig()) == 100


@pytest.mark.parametrize(
    ("template", "separator", "end"),
    [
        (DEMONSTRATIONS + "{{ each.input }}\nA: {{ each.label }}\n\n{% endfor %}{{ input }}\nA:", " ", "\n\n"),
        (DEMONSTRATIONS + '{{ each.input }} is "{{ each.label }}"\n{% endfor %}{{ input }} is "', "", '"\n'),
        (DEMONSTRATIONS + "{{ each.input }}\n{{ each.label }}\n{% endfor %}{{ input }}\n", "\n", "\n"),
        (DEMONSTRATIONS + "{{ each.input }} - {{ each.label }}; {% endfor %}{{ input }} -", " ", ";"),
        (DEMONSTRATIONS + "{{ each.label }}{% endfor %}{{ input }}:", " ", "\n"),
        ("{{ labels | join(', ') }}? {{ input }}:", " ", "\n"),
    ],
)
def test_a_label_stands_as_in_the_demonstrations(template, separator, end):
    frame = plain_frame(Prompt(name="mine", template=template), ["good_day", "bad"], "text")

    assert (frame.separator, frame.end, frame.wrap("x")) == (separator, end, "x")


def with_chat(template):
    return byte_level(chat=template)


def test_a_chat_is_one_question_and_the_answer_ends_the_turn():
    frame = chat_frame(with_chat(CHAT), "")

    assert frame.wrap("lost?") == "<|user|>\nlost?</s>\n<|assistant|>\n"
    assert (frame.separator, frame.end, frame.starts) == ("", "</s>\n", False)


def test_a_system_message_the_template_does_not_know_is_said_by_the_user():
    ignores = CHAT.replace("<|user|>\n{{", "{% if m.role == 'system' %}{% continue %}{% endif %}<|user|>\n{{")
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT

    assert chat_frame(with_chat(CHAT), "Be kind.").wrap("x").count("<|user|>") == 2
    for template in (ignores, refuses):
        assert chat_frame(with_chat(template), "Be kind.").wrap("x").startswith("<|user|>\nBe kind.\n\nx</s>")


def test_space_before_the_answer_is_asked_for_with_the_label():
    spaced = CHAT.replace("<|assistant|>\n{{ m", "<|assistant|> {{ m").replace(
        "<|assistant|>\n{% endif", "<|assistant|>{% endif"
    )

    frame = chat_frame(with_chat(spaced), "")

    assert (frame.wrap("x")[-13:], frame.separator) == ("<|assistant|>", " ")


def test_what_a_template_puts_before_every_answer_belongs_to_the_context():
    channel = CHAT.replace("<|assistant|>\n{{ m", "<|assistant|>\n<final>{{ m")

    frame = chat_frame(with_chat(channel), "")

    assert (frame.wrap("x")[-8:], frame.separator) == ("\n<final>", "")


THINKING = CHAT.replace(
    "<|assistant|>\n{% endif", "<|assistant|>\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif",
)  # fmt: skip


def test_a_model_that_can_answer_without_thinking_does():
    assert chat_frame(with_chat(THINKING), "").wrap("x").endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize("opened", ["<think>\n", "<thinking>", "[THINK]", "<|begin_of_thought|><think>\n\n"])
def test_a_model_that_must_think_is_refused(opened):
    template = CHAT.replace("<|assistant|>\n{% endif", f"<|assistant|>\n{opened}{{% endif")

    with pytest.raises(PromptError, match="think before it answers"):
        chat_frame(with_chat(template), "")


def test_a_chat_does_not_change_with_the_date():
    dated = "{{ strftime_now('%Y-%m-%d') }}" + CHAT

    assert chat_frame(with_chat(dated), "").wrap("x").startswith("01 Jan 2025<|user|>")


def test_a_template_that_breaks_says_so():
    with pytest.raises(PromptError, match="chat template cannot hold this prompt"):
        chat_frame(with_chat("{{ raise_exception('never') }}"), "")
