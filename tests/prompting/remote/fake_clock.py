"""A clock that tests turn: waits take no time and move it."""

import threading

from hf_transfer_kit.prompting.remote.rate_limit import Clock


class FakeClock(Clock):
    """Remembers its waits, in seconds."""

    def __init__(self) -> None:
        self.seconds, self.waits = 0.0, []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.seconds

    def wait(self, seconds: float, stop: threading.Event) -> None:
        with self._lock:
            self.seconds += seconds
            self.waits.append(seconds)
