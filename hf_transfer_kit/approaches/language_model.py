"""The language model that a checkpoint is: its own head, texts with what it is to predict, and how well it does.

    score(text) = - 1/n sum over the n predicted tokens of log p(token | context)    [nats]

A causal model predicts every token from those before it. A masked one predicts masked tokens from all others; the
masks are drawn once, so that two scores of one text differ by the model alone. Exp of the score is its perplexity.

Source: of masked models Devlin et al. 2019, "BERT", section 3.1 (arXiv:1810.04805); here all chosen tokens become the
mask, none stays or becomes another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.models import load, load_config
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks.task import Task

CAUSAL, MASKED = ("ForCausalLM", "LMHeadModel"), ("ForMaskedLM", "ForPreTraining")  # endings of classes
MASKED_SHARE, SEED = 0.15, 0
IGNORED, LABELS = -100, "labels"
MOST_LOGITS = 2**26  # of one batch, in numbers: 256 MiB
TextRow = dict[str, Any]  # inputs of the model without padding, and `labels` as models of transformers take them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LanguageModel:
    """A checkpoint with its language-model head.

    Fields:
        model: in eval mode, fp32.
        masked: whether it predicts masked tokens; else the next one.
        task, processor: its task, and its tokenizer.
    """

    model: Any
    masked: bool
    task: Task
    processor: Any

    def rows(self, texts: Sequence[str], max_length: int) -> list[TextRow | None]:
        """One row per text; None for a text of which nothing can be predicted.

        Args:
            max_length: longest text in tokens; longer ones are cut.
        """
        encoded = self.task.encode(self.processor, texts, max_length)
        if self.masked:
            return [self._masked(dict(row), number) for number, row in enumerate(encoded)]
        return [{**row, LABELS: list(row["input_ids"])} if len(row["input_ids"]) > 1 else None for row in encoded]

    def _masked(self, row: TextRow, number: int) -> TextRow | None:
        """With masks instead of some tokens; those that frame a text stay."""
        names = ("cls", "sep", "bos", "eos", "pad", "mask")
        framing = [getattr(self.processor, f"{name}_token_id") for name in names]
        tokens = np.array(row["input_ids"])
        free = np.flatnonzero(~np.isin(tokens, [token for token in framing if token is not None]))
        if not len(free):
            return None
        count = max(round(MASKED_SHARE * len(free)), 1)
        chosen = np.random.default_rng([SEED, number]).choice(free, count, replace=False)
        labels = np.full(len(tokens), IGNORED)
        labels[chosen], tokens[chosen] = tokens[chosen], self.processor.mask_token_id
        return {**row, "input_ids": tokens.tolist(), LABELS: labels.tolist()}

    def collate(self, rows: Sequence[TextRow]) -> dict[str, torch.Tensor]:
        """One padded batch with its labels; padding has none."""
        batch = self.task.collate(
            self.processor, [{name: value for name, value in row.items() if name != LABELS} for row in rows]
        )
        length = batch["input_ids"].shape[1]
        padded = [[*row[LABELS], *[IGNORED] * (length - len(row[LABELS]))] for row in rows]
        return batch | {LABELS: torch.tensor(padded)}

    @torch.no_grad()
    def scores(self, model: Any, rows: Sequence[TextRow]) -> np.ndarray:
        """(rows,): mean negative log-likelihood of each row's predicted tokens under `model`, nats, fp64.

        Args:
            model: of the class of this one, in eval mode.
        """
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
        scores, size = np.empty(len(rows)), self._batch_size(rows)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = {name: t.to(model.device) for name, t in self.collate([rows[i] for i in chosen]).items()}
            labels = batch.pop(LABELS)
            logits = model(**batch).logits.float()
            if not self.masked:
                logits, labels = logits[:, :-1], labels[:, 1:]
            losses = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
            scores[chosen] = (losses.double().sum(dim=1) / (labels != IGNORED).sum(dim=1)).cpu().numpy()
        return scores

    def _batch_size(self, rows: Sequence[TextRow]) -> int:
        longest = max((len(row["input_ids"]) for row in rows), default=1)
        vocabulary = self.model.config.get_text_config().vocab_size
        return max(min(self.task.inference_batch, MOST_LOGITS // (longest * vocabulary)), 1)


def load_language_model(spec: ModelSpec, task: Task) -> LanguageModel | None:
    """The checkpoint `spec` as the language model that it is; None where it has no language-model head.

    It has one where its config.json names such a class (one that ends in ForCausalLM, LMHeadModel, ForMaskedLM or
    ForPreTraining) and no weight of that class is missing: some sentence encoders still name the class that they came
    from, and ELECTRA's ForPreTraining is no language model. A causal class of a model that sees all tokens counts as
    masked.

    Raises:
        ModelError: the checkpoint cannot be loaded, or a masked model's tokenizer has no mask.
    """
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    config = load_config(spec)
    name = (config.architectures or [""])[0]
    # BERT and its kin have a class for each way, but see the next token unless they are set up as decoders.
    sees_all = type(config) in AutoModelForMaskedLM._model_mapping and not getattr(config, "is_decoder", False)
    auto_class = AutoModelForCausalLM if name.endswith(CAUSAL) and not sees_all else AutoModelForMaskedLM
    if not name.endswith(CAUSAL + MASKED) or type(config) not in auto_class._model_mapping:
        return None
    model, info = load(
        auto_class.from_pretrained, spec, dtype=torch.float32, use_safetensors=True, output_loading_info=True
    )
    if info["missing_keys"] or info["mismatched_keys"]:
        return None
    processor, masked = task.load_processor(spec), auto_class is AutoModelForMaskedLM
    if masked and processor.mask_token_id is None:
        raise ModelError(
            f"the tokenizer of '{spec.name}' has no mask token, without which a masked-language model cannot be "
            "scored; set mask_token and save it."
        )
    return LanguageModel(model=model.eval(), masked=masked, task=task, processor=processor)
