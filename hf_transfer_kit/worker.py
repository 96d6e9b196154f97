"""What a process of a study does: one run, its output in log.txt, and an end together with the study.

Imports nothing heavy at the top: a study imports this before it knows that there is work to do.
"""

import os
import sys
import threading
import time
import traceback
from pathlib import Path

KIT_ERROR = 2  # exit code for an error that has said all there is to say


def work(plan_yaml: str, folder: str) -> None:
    """Carries out a plan in `folder`; exits with KIT_ERROR where the plan, data or model cannot be used."""
    _end_with_parent()
    with open(Path(folder) / "log.txt", "a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from hf_transfer_kit.errors import TransferKitError
    from hf_transfer_kit.plan import TransferPlan
    from hf_transfer_kit.run import run

    try:
        run(TransferPlan.from_yaml(plan_yaml), Path(folder))
    except TransferKitError:
        traceback.print_exc()
        sys.exit(KIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with_parent() -> None:
    """Ends this process when the study's process is gone, even by kill -9: two must not write into one folder."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
