"""Stands in for a training process: python stop_worker.py MARK polite|stuck; imports nothing heavy.

`polite` takes TERM or ABRT as a wish and ends after its step of half a second. `stuck` sits in a call that does not
come back, as a process does that waits for another one's gradients: the wish is noted, and never looked at.
"""

import signal
import sys
import time

asked = False


def note(number: int, frame: object) -> None:
    global asked
    asked = True


if __name__ == "__main__":
    for wish in (signal.SIGTERM, signal.SIGABRT, signal.SIGINT):
        signal.signal(wish, note)
    while not asked or sys.argv[2] == "stuck":
        time.sleep(0.5)
