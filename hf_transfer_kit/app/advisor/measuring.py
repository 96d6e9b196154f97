"""Measuring candidates on the data at hand: a job, whose folder holds what came out. Ids only reach the browser."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_transfer_kit.advisor.at_hand.measuring import rows_to_measure
from hf_transfer_kit.advisor.at_hand.workbench import Workbench
from hf_transfer_kit.advisor.evidence import FILE, Evidence
from hf_transfer_kit.app.advisor.visit import Visit, trimmed
from hf_transfer_kit.app.data.chosen import ChosenData
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import DataError, FormatError, OutputError, PlanError
from hf_transfer_kit.launch.state import ALIVE
from hf_transfer_kit.plan import ModelSpec

TITLE = "Measuring candidates"


def candidates(visit: Visit, data: ChosenData, settings: Settings) -> tuple[str, ...]:
    """Names of the models that may be measured here: those that the rules name now, and one made for frozen use.

    Raises:
        PlanError: none of them may.
    """
    names = Workbench().candidates(visit.consultation)
    refused: list[PlanError] = []
    allowed = []
    for name in names:
        try:
            settings.check_may_start(data.spec, ModelSpec(name=name))
            allowed.append(name)
        except PlanError as error:
            refused.append(error)
    if not allowed:
        raise refused[0] if refused else PlanError("the advice names no model that can be measured here.")
    return tuple(allowed)


def may_measure(visit: Visit, data: ChosenData, settings: Settings) -> bool:
    """Whether any candidate may be measured on these data here."""
    try:
        return bool(candidates(visit, data, settings))
    except PlanError:
        return False


def start(visit: Visit, data: ChosenData | None, settings: Settings, mark: object) -> Visit:
    """Submits the measurement; the visit knows its job.

    Raises:
        DataError: no data are at hand.
        PlanError: it may not be started here.
        OutputError: the page does not know whose it is, or nothing can be written.
    """
    if data is None:
        raise DataError("choose the data first: the demo data here, or your own in the Baseline tab.")
    names = candidates(visit, data, settings)
    rows = rows_to_measure(visit.of_data.n_classes or 2)
    status = settings.jobs.submit(
        lambda folder: rank_command(data, names, rows, folder), owner=settings.owner_of(mark),
        title=f"{TITLE} on {data.name}",
    )  # fmt: skip
    return replace(visit, job=status.job.id)


def rank_command(data: ChosenData, names: Sequence[str], rows: int, folder: Path) -> list[str]:
    """The argument list of `transfer-kit rank` on `data`.

    Example:
        >>> from hf_transfer_kit.plan import DataSpec
        >>> demo = ChosenData(name="mine", spec=DataSpec(path="a.csv", drop_rare=True))
        >>> rank_command(demo, ["org/m"], 1000, Path("job"))[3:]
        ['rank', '--data=a.csv', '--models=org/m', '--max-rows=1000', '--drop-rare', '--out=job']
    """
    return [
        sys.executable, "-m", "hf_transfer_kit.cli", "rank", f"--data={data.spec.path}", f"--models={','.join(names)}",
        f"--max-rows={rows}", *data.reading.options, f"--out={folder}",
    ]  # fmt: skip


def stop(visit: Visit, settings: Settings, mark: object) -> None:
    """Asks the measurement to stop; raises OutputError where it is not the visitor's."""
    if visit.job:
        settings.jobs.stop(visit.job, settings.owner_of(mark))


def with_evidence(visit: Visit, settings: Settings, mark: object) -> Visit:
    """The visit with the evidence that its advice rests on, read from the folder of the job."""
    found = evidence_in(visit, visit.measured, settings, mark)
    if found is None:
        return replace(visit, measured="", job="" if visit.job == visit.measured else visit.job)
    return replace(visit, consultation=replace(visit.consultation, evidence=found))


def taken_in(visit: Visit, settings: Settings, mark: object) -> Visit:
    """After a measurement: the consultation is told of it, once; one that came to nothing is forgotten."""
    if not visit.is_measuring:
        return visit
    found = evidence_in(visit, visit.job, settings, mark)
    if found is None:
        return visit if _is_alive(visit.job, settings, mark) else replace(visit, job=visit.measured)
    after, _ = visit.consultation.measured(found)
    return replace(visit, consultation=trimmed(after), measured=visit.job)


def evidence_in(visit: Visit, job_id: str, settings: Settings, mark: object) -> Evidence | None:
    """What a job has measured; None where it is not the visitor's, or has no result (yet)."""
    if not job_id:
        return None
    try:
        folder = settings.jobs.get(job_id, settings.owner_of(mark)).folder
        return replace(Evidence.load(folder / FILE), data=visit.data)
    except (OutputError, FormatError):
        return None


def _is_alive(job_id: str, settings: Settings, mark: object) -> bool:
    try:
        return settings.jobs.get(job_id, settings.owner_of(mark)).state in ALIVE
    except (OutputError, FormatError):
        return False
