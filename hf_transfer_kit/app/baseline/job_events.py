"""Running a baseline: start, follow, stop, resume. The page holds the id of a job, and nothing else of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from hf_transfer_kit.app.baseline.form import Fields, request_of, said
from hf_transfer_kit.app.baseline.job import submit
from hf_transfer_kit.app.baseline.view import View, answers_of, view_of
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.jobs.feed import Feeds, Glance
from hf_transfer_kit.app.jobs.watching import watch
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import TransferKitError

SAME = gr.skip()
PARTS = 10  # of `parts_of`
NOT_HERE = "This baseline is no longer here; run it again."


class Baselines:
    """The baselines of everybody; files alone say how they are.

    Args:
        feeds: of the same jobs.
    """

    def __init__(self, settings: Settings, feeds: Feeds):
        self._settings, self._feeds = settings, feeds

    def begin(self, data: ChosenData | None, mark: object, fields: Fields) -> list[Any]:
        """Starts one: its id, then the parts of the page; where that is refused, all but the sentence stays."""
        try:
            job = submit(request_of(data, fields, self._settings), self._settings, mark).job.id
            return [job, *parts_of(view_of(self._glance(job, mark)), "")]
        except TransferKitError as error:
            return [SAME, note(said(error, data), "error"), *[SAME] * (PARTS - 1)]

    async def follow(self, job: object, mark: object, shown: str) -> AsyncIterator[list[Any]]:
        """The parts of the page, now and as often as they change.

        Args:
            shown: what the page shows to its end already, from the last part.
        """
        nothing_new = [SAME] * PARTS  # a stream that ends without a word would empty all its parts (gradio 6.31)
        if not isinstance(job, str) or not job or shown == job:
            yield nothing_new
            return
        try:
            if shown and shown == _end(await asyncio.to_thread(self._glance, job, mark)):
                yield nothing_new
                return
            async for values in watch(
                lambda: self._glance(job, mark), lambda glance: parts_of(view_of(glance), _end(glance)),
                over=lambda glance: glance.over, same=SAME,
            ):  # fmt: skip
                yield values
        except TransferKitError:
            yield [note(NOT_HERE), *[SAME] * (PARTS - 2), job]

    def stop(self, job: object, mark: object) -> list[Any]:
        """Asks one to stop, a second time at once; as `resume`."""
        return self._asked(job, mark, resume=False)

    def resume(self, job: object, mark: object) -> list[Any]:
        """Lets one go on: the parts of the page."""
        return self._asked(job, mark, resume=True)

    def answers(self, job: object, mark: object, arm: str | None) -> str:
        """Classes and wrong answers of one arm."""
        try:
            return answers_of(self._settings.jobs.get(str(job), self._settings.owner_of(mark)).folder, arm or "")
        except TransferKitError as error:
            return note(said(error, None), "error")

    def _asked(self, job: object, mark: object, *, resume: bool) -> list[Any]:
        jobs = self._settings.jobs
        try:
            (jobs.resume if resume else jobs.stop)(str(job), self._settings.owner_of(mark))
            return parts_of(view_of(self._glance(str(job), mark)), "")
        except TransferKitError as error:
            return [note(said(error, None), "error"), *[SAME] * (PARTS - 1)]

    def _glance(self, job: str, mark: object) -> Glance:
        return self._feeds.glance(job, self._settings.owner_of(mark))


def parts_of(view: View, end: str) -> list[Any]:
    """State, result, arm, answers, details, next step, stop, resume, run, and what is shown to its end."""
    done = bool(view.result)
    return [
        view.state, view.result, gr.update(choices=list(view.arms), value=view.arm or None), view.answers,
        gr.update(visible=done), gr.update(visible=done), gr.update(visible=view.can_stop),
        gr.update(visible=view.can_resume), gr.update(interactive=not view.can_stop), end,
    ]  # fmt: skip


def _end(glance: Glance) -> str:
    """Names the end of an attempt of a job; "" before it."""
    return f"{glance.status.job.mark} {glance.status.state}" if glance.over else ""
