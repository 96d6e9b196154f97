"""What runs are called in a list: what tells them from each other, and no more."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from hf_transfer_kit.app.compare.finished_runs import FinishedRun
from hf_transfer_kit.reporting.quantities import whole

Part = Callable[[FinishedRun], str]

PARTS: tuple[Part, ...] = (
    lambda run: run.facts.model,
    lambda run: f"{whole(run.facts.rows)} rows",
    lambda run: f"seed {run.facts.seed}",
    lambda run: run.facts.data,
)
IF_NEEDED: tuple[Part, ...] = (lambda run: run.facts.finished, lambda run: run.id)


def names_of(runs: Sequence[FinishedRun]) -> Mapping[str, str]:
    """The name of every run by its id: the method, and of model, rows, seed and data what is not the same for all.

    Where that leaves two alike, the time at which they finished, and at last the id.
    """
    parts = [part for part in PARTS if len({part(run) for run in runs if part(run)}) > 1]
    names = {run.id: " · ".join(filter(None, (run.facts.method, *(part(run) for part in parts)))) for run in runs}
    for part in IF_NEEDED:
        times = Counter(names.values())
        names |= {run.id: f"{names[run.id]} · {part(run)}" for run in runs if times[names[run.id]] > 1}
    return names
