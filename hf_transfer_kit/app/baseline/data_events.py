"""Choosing data: what happens on a click, an upload or a correction, and after a reload."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from hf_transfer_kit.app.data import chosen as chosen_data
from hf_transfer_kit.app.data.chosen import ChosenData, Reading
from hf_transfer_kit.app.data.data_card import data_card
from hf_transfer_kit.app.data.kept import chosen_again, kept
from hf_transfer_kit.app.data.look import Look, look_at
from hf_transfer_kit.app.data.upload_checks import check_upload
from hf_transfer_kit.app.data.uploads import Uploads, named_in_jobs
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.wording import in_page_words
from hf_transfer_kit.errors import TransferKitError

SAME = gr.skip()  # what is shown stays
OPTIONS = 8  # components of `DataPart.reading` behind the two columns


def read(choose: Callable[[], ChosenData]) -> list[Any]:
    """After data was chosen: the data, what the browser keeps, what went wrong, the look, how it is read, its fold.

    Where it cannot be read, all but the sentence stays as it was.
    """
    try:
        data = choose()
        look = look_at(data)
    except TransferKitError as error:
        return [SAME, SAME, note(in_page_words(str(error)), "error"), *[SAME] * (OPTIONS + 4)]
    reading = data.reading
    return [
        data, kept(data), "", data_card(data, look), *_columns(look), look.task, reading.config or "",
        reading.revision or "", reading.drop_empty, reading.drop_rare, reading.split_seed, reading.test_share,
        reading.max_length, gr.update(open=bool(look.problem)),
    ]  # fmt: skip


def reread(data: ChosenData | None, *values: Any) -> list[Any]:
    """After it was said how to read the data: as `read`, with the fields as they were filled in."""
    if data is None:
        return [SAME] * (OPTIONS + 7)
    found = read(lambda: data.read_as(reading_of(values)))
    return [*found[:6], *[SAME] * (OPTIONS + 1)]


def read_again(value: object, mark: object, settings: Settings) -> list[Any]:
    """After a reload: the data that the browser kept; all stays where it kept none, or that is gone."""
    data = known(None, value, mark, settings)
    return [SAME] * (OPTIONS + 7) if data is None else read(lambda: data)


def known(data: ChosenData | None, value: object, mark: object, settings: Settings) -> ChosenData | None:
    """The data of this visit, also after the server was started again and has forgotten it."""
    try:
        return data or chosen_again(value, Uploads(settings.uploads_of(mark)))
    except TransferKitError:
        return None  # not known whose upload it is: there was no visit before


def taken(path: str, mark: object, settings: Settings) -> ChosenData:
    """A file that the page took, checked and kept.

    Raises:
        DataError: it cannot be used.
        OutputError: it cannot be kept.
    """
    uploads = Uploads(settings.uploads_of(mark))
    in_use = named_in_jobs(settings.jobs.root)
    return chosen_data.uploaded(uploads.keep(Path(path), check=check_upload, in_use=in_use))


def reading_of(values: tuple[Any, ...]) -> Reading:
    """The fields in the order of `DataPart.reading`; what the browser leaves empty is None."""
    usual = Reading()
    inputs, labels, task, config, revision, drop_empty, drop_rare, seed, test_share, max_length = values
    return Reading(
        input_column=inputs or None, label_column=labels or None, task=task or None,
        config=(config or "").strip() or None, revision=(revision or "").strip() or None,
        drop_empty=bool(drop_empty), drop_rare=bool(drop_rare),
        split_seed=usual.split_seed if seed is None else int(seed),
        test_share=usual.test_share if test_share is None else float(test_share),
        max_length=usual.max_length if max_length is None else int(max_length),
    )  # fmt: skip


def _columns(look: Look) -> list[Any]:
    columns = list(look.columns)
    return [
        gr.update(choices=columns, value=look.input_column or None),
        gr.update(choices=columns, value=look.label_column or None),
    ]
