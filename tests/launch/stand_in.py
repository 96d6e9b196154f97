"""Stands in for a run: python stand_in.py FOLDER SCRIPT, a Python text with `events`, `folder` and `attempt` at hand.

Imports nothing heavy, so that a test of jobs takes a tenth of a second and not ten.
"""

import os
import signal
import sys
import time
from pathlib import Path

from hf_transfer_kit.events import EventWriter

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with EventWriter(folder / "events.jsonl") as events:
        events.write("start", message="stand-in")
        exec(sys.argv[2], {"os": os, "signal": signal, "sys": sys, "time": time, "events": events, "folder": folder})
