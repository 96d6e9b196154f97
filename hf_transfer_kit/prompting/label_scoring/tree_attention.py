"""One forward pass over several texts, each with the trie of all labels behind it, after a prefix that is kept.

    row:        [ padding | text | inner nodes of the trie ]
    attends to: [ prefix, as far as the text begins with it | its own text | its ancestors and itself ]

A node's position is its depth after the text, so every node sees what it would see in a row of its own. The mask is
added to the attention scores as numbers: transformers 5 adds a mask of booleans, too, in its "eager" attention, which
is wrong without an error. Windows of sliding layers are written into the mask, and the prefix is kept whole for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from hf_transfer_kit.prompting.label_scoring.trie import LabelTrie

FULL, SLIDING = "full_attention", "sliding_attention"  # the names of transformers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TreeInput:
    """Token ids and positions, both (texts, longest text + inner nodes), and who attends to whom.

    Fields:
        key_positions: (texts, prefix + longest text + inner nodes).
        seen: (texts, tokens, prefix + tokens), True where the token of the row may look at the column's, by causality.
    """

    tokens: Tensor
    positions: Tensor
    key_positions: Tensor
    seen: Tensor

    @classmethod
    def of(
        cls, texts: Sequence[Sequence[int]], shared: Sequence[int], prefix_length: int, trie: LabelTrie
    ) -> "TreeInput":
        """The input for texts of one token or more, the i-th of which follows the first `shared[i]` prefix tokens."""
        device, inner, longest = trie.tokens.device, len(trie.tokens), max(map(len, texts))
        after = torch.tensor(shared, device=device)[:, None]
        lengths = torch.tensor([len(text) for text in texts], device=device)[:, None]
        slots, prefix = torch.arange(longest, device=device), torch.arange(prefix_length, device=device)
        real = slots >= longest - lengths  # texts end together, so that the head runs on the last tokens of the row
        padded = [[text[0]] * (longest - len(text)) + list(text) for text in texts]
        tokens = torch.tensor(padded, device=device)
        positions = torch.cat(
            [after + (slots - (longest - lengths)).clamp(min=0), after + lengths + trie.depths], dim=1
        )
        itself = torch.eye(longest, dtype=torch.bool, device=device)  # padding sees itself: softmax needs something
        among_texts = (slots[:, None] >= slots) & (real[:, None, :] | itself)
        columns_of_text = torch.cat([among_texts, real[:, None, :].expand(-1, inner, -1)], dim=1)
        columns_of_nodes = torch.cat([trie.ancestors.new_zeros(longest, inner), trie.ancestors])
        rows = (len(texts), longest + inner, -1)
        columns_of_prefix = (prefix < after)[:, None, :]
        return cls(
            tokens=torch.cat([tokens, trie.tokens.expand(len(texts), -1)], dim=1),
            positions=positions,
            key_positions=torch.cat([prefix.expand(len(texts), -1), positions], dim=1),
            seen=torch.cat([columns_of_prefix.expand(rows), columns_of_text, columns_of_nodes.expand(rows)], dim=2),
        )

    def mask(self, window: int | None, dtype: torch.dtype) -> Tensor:
        """(texts, 1, tokens, prefix + tokens): 0 where a token is seen, else the lowest number of `dtype`."""
        seen = self.seen
        if window is not None:
            seen = seen & (self.key_positions[:, None, :] > (self.positions - window)[:, :, None])
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)[
            :, None
        ]

    def masks(self, config: Any, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
        """What a model of `config` takes as `attention_mask`: one mask, or one per kind of layer where they differ."""
        windows = attention_windows(config)
        masks = {kind: self.mask(window, dtype) for kind, window in windows.items()}
        return masks if len(masks) > 1 else next(iter(masks.values()))


def attention_windows(config: Any) -> dict[str, int | None]:
    """How many tokens back each kind of attention layer looks, itself included; None for all."""
    config = config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or [SLIDING if window else FULL]
    return {kind: window if kind == SLIDING else None for kind in sorted(set(kinds))}


def keep_prefix(model: Any, prefix: Sequence[int]) -> "KeptPrefix":
    """Runs the prefix once; its keys and values, for any number of texts at once.

    Raises:
        ValueError: the model keeps something else than keys and values of all tokens.
    """
    cache = DynamicCache()  # without the config: with it, sliding layers would forget what partial prefixes need
    tokens = torch.tensor([list(prefix)], device=model.device)
    model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    kept = [
        KeptLayer(layer.keys, layer.values)
        for layer in cache.layers
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
    ]
    if not kept or len(kept) < len(cache.layers) or any(layer.get_seq_length() != len(prefix) for layer in kept):
        raise ValueError("the model does not keep keys and values of every token in every layer")
    return KeptPrefix(kept)


class KeptLayer(DynamicLayer):
    """Keys and values of the prefix, (1, heads, prefix, width) each, which no forward pass changes.

    What follows the prefix is needed within one layer of one pass only. So it is not kept, nothing has to be cut off
    again, and the prefix is copied for the texts of one pass and one layer at a time.
    """

    def __init__(self, keys: Tensor, values: Tensor):
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._prefix = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of the prefix and of the new tokens, for each text."""
        keys, values = (states.expand(len(key_states), -1, -1, -1) for states in self._prefix)
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)

    @property
    def nbytes(self) -> int:
        """Memory of the prefix in this layer."""
        return sum(states.nbytes for states in self._prefix)


class KeptPrefix(Cache):
    """The prefix in all layers; `largest_layer`: bytes that one text's copy of it takes, at most, during a pass."""

    def __init__(self, layers: list[KeptLayer]):
        super().__init__(layers=[*layers])
        self.largest_layer = max(layer.nbytes for layer in layers)
