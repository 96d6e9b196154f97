"""Measure what a piece of work costs: wall and processor time, and the peak of memory."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median
from types import TracebackType
from typing import Any, Self

import psutil

INTERVAL = 0.02  # seconds between two looks at the memory


class Meter:
    """Time and peak memory of a `with` block.

    Attributes (after the block):
        seconds, cpu_seconds: wall and processor time of this process.
        peak_mib: highest memory above that at the start, MiB: of the GPU where there is one, else resident memory of the
            process, looked at every 20 ms (allocations that live shorter may be missed).

    Example:
        >>> with Meter() as meter:
        ...     block = bytearray(64 << 20); time.sleep(0.1)
        >>> meter.peak_mib > 60
        True
    """

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = self.peak_mib = 0.0
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._peak = 0

    def __enter__(self) -> Self:
        self._started, self._cpu_started = time.perf_counter(), time.process_time()
        self._start = self._peak = self._process.memory_info().rss
        self._cuda = _cuda()
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
            self._start = self._cuda.memory_allocated()
        else:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._started
        self.cpu_seconds = time.process_time() - self._cpu_started
        if self._cuda is not None:
            self._peak = self._cuda.max_memory_allocated()
        else:
            self._stop.set()
            self._thread.join()
            self._peak = max(self._peak, self._process.memory_info().rss)
        self.peak_mib = max(self._peak - self._start, 0) / 2**20

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._peak = max(self._peak, self._process.memory_info().rss)


def _cuda() -> Any:
    """`torch.cuda` where torch is loaded and sees a GPU, else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def milliseconds_each(call: Callable[[list[Any]], object], items: Sequence[Any], limit: int = 20) -> float:
    """Median milliseconds of `call([item])` over the first `limit` items, at least one, after one call to warm up.

    Example:
        >>> milliseconds_each(lambda items: time.sleep(0.01), ["a", "b"]) >= 10
        True
    """
    call([items[0]])
    times = []
    for item in items[:limit]:
        started = time.perf_counter()
        call([item])
        times.append(time.perf_counter() - started)
    return median(times) * 1000
