"""A clock whose waits can be cut short, and requests spread evenly over time."""

import threading
import time

TOLERANCE = 1e-6  # seconds; a wait may end this much early by rounding


class Clock:
    """Seconds since some moment, and waits; tests put another one in its place."""

    def now(self) -> float:
        """Seconds; only differences mean something."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Returns after `seconds`, or as soon as `stop` is set."""
        stop.wait(seconds)


class RateLimit:
    """At most `per_minute` turns a minute, one after the other at equal distances (a token bucket that holds one).

    Example:
        >>> limit, stop = RateLimit(per_minute=600, clock=Clock()), threading.Event()
        >>> limit.wait_turn(stop)  # at once
        >>> limit.wait_turn(stop)  # a tenth of a second later
    """

    def __init__(self, *, per_minute: float, clock: Clock) -> None:
        self._interval = 60 / per_minute
        self._clock = clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def wait_turn(self, stop: threading.Event) -> None:
        """Returns when it is this thread's turn, or when `stop` is set."""
        while not stop.is_set():
            with self._lock:
                now = self._clock.now()
                pause = self._next - now
                if pause <= TOLERANCE:
                    self._next = now + self._interval
                    return
            self._clock.wait(pause, stop)

    def hold(self, seconds: float) -> None:
        """Nobody gets a turn for `seconds`."""
        with self._lock:
            self._next = max(self._next, self._clock.now() + seconds)
