"""Soft prompts by peft: trained vectors before the embedded text, the frozen model behind them, a new head.

    [soft prompt: as many vectors as virtual_tokens] [text] [padding]

Three things differ from what peft 0.21 does by itself:

- The prompt starts as the embeddings of a hard prompt that names the labels, tokenised by the tokenizer at hand; peft
  would load one again, from a name that it also writes into the saved settings.
- Models that answer at the last token (GPT-2, Llama) find it by its number, which a soft prompt has not; they would
  answer at the padding, and a text's answer would depend on the texts beside it (transformers 5.23). `skip_padding`
  shows them the last token that is none.
- Text and prompt together must fit the model's positions.

Source: Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning" (arXiv:2104.08691).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hf_transfer_kit.errors import PlanError, UnsupportedSetupError
from hf_transfer_kit.plan import PromptTuning
from hf_transfer_kit.prompting.prompts import Prompt

START = Prompt(name="soft prompt", template="Classify the text as one of: {{ labels | join(', ') }}.")
CHECKED_TOKENS, CHECKED_PADDING = 8, 3
TOLERANCE = 1e-3  # between the logits of a text with and without padding


def with_soft_prompt(
    model: Any, processor: Any, approach: PromptTuning, label_names: Sequence[str], heads: Sequence[str],
    max_length: int,
) -> Any:  # fmt: skip
    """`model` in a PeftModel that trains a soft prompt and a copy of `heads`, and nothing else.

    Args:
        model: a text classifier.
        heads: names of the modules of its head.
        max_length: longest text in tokens.

    Raises:
        PlanError: soft prompt and longest text do not fit the model's positions.
        UnsupportedSetupError: the model reads no text, or cannot read vectors in place of tokens.

    Example:
        >>> from tokenizers import Tokenizer, models
        >>> from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast
        >>> words = Tokenizer(models.WordLevel({"[PAD]": 0, "good": 1}, unk_token="[PAD]"))
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")
        >>> config = BertConfig(vocab_size=2, hidden_size=4, num_hidden_layers=1, num_attention_heads=1)
        >>> model, approach = BertForSequenceClassification(config), PromptTuning(virtual_tokens=3)
        >>> adapted = with_soft_prompt(model, tokenizer, approach, ["bad", "good"], ["classifier"], max_length=8)
        >>> [tuple(p.shape) for p in adapted.parameters() if p.requires_grad]  # the head, the soft prompt
        [(2, 4), (2,), (3, 4)]
    """
    from peft import PromptTuningConfig, TaskType, get_peft_model

    if model.main_input_name != "input_ids":
        raise UnsupportedSetupError(
            f"prompt_tuning needs a text model, which {type(model).__name__} is not; use lora."
        )
    _check_room(model, approach.virtual_tokens, min(max_length, processor.model_max_length))
    words = model.get_input_embeddings()
    config = PromptTuningConfig(
        task_type=TaskType.SEQ_CLS, num_virtual_tokens=approach.virtual_tokens, token_dim=words.weight.shape[1],
        num_attention_heads=1,  # that only other methods of peft use, and that it does not find in every model
        modules_to_save=list(heads),
    )  # fmt: skip
    start = torch.tensor(start_tokens(processor, label_names, approach.virtual_tokens))
    try:
        adapted: Any = get_peft_model(model, config)
        skip_padding(adapted)
        with torch.no_grad():
            adapted.prompt_encoder["default"].embedding.weight.copy_(words.weight[start])
        differs = _padding_changes(adapted, processor, start)
    except (NotImplementedError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UnsupportedSetupError(f"{type(model).__name__} takes no soft prompt ({reason}); use lora.") from error
    if differs:
        raise UnsupportedSetupError(
            f"{type(model).__name__} with a soft prompt answers differently when a text is padded; use lora."
        )
    return adapted


def start_tokens(processor: Any, label_names: Sequence[str], count: int) -> list[int]:
    """Numbers of the `count` tokens at which the soft prompt starts: of the hard prompt, cut or repeated to fit."""
    text = START.render("", label_names)
    tokens = processor(text, add_special_tokens=False)["input_ids"]
    return (tokens * -(-count // len(tokens)))[:count]


def skip_padding(adapted: Any) -> None:
    """Makes the classifier in `adapted`, a PeftModel with a soft prompt, answer at the last token that is no padding.

    Models that answer at their first token, or at a mean, are left as they are. Saved prompts need it again after
    `PeftModel.from_pretrained`; without it their answers hold for texts that are not padded.
    """
    from peft.utils import ModulesToSaveWrapper

    model = adapted.get_base_model()
    adapted.word_embeddings = model.get_input_embeddings()  # peft takes the first weight as long as the vocabulary
    last = _LastToken(model.config.num_labels)
    model.register_forward_pre_hook(last.note, with_kwargs=True)
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            module.register_forward_hook(last.pick)


class _LastToken:
    """Two hooks: one notes where a batch has padding, one gives the head's answers at the last token that is none."""

    def __init__(self, classes: int):
        self._classes = classes
        self._mask: torch.Tensor | None = None  # (batch, soft prompt and text)

    def note(self, model: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        is_prompted = kwargs.get("inputs_embeds") is not None  # else peft has the prompt switched off
        self._mask = kwargs["attention_mask"] if is_prompted else None

    def pick(self, layer: nn.Module, args: Any, answers: torch.Tensor) -> torch.Tensor:
        if self._mask is None or answers.ndim != 3 or answers.shape[-1] != self._classes:
            return answers  # the model has chosen its token before this layer
        mask = self._mask.to(answers.device) != 0
        last = (torch.arange(mask.shape[1], device=mask.device) * mask).argmax(dim=1)
        return answers[torch.arange(len(last), device=last.device), last][:, None]


def _check_room(model: Any, virtual_tokens: int, longest: int) -> None:
    """Raises PlanError where the soft prompt and the longest text have more tokens than the model has positions."""
    room = _positions(model)
    if room is None or virtual_tokens + longest <= room:
        return
    raise PlanError(
        f"prompt_tuning: virtual_tokens={virtual_tokens} and texts of up to max_length={longest} tokens are "
        f"{virtual_tokens + longest}, but {type(model).__name__} reads {room}; set max_length to at most "
        f"{max(room - virtual_tokens, 0)}, or virtual_tokens to at most {max(room - longest, 0)}."
    )


def _positions(model: Any) -> int | None:
    """How many tokens the model reads at once; None where its configuration does not say."""
    for name, module in model.named_modules():
        if (
            isinstance(module, nn.Embedding)
            and name.endswith("position_embeddings")
            and module.padding_idx is not None
        ):
            return module.num_embeddings - module.padding_idx - 1  # RoBERTa counts positions from there
    count: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return count if count and count > 0 else None


def _padding_changes(adapted: Any, processor: Any, tokens: torch.Tensor) -> bool:
    """Whether the answer to one short text changes when it is padded."""
    text = {"input_ids": tokens[:CHECKED_TOKENS].tolist()}
    lengths = [len(text["input_ids"]) + more for more in (0, CHECKED_PADDING)]
    batches = [processor.pad([text], padding="max_length", max_length=n, return_tensors="pt") for n in lengths]
    adapted.eval()
    with torch.no_grad():
        plain, padded = (adapted(**batch).logits for batch in batches)
    return not torch.allclose(plain, padded, rtol=TOLERANCE, atol=TOLERANCE)
