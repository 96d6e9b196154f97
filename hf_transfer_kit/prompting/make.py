"""A classifier for a kind of model; the one place that knows them all. To add a kind: a class, and a line here."""

from pathlib import Path
from typing import TYPE_CHECKING

from hf_transfer_kit.errors import PromptError, did_you_mean
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import PromptClassifier
from hf_transfer_kit.prompting.kinds import EMBEDDING, IMAGE_TEXT, REMOTE
from hf_transfer_kit.prompting.prompts import Prompt

if TYPE_CHECKING:
    from hf_transfer_kit.tasks import Task

PROTOTYPE = "prototype"
KINDS = ("causal", "masked", "encoder_decoder", IMAGE_TEXT, EMBEDDING, REMOTE, PROTOTYPE)


def make_classifier(
    kind: str, model: ModelSpec, prompt: Prompt, task: "Task", *, shots: int = 16, names: bool = True,
    max_length: int | None = None, ledger: Path | None = None,
) -> PromptClassifier:  # fmt: skip
    """The classifier of that kind, not fitted yet; imports what only it needs.

    Args:
        kind: as `kinds.kind_of` gives it, or "prototype".
        shots: of embeddings: how many nearest examples answer.
        names: of prototypes: whether label names count.
        max_length: of embeddings: longest text in tokens, where less than the model's own limit.
        ledger: of remote models: file that keeps what was spent; None: the limit holds for this classifier alone.

    Example:
        >>> from hf_transfer_kit.tasks import get_task
        >>> model = ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2")
        >>> prompt = Prompt(name="plain", label_templates=("{{ label }}",))
        >>> classifier = make_classifier("embedding", model, prompt, get_task("text-classification"))
        >>> classifier.fit(["weather", "cooking"])
        >>> classifier.score(["it rains again", "fry the onions first"]).predictions.tolist()
        [0, 1]
    """
    noun = task.input_noun
    if kind == "causal":
        from hf_transfer_kit.prompting.language_models.causal import CausalClassifier

        return CausalClassifier(model, prompt, input_noun=noun)
    if kind == "masked":
        from hf_transfer_kit.prompting.language_models.masked import MaskedClassifier

        return MaskedClassifier(model, prompt, input_noun=noun)
    if kind == "encoder_decoder":
        from hf_transfer_kit.prompting.language_models.encoder_decoder import EncoderDecoderClassifier

        return EncoderDecoderClassifier(model, prompt, input_noun=noun)
    if kind == REMOTE:
        from hf_transfer_kit.prompting.remote.remote_classifier import RemoteClassifier
        from hf_transfer_kit.prompting.remote.spending import Spending

        spending = Spending(model.remote, ledger) if model.remote is not None else None
        return RemoteClassifier(model, prompt, input_noun=noun, spending=spending)
    if kind == IMAGE_TEXT:
        from hf_transfer_kit.prompting.embeddings.image_text import ImageTextClassifier

        return ImageTextClassifier(model, prompt, input_noun=noun, shots=shots)
    if kind == PROTOTYPE:
        from hf_transfer_kit.prompting.embeddings.prototype import PrototypeClassifier

        return PrototypeClassifier(model, prompt, task=task, names=names, max_length=max_length)
    if kind == EMBEDDING:
        from hf_transfer_kit.prompting.embeddings.embedding import EmbeddingClassifier

        return EmbeddingClassifier(model, prompt, task=task, shots=shots, max_length=max_length)
    raise PromptError(f"there is no classifier of kind '{kind}'; {did_you_mean(kind, KINDS)}")
