"""What the buttons of a run do, and how it is watched."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.jobs.feed import Feeds, Glance
from hf_transfer_kit.app.jobs.job_card import job_card
from hf_transfer_kit.app.jobs.selected import Selected
from hf_transfer_kit.app.jobs.watching import watch
from hf_transfer_kit.app.listeners import QUICK, kept_in_browser
from hf_transfer_kit.app.markup import note
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train import estimating, starting
from hf_transfer_kit.app.train.layout import PlanPart, RunPart, StartPart
from hf_transfer_kit.app.train.needs import Needs, needs_card
from hf_transfer_kit.app.train.plan_text import Checked, checked
from hf_transfer_kit.app.train.runs import choices, history, runs_of
from hf_transfer_kit.app.train.showing import GONE, NOTHING, Shown, shown
from hf_transfer_kit.app.train.starting import CPU, place_of
from hf_transfer_kit.errors import PlanError, TransferKitError
from hf_transfer_kit.launch.job import is_id

TICK_SECONDS = 1.0  # between two beginnings of a stream; while one flows, ticks are dropped
ESTIMATE_SECONDS = 600.0
SAME = gr.skip()


class RunEvents:
    """The handlers; each gives the values of its outputs.

    `whole` stands for the run in the page: its parts, the list of all runs, and whether there is anything to watch.
    """

    def __init__(self, settings: Settings, feeds: Feeds):
        self._settings, self._feeds = settings, feeds
        self._selected = Selected()

    def open(self, job: str, mark: str, request: gr.Request) -> list[Any]:
        """When the page is loaded: the job of its address (?job=...), else the last one, else the newest; its id, and
        `whole`."""
        asked = request.query_params.get("job", "") if request else ""
        job = asked if is_id(asked) else job
        if self._glance(job, mark) is None:
            runs = self._runs(mark)
            job = runs[0].status.job.id if runs else ""
        self._selected.note(_page(request), job)
        return [job, *self.whole(job, mark)]

    def choose(self, job: str | None, mark: str, request: gr.Request) -> list[Any]:
        """Another run was chosen: its id, and `whole`."""
        self._selected.note(_page(request), job or "")
        return [job or "", *self.whole(job or "", mark)]

    def start(
        self, request: gr.Request, text: str, data: ChosenData | None, mark: str, estimate: str, *place: Any
    ) -> list[Any]:  # fmt: skip
        """What is wrong, the id of the new job, `whole`."""
        try:
            found, owner = self._checked(text, data, place), self._settings.owner_of(mark)
            if is_id(estimate):
                self._settings.jobs.stop(estimate, owner, grace=0)  # the run must not wait for it
            status = starting.start(found.plan, place_of(place), found.data_name, self._settings, owner)
        except TransferKitError as error:
            said = str(error) if data is None else data.said(error)
            return [note(said, "error"), SAME, *[SAME] * len(self.whole("", mark))]
        self._selected.note(_page(request), status.job.id)
        return [SAME, status.job.id, *self.whole(status.job.id, mark)]

    def stop(self, job: str, mark: str) -> list[Any]:
        """Asks the run to stop, the second time at once; `whole`."""
        return self._acted(lambda owner: starting.stop(job, self._settings, owner), job, mark)

    def resume(self, job: str, mark: str) -> list[Any]:
        """Lets the run go on; `whole`."""
        return self._acted(lambda owner: self._settings.jobs.resume(job, owner), job, mark)

    async def watch(self, job: str, mark: str, request: gr.Request) -> AsyncIterator[list[Any]]:
        """`whole`, again and again while the run goes on, and no other one is chosen."""

        def left() -> bool:
            return self._selected.other_than(_page(request), job)

        async for values in watch(
            lambda: self._glance(job, mark), lambda glance: self._news(glance, job, mark),
            over=lambda glance: glance is None or glance.over or left(), same=SAME,
        ):  # fmt: skip
            if left():
                return
            yield values

    async def estimate(
        self, text: str, data: ChosenData | None, mark: str, *place: Any
    ) -> AsyncIterator[list[Any]]:  # fmt: skip
        """What the plan will need, and the id of the job that finds it out."""
        try:
            found, owner = self._checked(text, data, place), self._settings.owner_of(mark)
            where = place_of(place)
            status = self._settings.jobs.submit(
                lambda folder: estimating.command(found.plan, where.processes, where.where != CPU, folder),
                owner=owner, title="Estimate", environment=where.here.environment,
            )  # fmt: skip
            job = status.job.id
            async for card in watch(
                lambda: self._feeds.glance(job, owner), lambda glance: [_needs(glance)],
                over=lambda glance: glance.over, same=SAME, most=ESTIMATE_SECONDS,
            ):  # fmt: skip
                yield [*card, job]
        except TransferKitError as error:
            yield [note(str(error) if data is None else data.said(error), "error"), ""]

    def whole(self, job: str, mark: str) -> list[Any]:
        """The parts of the run, the list of runs, all runs, whether to watch."""
        return self._whole_of(self._glance(job, mark), job, mark)

    def _news(self, glance: Glance | None, job: str, mark: str) -> list[Any]:
        """`whole`; the list of runs, which takes longer, only at the end."""
        if glance is None or glance.over:
            return self._whole_of(glance, job, mark)
        return [*live_values(shown(glance, self._settings)), SAME, SAME, SAME]

    def _whole_of(self, glance: Glance | None, job: str, mark: str) -> list[Any]:
        gone = GONE if job else NOTHING
        parts = live_values(gone if glance is None else shown(glance, self._settings))
        runs = self._runs(mark)
        listed = gr.update(choices=choices(runs), value=None if glance is None else job, visible=bool(runs))
        return [*parts, listed, history(runs), gr.update(active=glance is not None and not glance.over)]

    def _acted(self, act: Callable[[str], Any], job: str, mark: str) -> list[Any]:
        try:
            act(self._settings.owner_of(mark))
        except TransferKitError as error:
            gr.Warning(str(error))
        return self.whole(job, mark)

    def _glance(self, job: str, mark: str) -> Glance | None:
        try:
            return self._feeds.glance(job, self._settings.owner_of(mark))
        except TransferKitError:
            return None

    def _runs(self, mark: str) -> list[Glance]:
        try:
            return runs_of(self._settings, self._feeds, self._settings.owner_of(mark))
        except TransferKitError:
            return []

    def _checked(self, text: str, data: ChosenData | None, place: tuple[Any, ...]) -> Any:
        found: Checked = checked(text, data, place_of(place), self._settings)
        if found.plan is None:
            raise PlanError(found.problem)
        return found


def live_values(found: Shown) -> list[Any]:
    """A run as values of `RunPart.live`."""
    buttons = [gr.update(interactive=can) for can in (found.can_stop, found.can_resume, found.can_compare)]
    return [found.card, *buttons, found.pictures, found.result, found.command, found.log]


def _page(request: gr.Request | None) -> str:
    """Which open page asks."""
    return getattr(request, "session_hash", None) or ""


def _needs(glance: Glance) -> str:
    if glance.status.state != "finished":
        return job_card(glance)
    return needs_card(Needs.load(glance.status.folder))


def connect_run(
    settings: Settings, feeds: Feeds, planned: PlanPart, begun: StartPart, run: RunPart, chosen: gr.State,
    owner: gr.BrowserState, blocks: gr.Blocks,
) -> None:  # fmt: skip
    """Buttons, clock and reload."""
    act = RunEvents(settings, feeds)
    job = kept_in_browser("job", "")
    estimate, clock = gr.State(""), gr.Timer(TICK_SECONDS, active=False)
    whole = [*run.live, run.run, run.history, clock]
    plan = [planned.yaml, chosen, owner]
    clock.tick(act.watch, [job, owner], whole, trigger_mode="once", concurrency_limit=None, **QUICK)
    begun.start.click(
        act.start, [*plan, estimate, *planned.place], [begun.state, job, *whole], concurrency_limit=None, **QUICK
    )
    run.resume.click(act.resume, [job, owner], whole, concurrency_limit=None, **QUICK)
    run.run.input(act.choose, [run.run, owner], [job, *whole], concurrency_limit=None, **QUICK)
    run.stop.click(act.stop, [job, owner], whole, concurrency_limit=None, **QUICK)
    begun.estimate.click(
        act.estimate, [*plan, *planned.place], [begun.needs, estimate], concurrency_limit=None, **QUICK
    )
    blocks.load(act.open, [job, owner], [job, *whole], concurrency_limit=None, **QUICK)
