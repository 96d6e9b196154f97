"""What a browser keeps of the chosen data, and how it becomes the data again: ids and Hub names, never a path."""

from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.app.data import chosen as chosen_data
from hf_transfer_kit.app.data.chosen import ChosenData, Reading
from hf_transfer_kit.app.data.uploads import Uploads
from hf_transfer_kit.demo import demo_data
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.values import from_mapping, to_mapping

DEMO, HUB, UPLOAD = "demo", "hub", "upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptData:
    """A choice of data.

    Fields:
        source: "demo", "hub" or "upload".
        name: on the Hub, or the id of an upload.
    """

    source: str
    name: str = ""
    reading: Reading


def kept(chosen: ChosenData | None) -> dict[str, Any] | None:
    """What the browser keeps of a choice, as plain values."""
    if chosen is None:
        return None
    source = UPLOAD if chosen.upload else DEMO if chosen.spec.path == str(demo_data()) else HUB
    name = {UPLOAD: chosen.upload, DEMO: "", HUB: chosen.spec.path}[source]
    mapping: dict[str, Any] = to_mapping(KeptData(source=source, name=name, reading=chosen.reading))
    return mapping


def chosen_again(value: object, uploads: Uploads) -> ChosenData | None:
    """The data that `kept` stands for; None where that is no such value, or the upload is gone.

    Args:
        uploads: of the visitor.
    """
    try:
        found = from_mapping(KeptData, value, "the kept data")
        source = _source(found, uploads)
        return None if source is None else source.read_as(found.reading)
    except TransferKitError:
        return None


def _source(found: KeptData, uploads: Uploads) -> ChosenData | None:
    if found.source == UPLOAD:
        upload = uploads.find(found.name)
        return None if upload is None else chosen_data.uploaded(upload)
    if found.source == HUB:
        return chosen_data.on_the_hub(found.name)
    return chosen_data.demo() if found.source == DEMO else None
