"""Carries out several plans in one group of processes: torchrun ... carry_out.py FOLDER PLAN [PLAN ...]"""

import sys
from pathlib import Path

from tiny_training import leave

from hf_transfer_kit.plan import TransferPlan
from hf_transfer_kit.run import run

if __name__ == "__main__":
    for plan in map(Path, sys.argv[2:]):
        run(TransferPlan.load(plan), Path(sys.argv[1]) / plan.stem)
    leave()
