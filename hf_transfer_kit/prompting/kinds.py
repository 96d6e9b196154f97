"""Which kind of classifier a model can be: causal, masked, encoder_decoder, image_text, embedding or remote."""

from hf_transfer_kit.errors import PromptError
from hf_transfer_kit.models import load_config, model_file
from hf_transfer_kit.plan import ModelSpec

SENTENCE_TRANSFORMERS = "modules.json"  # the file that says that a model was trained to embed
EMBEDDING, IMAGE_TEXT, REMOTE = "embedding", "image_text", "remote"
BY_ARCHITECTURE = (  # ends of the class names in a configuration
    (("ForCausalLM", "LMHeadModel"), "causal"),
    (("ForMaskedLM",), "masked"),
    (("ForConditionalGeneration",), "encoder_decoder"),
)


def kind_of(model: ModelSpec, task: str, asked: str = "auto") -> str:
    """How `model` is asked about inputs of `task`.

    Args:
        asked: as in a plan; "auto" goes by the configuration: language models by their head, what was trained to
            embed and everything without a language model head by its embeddings.

    Raises:
        ModelError: the model cannot be found.
        PromptError: it is not of the kind that is asked for.

    Example:
        >>> kind_of(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"), "text-classification")
        'embedding'
    """
    if model.remote is not None:
        return REMOTE
    found = _of_images(model) if task == "image-classification" else _of_texts(model)
    if asked == "auto" or asked == found or (asked == EMBEDDING and found != IMAGE_TEXT):
        return found if asked == "auto" else asked
    if task != "image-classification" and asked != IMAGE_TEXT:
        return asked  # a checkpoint may hold another head than its configuration names; loading it will tell
    raise PromptError(f"model '{model.name}' is asked by '{found}' here, not by '{asked}'; leave classifier out.")


def knows_words(model: ModelSpec, task: str) -> bool:
    """Whether `model` reads label names, so that it can answer without any example."""
    return task != "image-classification" or kind_of(model, task) in (IMAGE_TEXT, REMOTE)


def _of_images(model: ModelSpec) -> str:
    from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING

    return IMAGE_TEXT if type(load_config(model)) in MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING else EMBEDDING


def _of_texts(model: ModelSpec) -> str:
    if model_file(model, SENTENCE_TRANSFORMERS) is not None:
        return EMBEDDING
    config = load_config(model)
    for name in config.architectures or ():
        for ends, kind in BY_ARCHITECTURE:
            if name.endswith(ends) and (kind == "encoder_decoder") == bool(config.is_encoder_decoder):
                return kind
    return EMBEDDING
