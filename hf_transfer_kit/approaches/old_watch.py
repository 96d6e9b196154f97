"""The score on the old data while a model learns the new: forgetting as it happens, in the events of the run."""

import numpy as np

from hf_transfer_kit.approaches.approach import Job
from hf_transfer_kit.approaches.build import Built
from hf_transfer_kit.approaches.rows import Rows
from hf_transfer_kit.callbacks.forgetting import ForgettingMonitor

WATCHED_ROWS = 64  # enough to see it; the record scores all old test items
NAME = "data"  # logged as old_data_accuracy


def old_watch(job: Job, built: Built) -> tuple[ForgettingMonitor, ...]:
    """A monitor on some of the old validation rows, among all labels, old and new; none without labelled old data."""
    if job.old is None or not len(job.old.validation_rows):
        return ()
    rows = job.old.validation_rows
    some = rows[np.unique(np.linspace(0, len(rows) - 1, WATCHED_ROWS).astype(int))]
    part = job.old.data.validation.select(some)
    watched = Rows(job.task, built.processor, part["input"], np.asarray(part["label"][:]), job.plan.data.max_length)
    return (ForgettingMonitor({NAME: watched}),)
