"""What Replay asks before the first step, and what it says about a memory that is small for its task."""

import logging
import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from accelerate.data_loader import DataLoaderDispatcher

from hf_transfer_kit.callbacks.hosting.host import Host, base_dataloader
from hf_transfer_kit.callbacks.hosting.labels import check_old_labels
from hf_transfer_kit.callbacks.replaying.content import digest, each_row
from hf_transfer_kit.callbacks.replaying.memory import Memory
from hf_transfer_kit.callbacks.replaying.mixing import first_row, fitted, own_collator, training_columns
from hf_transfer_kit.errors import DataError, UnsupportedSetupError
from hf_transfer_kit.isolation import undisturbed_randomness

_log = logging.getLogger(__name__)


def refuse_dispatched(train_dataloader: Any, args: Any) -> None:
    """Raises UnsupportedSetupError where the first process collates the batches of all and cuts them into equal parts.

    Parts would not end where a batch does, and rows that cannot be shared equally are dropped (accelerate 1.15).
    """
    if args.world_size > 1 and isinstance(train_dataloader, DataLoaderDispatcher):
        raise UnsupportedSetupError(
            "Replay cannot add rows where the first process makes the batches of all, as accelerate does for data "
            'that can only be iterated over; set accelerator_config={"dispatch_batches": False}, so that each process '
            "reads its own part."
        )


def check_memory(memory: Memory, host: Host) -> None:
    """Raises DataError where old rows lack a column of the training data, have a label that the head lacks, or are in
    the evaluation set."""
    loader = base_dataloader(host.train_dataloader)
    with undisturbed_randomness():
        fitted(memory[0], first_row(loader), own_collator(loader))
        check_old_labels(host.model, [row for row in memory if isinstance(row, Mapping)], "Replay")
    if host.trainer is not None and host.trainer.eval_dataset is not None:
        columns = training_columns(loader)
        if columns is not None:
            columns = set(columns) - set(host.trainer.label_names)
        refuse_evaluated_rows(memory, host.trainer.eval_dataset, columns)


def refuse_evaluated_rows(old: Iterable[Any], evaluation: Any, columns: Collection[str] | None) -> None:
    """Raises DataError where rows of `old` are in `evaluation`, a data set or a dict of them.

    Rows are the same when their columns are, of those that both have and that are among `columns` (None: any).
    """
    sets = evaluation if isinstance(evaluation, dict) else {"": evaluation}
    for name, dataset in sets.items():
        with undisturbed_randomness():
            first_old, first = next(iter(old), None), next(each_row(dataset), None)
            if not isinstance(first_old, Mapping) or not isinstance(first, Mapping):
                continue
            shared = [c for c in first_old if c in first and (columns is None or c in columns)]
            if not shared:
                continue
            held_out = {digest([row[c] for c in shared]) for row in each_row(dataset)}
            found = sum(digest([row[c] for c in shared]) in held_out for row in old)
        if found:
            where = f"the evaluation set '{name}'" if name else "the evaluation set"
            raise DataError(
                f"Replay: {found} rows of the old data are also in {where} (same {', '.join(shared)}), whose "
                "score would then say nothing; take them out of one of the two."
            )


def report_small_memory(memory: Memory, ratio: float, host: Host) -> None:
    """Warns where a batch needs more old rows than there are; says how often each is seen, if more than once."""
    new = host.args.per_device_train_batch_size
    needed = ratio / (1 - ratio) * new
    if needed > len(memory) and host.state.is_world_process_zero:
        share = len(memory) / (len(memory) + new)
        warnings.warn(
            f"Replay ratio={ratio} needs {needed:.4g} old rows for each batch of {new}, but the memory holds "
            f"{len(memory)}, none of which is repeated within a batch: their share is {share:.2g}, not {ratio}.",
            stacklevel=2,
        )
    try:
        rows = len(base_dataloader(host.train_dataloader).dataset)
    except TypeError:  # it can only be iterated over
        return
    each = min(needed, len(memory)) * math.ceil(rows / new) / len(memory)
    if each > 1 and host.state.is_world_process_zero:
        _log.warning("Replay: each of %d old rows is seen about %.1f times in an epoch.", len(memory), each)
