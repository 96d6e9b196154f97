"""Models on the Hub for a task and the size that fits, beside those that the advisor knows.

Names, tags and numbers come from strangers: ids must be possible ones, and of the rest only counts and words of a
fixed form are shown. What needs code of its own, is an adapter, or has no safetensors weights is left out.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from hf_transfer_kit.advisor.advice import ModelAdvice
from hf_transfer_kit.advisor.at_hand.hub_listing import Item, Question, listings
from hf_transfer_kit.advisor.deciding.decision import Decision, decide
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import memory_by_parameters
from hf_transfer_kit.advisor.knowledge.models import KnownModel, known_models
from hf_transfer_kit.advisor.knowledge.situation import Situation

BACKBONES = {  # to be trained; finished classifiers of texts have learned other labels than yours
    "text": ("fill-mask", "sentence-similarity", "feature-extraction"),
    "image": ("image-feature-extraction", "image-classification"),
    "image+text": ("zero-shot-image-classification", "image-text-to-text"),
    "series": ("time-series-forecasting",),
}
ASKED = {"text": ("text-generation",), "image": ("zero-shot-image-classification",)}  # in words, without training
BY_TASK = {
    "detection": ("object-detection",), "segmentation": ("image-segmentation",),
    "captioning": ("image-to-text", "image-text-to-text"), "translation": ("translation",),
    "summarization": ("summarization",), "generation": ("text-generation",), "chat": ("text-generation",),
    "question_answering": ("question-answering", "fill-mask"), "ner": ("token-classification", "fill-mask"),
    "forecasting": ("time-series-forecasting",),
}  # fmt: skip
WORDS = {  # that ids of a domain contain
    "x-ray": ("xray", "chest"), "medical": ("medical", "med"), "satellite": ("satellite", "remote-sensing"),
    "biomedical": ("biomed", "pubmed"), "scientific": ("scientific", "sci"), "legal": ("legal", "law"),
    "finance": ("fin", "financial"), "wildlife": ("wildlife", "animal"), "defect": ("defect", "industrial"),
}  # fmt: skip
GENERAL_IMAGES = "dataset:imagenet-1k"  # else the most downloaded classifiers are those of one narrow purpose
UNFIT = {
    "custom_code", "peft", "lora", "adapter", "gguf", "mlx", "4-bit", "8-bit", "bitsandbytes", "awq", "gptq", "fp8",
    "compressed-tensors",
}  # fmt: skip
UNFIT_STARTS = ("base_model:adapter:", "base_model:quantized:")
CONVOLUTIONAL = {"resnet", "regnet", "convnext", "convnextv2", "efficientnet", "mobilenet_v1", "mobilenet_v2", "bit"}
MOST_PARAMETERS = 10**13
_LICENCE = re.compile(r"license:([a-z0-9.+-]{1,40})")
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """What a listing says of a model, checked.

    Fields:
        downloads: of the last 30 days.
        family: the architecture, as transformers calls it.
        question: that it answers.
    """

    hub_id: str
    downloads: int
    parameters: int
    licence: str
    family: str
    question: Question

    @property
    def short_name(self) -> str:
        """The id without the owner, lower case: copies have the same."""
        return self.hub_id.partition("/")[2].lower()

    @property
    def why(self) -> str:
        """A sentence without a word of a stranger's."""
        asked = self.question
        matched = f", '{asked.search}' in its name" if asked.search else ""
        return (
            f"Found on the Hub: {self.downloads:,} downloads a month, task {asked.pipeline_tag}{matched}; "
            "look at its card before you rely on it."
        )


def search_models(
    facts: TaskFacts, *, limit: int = 3, timeout: float = 5.0, token: str | bool | None = None,
    endpoint: str | None = None,
) -> tuple[ModelAdvice, ...]:  # fmt: skip
    """At most `limit` models of the Hub for `facts`, those of the domain first, then by downloads; none that is known.

    Task, language and words of the domain are sent to the Hub, nothing else of the facts.

    Args:
        timeout: seconds for all of it.
        token: as of `HfApi`; None: the one that is logged in, if any.
        endpoint: of another Hub; None: the usual one, or HF_ENDPOINT.

    Raises:
        RemoteError: the Hub is not to be asked, does not answer in time, refuses, or answers nonsense.

    Example:
        search_models(TaskFacts(modality="text", domain="legal", n_labelled=500, memory_gib=8.0))
    """
    until, decision = time.monotonic() + timeout, decide(facts, memory_by_parameters)
    found: dict[str, HubModel] = {}
    for round_ in questions(facts, decision.situation):
        if len(found) >= limit:
            break
        items = listings(round_, until=until, token=token, endpoint=endpoint)
        for model in sorted(_new(items), key=lambda model: (-model.downloads, model.hub_id)):
            if _fits(model, facts, decision):
                found.setdefault(model.short_name, model)
    return tuple(_advice(model, decision) for model in list(found.values())[:limit])


def questions(facts: TaskFacts, situation: Situation) -> list[list[Question]]:
    """What to ask: first with words of the domain, then, for what is still wanted, without."""
    tags = pipeline_tags(situation)
    common = ["safetensors", *(["transformers"] if situation.modality != "series" else [])]
    if facts.language is not None and re.fullmatch("[a-z]{2,3}", facts.language):
        common.append("multilingual" if facts.language == "mul" else facts.language)
    words = WORDS.get(situation.domain or "") or tuple(re.findall(r"[a-z]{4,30}", (facts.domain or "").lower())[:2])
    named = [Question(pipeline_tag=tag, tags=tuple(common), search=word) for tag in tags for word in words]
    general = [
        Question(
            pipeline_tag=tag, tags=(*common, *([GENERAL_IMAGES] if tag == "image-classification" else [])),
        ) for tag in tags
    ]  # fmt: skip
    return [round_ for round_ in (named, general) if round_]


def pipeline_tags(situation: Situation) -> tuple[str, ...]:
    """The Hub's words for the task; () where neither task nor modality is known."""
    modality = situation.modality or ""
    if situation.task in BY_TASK:
        return BY_TASK[situation.task]
    asked = situation.method in ("zero_shot", "few_shot") and situation.task != "search"
    return ASKED.get(modality, BACKBONES.get(modality, ())) if asked else BACKBONES.get(modality, ())


def _new(items: Iterable[tuple[Question, Item]]) -> list[HubModel]:
    """The models that can be used and are no known one, nor a copy of one."""
    known = {(model.hub_id or "").partition("/")[2].lower() for model in known_models().values()}
    models = [_read(question, item) for question, item in items]
    return [model for model in models if model is not None and model.short_name not in known]


def _read(question: Question, item: Item) -> HubModel | None:
    """One entry of a listing; None where it is no usable model, or not what was asked for."""
    hub_id, downloads, tags = item.get("id"), item.get("downloads"), item.get("tags")
    parameters = _member(item.get("safetensors"), "total")
    if item.get("pipeline_tag") != question.pipeline_tag or item.get("private") or item.get("disabled"):
        return None
    if not _possible_id(hub_id) or not _is_count(downloads) or not _is_count(parameters) or not parameters:
        return None
    words = {tag for tag in tags if isinstance(tag, str)} if isinstance(tags, list) else set()
    if words & UNFIT or any(word.startswith(UNFIT_STARTS) for word in words):
        return None
    licences = sorted(match[1] for word in words if (match := _LICENCE.fullmatch(word)))
    licence = licences[0] if licences else "none stated on its card"
    kind = _member(item.get("config"), "model_type")
    return HubModel(
        hub_id=hub_id, downloads=downloads, parameters=parameters, question=question,
        licence=f"gated: {licence}" if item.get("gated") else licence,
        family=kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else "unknown",
    )  # fmt: skip


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_PARAMETERS


def _possible_id(value: Any) -> TypeGuard[str]:
    """Whether the Hub could have a model of that id, with an owner."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(value)
    except HFValidationError:
        return False
    return str(value).count("/") == 1


def _fits(model: HubModel, facts: TaskFacts, decision: Decision) -> bool:
    """Size, speed and memory, by the rules of the known models."""
    if facts.max_parameters is not None and model.parameters > facts.max_parameters:
        return False
    known = _known(model)
    if decision.situation.fast and known.is_large_transformer:
        return False
    needed = memory_by_parameters(known, decision.method)
    return facts.memory_gib is None or needed is None or needed <= facts.memory_gib * 1024


def _known(model: HubModel) -> KnownModel:
    return KnownModel(
        key=model.hub_id, name=model.hub_id.partition("/")[2], hub_id=model.hub_id, family=model.family,
        kind="cnn" if model.family in CONVOLUTIONAL else "transformer", parameters=model.parameters,
        licence=model.licence, kit=False, why=model.why,
    )  # fmt: skip


def _advice(model: HubModel, decision: Decision) -> ModelAdvice:
    known = _known(model)
    return known.as_advice(memory_by_parameters(known, decision.method))
