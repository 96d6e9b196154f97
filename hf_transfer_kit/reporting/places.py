"""What of a run may be shown to everybody: names of the Hub stay, of places of this machine only the last part."""

import os
import re
from dataclasses import replace
from typing import Any

from hf_transfer_kit.models import PACKAGED
from hf_transfer_kit.plan import ModelSpec, TransferPlan
from hf_transfer_kit.records import RunRecord

FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".yaml", ".yml", ".txt")  # no data set's name ends so
NO_SERVER = "https://server.invalid"  # in place of a server's address
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


def is_hub_name(name: str) -> bool:
    """Whether `name` means something on the Hub rather than on this machine.

    Example:
        >>> [is_hub_name(name) for name in ("org/data", "imdb", "/home/ann/data", "data/intents.csv")]
        [True, True, False, False]
    """
    return bool(_HUB_NAME.fullmatch(name)) and not name.lower().endswith(FILES) and not os.path.exists(name)


def last_part(place: str) -> str:
    """The last part of a path: "data/intents.csv" -> "intents.csv"."""
    return re.split(r"[/\\]", place.rstrip("/\\"))[-1]


def shown_name(name: str) -> str:
    """For a text: a Hub name as it is, else the last part of the path."""
    return name if is_hub_name(name) else last_part(name)


def public_name(name: str) -> str:
    """For a plan: a Hub name as it is, else the last part of the path in the current folder, "./intents.csv"."""
    return name if is_hub_name(name) else f"./{last_part(name)}"


def hub_model(record: RunRecord) -> str | None:
    """The name on the Hub of the model that a run started from; None for a folder, a server, or no model."""
    model = record.plan.model
    if model is None or (model.remote is not None and model.remote.provider is None):
        return None
    known = model.name in PACKAGED or (record.model is not None and record.model.revision is not None)
    return model.name if known or is_hub_name(model.name) else None


def public_plan(plan: TransferPlan) -> TransferPlan:
    """The plan without places of this machine and without the address of a server."""
    approach: Any = plan.approach
    if getattr(approach, "prompt", None):
        approach = replace(approach, prompt=last_part(approach.prompt))
    return replace(
        plan,
        data=replace(plan.data, path=public_name(plan.data.path)),
        old_data=plan.old_data and replace(plan.old_data, path=public_name(plan.old_data.path)),
        model=plan.model and _public_model(plan.model),
        approach=approach,
    )


def public_record(record: RunRecord) -> RunRecord:
    """The record without places of this machine; what was measured stays as it is."""
    places = {place: last_part(place) for place in places_of(record.plan)}
    known = hub_model(record)
    model = record.model and replace(
        record.model,
        name=known or public_name(record.model.name),
        weights_digest=_without_address(record.model.weights_digest),
    )
    return replace(record, plan=public_plan(record.plan), model=model, details=_without(record.details, places))


def places_of(plan: TransferPlan) -> set[str]:
    """The paths of this machine and the addresses of servers that a plan names, as written and in full."""
    named = [plan.data.path, getattr(plan.approach, "prompt", None), plan.old_data and plan.old_data.path]
    named += [plan.model.name] if plan.model else []
    paths = {name for name in named if name and not is_hub_name(name)}
    places = {os.path.abspath(os.path.expanduser(path)) for path in paths} | {path for path in paths if "/" in path}
    if plan.model and plan.model.remote and plan.model.remote.url:
        places.add(plan.model.remote.url)
    return places


def _public_model(model: ModelSpec) -> ModelSpec:
    known = model.name in PACKAGED or model.remote is not None
    named = replace(model, name=model.name if known else public_name(model.name))
    if named.remote is None or named.remote.url is None:
        return named
    return replace(named, remote=replace(named.remote, url=NO_SERVER))


def _without_address(digest: str | None) -> str | None:
    """Of a model that answers elsewhere, the identity notes the place."""
    return re.sub(r"https?://\S+", NO_SERVER, digest) if digest else digest


def _without(value: Any, places: dict[str, str]) -> Any:
    """Plain values with every place in their texts replaced."""
    if isinstance(value, str):
        for place in sorted(places, key=len, reverse=True):
            value = value.replace(place, places[place])
        return value
    if isinstance(value, dict):
        return {_without(key, places): _without(item, places) for key, item in value.items()}
    return [_without(item, places) for item in value] if isinstance(value, list | tuple) else value
