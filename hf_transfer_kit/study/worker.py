"""What a process of a study does: one run, its output in log.txt, and an end together with the study.

Imports nothing heavy at the top: a study imports this before it knows that there is work to do.
"""

import errno
import multiprocessing
import os
import sys
import threading
import traceback
from pathlib import Path

KIT_ERROR = 2  # exit code for an error that has said all there is to say
DISK_FULL = 28  # exit code where nothing more can be written


def work(plan_yaml: str, folder: str) -> None:
    """Carries out a plan in `folder`.

    Exits with KIT_ERROR where the plan, data or model cannot be used, with DISK_FULL where there is no room left.
    """
    _end_with_parent()
    with open(Path(folder) / "log.txt", "a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from hf_transfer_kit.errors import TransferKitError
    from hf_transfer_kit.plan import TransferPlan
    from hf_transfer_kit.run import run

    try:
        run(TransferPlan.from_yaml(plan_yaml), Path(folder))
    except Exception as error:
        if _is_full(error):
            os._exit(DISK_FULL)  # nothing more can be logged either
        if not isinstance(error, TransferKitError):
            raise
        traceback.print_exc()
        sys.exit(KIT_ERROR)


def _is_full(error: BaseException | None) -> bool:
    """Whether an error comes from a full disk, however it was wrapped; safetensors says it in words only."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _end_with_parent() -> None:
    """Ends this process when the study's process is gone, even by kill -9: two must not write into one folder."""
    study = multiprocessing.parent_process()  # not getppid: that is the fork server, which outlives the study
    if study is None:
        return

    def watch() -> None:
        study.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
