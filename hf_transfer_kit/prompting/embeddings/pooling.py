"""How a text model's states become one vector: what the files of sentence-transformers say, else the mean over tokens.

    modules.json                      Transformer, Pooling, Normalize: what follows what
    1_Pooling/config.json             which states are taken together
    sentence_bert_config.json         the longest text in tokens
    config_sentence_transformers.json texts that go before an input ("query: ")

Source: Reimers & Gurevych 2019, "Sentence-BERT", section 3 (arXiv:1908.10084), and the models' own files.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.models import model_file
from hf_transfer_kit.plan import ModelSpec

HARMLESS = ("Transformer", "Pooling", "Normalize", "Dropout")  # vectors are normalised here in any case
OLD_NAMES = {  # of pooling in files written before sentence-transformers 5.2
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """What is done around a text model to embed with it.

    Fields:
        modes: names in `POOLERS`; the vectors of several stand side by side.
        instruction: goes before every text.
        lower_case: texts are written small first.
        max_length: longest text in tokens; None: the tokenizer's.

    Example:
        >>> Pooling().modes
        ('mean',)
    """

    modes: tuple[str, ...] = ("mean",)
    instruction: str = ""
    lower_case: bool = False
    max_length: int | None = None

    def prepare(self, text: str) -> str:
        """The text as the model is to read it."""
        return self.instruction + (text.lower() if self.lower_case else text)

    def pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(batch, width) of `hidden` (batch, tokens, width) and `mask` (batch, tokens), padded on the right."""
        weights = mask.to(hidden.dtype)[:, :, None]
        return torch.cat([POOLERS[mode](hidden, weights) for mode in self.modes], dim=1)


def _weighted_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)


def _by_position(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean with later tokens weighing more, for models that read from left to right (SGPT)."""
    return _weighted_mean(hidden, mask * mask.cumsum(dim=1))


def _last_token(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    last = mask.sum(dim=1).long().clamp(min=1) - 1  # (batch, 1)
    return hidden.take_along_dim(last[:, :, None], dim=1)[:, 0]


POOLERS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean": _weighted_mean,
    "cls": lambda hidden, mask: hidden[:, 0],
    "max": lambda hidden, mask: hidden.masked_fill(mask == 0, float("-inf")).amax(dim=1),
    "mean_sqrt_len_tokens": lambda hidden, mask: (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9).sqrt(),
    "weightedmean": _by_position,
    "lasttoken": _last_token,
}


def pooling_of(model: ModelSpec) -> Pooling:
    """How `model` embeds texts.

    Of its `prompts`, the one called "Classification" is used, else its default one.

    Raises:
        ModelError: its files ask for something else than pooling (a dense layer, a static table of words).

    Example:
        >>> pooling_of(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2")).max_length
        256
    """
    modules = _read_json(model, "modules.json")
    if modules is None:
        return Pooling()
    kinds = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    unknown = [kind for kind in kinds if kind not in HARMLESS]
    if unknown or "Transformer" not in kinds:
        raise ModelError(
            f"model '{model.name}' embeds with {', '.join(unknown) or 'no transformer'}, which cannot be read here; "
            f"choose one made of {', '.join(HARMLESS[:3])} alone, such as sentence-transformers/all-MiniLM-L6-v2."
        )
    sizes = _read_json(model, _inside(kinds["Transformer"], "sentence_bert_config.json")) or {}
    return Pooling(
        modes=_modes(model, _read_json(model, _inside(kinds.get("Pooling", "1_Pooling"), "config.json")) or {}),
        instruction=_instruction(_read_json(model, "config_sentence_transformers.json") or {}),
        lower_case=bool(sizes.get("do_lower_case")),
        max_length=sizes.get("max_seq_length"),
    )


def _modes(model: ModelSpec, config: Mapping[str, Any]) -> tuple[str, ...]:
    given = config.get("pooling_mode") or [new for old, new in OLD_NAMES.items() if config.get(old)] or "mean"
    modes = (given,) if isinstance(given, str) else tuple(given)
    unknown = [mode for mode in modes if mode not in POOLERS]
    if unknown or config.get("include_prompt") is False:
        reason = f"pools by '{unknown[0]}'" if unknown else "leaves its instruction out when it pools"
        raise ModelError(f"model '{model.name}' {reason}, which is not known here; choose another model.")
    return modes


def _instruction(config: Mapping[str, Any]) -> str:
    prompts = {name.lower(): text for name, text in (config.get("prompts") or {}).items()}
    default = str(config.get("default_prompt_name")).lower()
    return str(prompts.get("classification") or prompts.get(default) or "")


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _read_json(model: ModelSpec, name: str) -> Any:
    """The content of one of the model's files, or None where it has no such file."""
    path = model_file(model, name)
    try:
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{name}' of model '{model.name}' cannot be read: {error}; download it again.") from error
