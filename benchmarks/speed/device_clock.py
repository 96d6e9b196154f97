"""Wall time and peak memory of work on a device that runs behind the program."""

import time
from collections.abc import Callable, Mapping

import torch

MIB = 2**20


def synchronise(device: torch.device) -> None:
    """Waits until the device has done what it was given; the CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_in_turn(
    sides: Mapping[str, Callable[[], object]], device: torch.device, *, repeats: int, warm_up: int
) -> dict[str, list[float]]:
    """Wall seconds of every repetition of every side; in turn, so that a clock that falls with heat favours nobody."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(warm_up + repeats):
        for name, side in sides.items():
            synchronise(device)
            started = time.perf_counter()
            side()
            synchronise(device)
            if repetition >= warm_up:
                times[name].append(time.perf_counter() - started)
    return times


def peak_mib(work: Callable[[], object], device: torch.device) -> float | None:
    """Largest memory that tensors took during `work`, in MiB, what was there before included; None on a CPU."""
    if device.type != "cuda":
        work()
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    synchronise(device)
    return round(torch.cuda.max_memory_allocated(device) / MIB, 1)
