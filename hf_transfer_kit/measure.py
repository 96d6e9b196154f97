"""Measure what a piece of work costs: wall and processor time, the peak of memory, floating-point operations."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode

INTERVAL = 0.02  # seconds between two looks at the memory


class Meter:
    """Time and peak memory of a `with` block.

    Attributes (after the block):
        seconds, cpu_seconds: wall and processor time of this process.
        peak_mib: highest memory above that at the start, MiB: of the GPU where there is one, else resident memory of
            the process, looked at every 20 ms (allocations that live shorter may be missed).

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


def flop_counter() -> "FlopCounterMode":
    """A context that counts floating-point operations, attention on the CPU included; a multiply-add is 2.

    The counter of torch 2.13 knows the attention kernels of GPUs only: the CPU's would count as 0.

    Example:
        >>> import torch
        >>> with flop_counter() as counter:
        ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
        >>> counter.get_total_flops()
        48
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    formulas = {
        forward: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
        backward: lambda gradient, q, k, v, *_, **__: sdpa_backward_flop_count(gradient, q, k, v),
    }
    return FlopCounterMode(display=False, custom_mapping=formulas)
