"""A classifier for a model; the one place that knows all kinds. To add a kind: a class, and a line here."""

from pathlib import Path

from hf_transfer_kit.errors import PromptError, did_you_mean
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.built_in import built_in
from hf_transfer_kit.prompting.classifier import PromptClassifier
from hf_transfer_kit.prompting.kinds import EMBEDDING, IMAGE_TEXT, REMOTE, kind_of
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.tasks import get_task

PROTOTYPE = "prototype"
KINDS = ("causal", "masked", "encoder_decoder", IMAGE_TEXT, EMBEDDING, REMOTE, PROTOTYPE)


def prompts_for(kind: str, model: ModelSpec, task: str) -> tuple[Prompt, ...]:
    """The built-in prompts for a kind of classifier, the default first; prototypes take those of their embeddings."""
    if kind == PROTOTYPE:
        kind = IMAGE_TEXT if kind_of(model, task) == IMAGE_TEXT else EMBEDDING
    return built_in(kind, get_task(task).input_noun)


def make_classifier(
    model: ModelSpec | str,
    prompt: Prompt | None = None,
    *,
    task: str = "text-classification",
    kind: str = "auto",
    shots: int = 16,
    names: bool = True,
    max_length: int | None = None,
    ledger: Path | None = None,
) -> PromptClassifier:
    """The classifier that asks `model`, not fitted yet; imports what only it needs.

    Args:
        model: a name stands for a Hub model or a folder.
        prompt: None: the first built-in one for this kind of model.
        task: "text-classification" or "image-classification".
        kind: one of `KINDS`; "auto": by what the model is, see `kinds.kind_of`.
        shots: of embeddings: how many nearest examples answer.
        names: of prototypes: whether label names count.
        max_length: of embeddings: longest text in tokens, where less than the model's own limit.
        ledger: of remote models: file that keeps what was spent; None: the limit holds for this classifier alone.

    Raises:
        PromptError: there is no such kind.
        ModelError: the model cannot be found.

    Example:
        >>> classifier = make_classifier("sentence-transformers/all-MiniLM-L6-v2")
        >>> classifier.fit(["weather", "cooking"])
        >>> classifier.score(["it rains again", "fry the onions first"]).predictions.tolist()
        [0, 1]
    """
    model = ModelSpec(name=model) if isinstance(model, str) else model
    noun, kind = get_task(task).input_noun, kind_of(model, task) if kind == "auto" else kind
    prompt = prompt or prompts_for(kind, model, task)[0]
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

        return PrototypeClassifier(model, prompt, input_noun=noun, names=names, max_length=max_length)
    if kind == EMBEDDING:
        from hf_transfer_kit.prompting.embeddings.embedding import EmbeddingClassifier

        return EmbeddingClassifier(model, prompt, input_noun=noun, shots=shots, max_length=max_length)
    raise PromptError(f"there is no classifier of kind '{kind}'; {did_you_mean(kind, KINDS)}")
