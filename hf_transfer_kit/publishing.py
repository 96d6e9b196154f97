"""A finished run on the Hub: what would go is one value, which is shown in a dry run and sent as it is.

    publication = prepare(Path("run"), "ORG/NAME")
    publish(publication)

Nothing goes that names a place of this machine, and no weights but safetensors. Imports no torch.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.advisor.knowledge.models import known_models
from hf_transfer_kit.errors import FormatError, OutputError, PlanError
from hf_transfer_kit.hub_account import check_repo, hub, said_by_the_hub, token_of
from hf_transfer_kit.plan import Features, FewShot, Lora, PromptTuning, Prototype, Shallow, ZeroShot
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.reporting.model_card import model_card
from hf_transfer_kit.reporting.places import hub_model, last_part, places_of, public_name, public_plan, public_record
from hf_transfer_kit.saved_model import CARD_FILE, file_sha256, model_files, weights_hash

if TYPE_CHECKING:
    from huggingface_hub import HfApi

RECORD_FILE, PLAN_FILE, MODEL_FOLDER = "record.json", "plan.yaml", "model"
ALLOWED = (".safetensors", ".json", ".txt", ".model", ".yaml", ".jinja")
SETTINGS = (  # may name a folder
    "config.json", "adapter_config.json", "tokenizer_config.json", "preprocessor_config.json", "features.json",
)  # fmt: skip
LICENSES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-sa-4.0")  # as the Hub writes them; others need their text
NAMING = ("_name_or_path", "name_or_path", "base_model_name_or_path", "backbone")
STANDING = (Features, Lora, PromptTuning, ZeroShot, FewShot, Prototype)  # answer on top of the model they started from
WAY_OUT = "check the name of the repository, and what the token may write to"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """One file as it would be on the Hub: its name there, and where its content is: in a file, or here."""

    name: str
    content: Path | bytes = field(repr=False)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def sha256(self) -> str:
        """Of the content, 64 hexadecimal digits."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        return file_sha256(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What would go to the Hub, and where.

    Fields:
        repo: ORG/NAME of a model repository, made where it is not there.
        private: whether it is to be seen by its owners alone.
        weights: hash of what answers.
        notes: sentences to read before it is sent.
    """

    repo: str
    private: bool
    files: tuple[PublishedFile, ...]
    weights: str
    notes: tuple[str, ...] = ()


def card_of(run: Path, repo: str | None = None) -> str:
    """The model card of the finished run in the folder `run`.

    Raises:
        FormatError: `run` holds no record that can be read.
    """
    record = RunRecord.load(run / RECORD_FILE)
    return model_card(record, weights=weights_hash(run / MODEL_FOLDER), repo=repo, license=license_of(record))


def license_of(record: RunRecord) -> str | None:
    """The license of the model that a run started from, as the Hub writes it; None: the kit does not know it."""
    name = hub_model(record)
    licences = {model.hub_id: model.licence for model in known_models().values() if model.licence in LICENSES}
    return licences.get(name) if name else None


def prepare(run: Path, repo: str, *, private: bool = True) -> Publication:
    """What would go to `repo`; sends nothing, and needs neither network nor token.

    Raises:
        FormatError: `run` is not the folder of a finished run with its model, or holds other files than a model has.
        PlanError: `repo` is no name, or the model stands on weights of this machine alone.
        OutputError: a file would tell a place of this machine.
    """
    check_repo(repo, "where the model goes")
    record = RunRecord.load(run / RECORD_FILE)
    _check_alone(record)
    saved = model_files(run / MODEL_FOLDER)
    if not saved:
        raise FormatError(f"'{run}' has no saved model; carry out the run again.")
    files = [
        PublishedFile(name=CARD_FILE, content=card_of(run, repo).encode(errors="replace")),
        PublishedFile(name=PLAN_FILE, content=public_plan(record.plan).to_yaml().encode()),
        PublishedFile(name=RECORD_FILE, content=json.dumps(public_record(record).to_mapping()).encode()),
        *(_published(file, run / MODEL_FOLDER, record) for file in saved),
    ]
    _check_no_places(files, run, record)
    return Publication(
        repo=repo, private=private, files=tuple(files), weights=weights_hash(run / MODEL_FOLDER), notes=_notes(record)
    )


def publish(publication: Publication, api: "HfApi | None" = None) -> str:
    """Sends what `prepare` put together, in one commit; returns the address of its page.

    Raises:
        RemoteError: no token, or the Hub refuses or cannot be reached.
        PlanError: the repository is there and public, and it was to be private.
    """
    from huggingface_hub import CommitOperationAdd

    api = api or hub()
    token = token_of(api, "pushing to the Hub")
    with said_by_the_hub(WAY_OUT):
        page = api.create_repo(publication.repo, private=publication.private, exist_ok=True, token=token)
        is_private = api.model_info(publication.repo, token=token).private
    if publication.private and not is_private:
        raise PlanError(f"'{publication.repo}' is public already; choose another --repo, or say --public.")
    operations = [
        CommitOperationAdd(
            path_in_repo=file.name,
            path_or_fileobj=file.content if isinstance(file.content, bytes) else str(file.content),
        )
        for file in publication.files
    ]
    with said_by_the_hub(WAY_OUT):
        api.create_commit(
            publication.repo, operations, token=token,
            commit_message=f"A run of hf-transfer-kit, weights {publication.weights}",
        )  # fmt: skip
    return str(page)


def _check_alone(record: RunRecord) -> None:
    """Raises PlanError where what was saved answers only on top of weights that stay behind."""
    if record.old is not None and isinstance(record.plan.approach, Features | Lora | PromptTuning):
        raise PlanError(
            f"'{record.plan.method}' stands on a model that learned the old data and lies in the cache of this "
            "machine; push a run that keeps all its weights, such as full or top_layers."
        )


def _published(file: Path, folder: Path, record: RunRecord) -> PublishedFile:
    name = file.relative_to(folder).as_posix()
    if file.suffix.lower() not in ALLOWED:
        raise FormatError(f"'{file}' is no file of a model in safetensors; remove it, or carry out the run again.")
    if name not in SETTINGS:
        return PublishedFile(name=name, content=file)
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"'{file}' is not valid JSON; carry out the run again.") from error
    changed = _renamed(settings, record)
    if changed == settings:
        return PublishedFile(name=name, content=file)
    return PublishedFile(name=name, content=json.dumps(changed, indent=2).encode())


def _renamed(settings: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """The settings of a saved model with the folder it was loaded from by its name on the Hub, or its last part."""
    base = hub_model(record)
    return {
        key: (base or public_name(value)) if key in NAMING and isinstance(value, str) and value else value
        for key, value in settings.items()
    }


def _check_no_places(files: list[PublishedFile], run: Path, record: RunRecord) -> None:
    """Raises OutputError where a file that would go still tells a path of this machine."""
    places = {str(run.absolute()), str(Path.home()) + os.sep, *places_of(record.plan)}
    hidden = [place.encode() for place in places if os.path.isabs(place) and len(place) > 2]
    for file in files:
        if file.name.endswith(".safetensors"):
            continue
        content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        for place in hidden:
            if place in content:
                raise OutputError(f"'{file.name}' names '{place.decode()}', a place of this machine; remove it there.")


def _notes(record: RunRecord) -> tuple[str, ...]:
    approach, model, notes = record.plan.approach, record.plan.model, []
    if isinstance(approach, FewShot | Prototype):
        notes.append("The prompt holds labelled examples of the training data, word for word.")
    if isinstance(approach, Shallow) and record.task == "text-classification":
        notes.append("The vocabulary holds the words of the training data.")
    if model is not None and isinstance(approach, STANDING) and hub_model(record) is None:
        notes.append(f"It stands on '{last_part(model.name)}', which is not on the Hub: nobody else can load it.")
    return tuple(notes)
