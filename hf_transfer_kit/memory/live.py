"""The memory that tensors hold while a piece of code runs, tensor by tensor; works on fake tensors, too.

Every operation of torch passes through a dispatch mode, which sees what it returns. A storage counts from then until
nothing refers to it any more, whoever shares it; what existed before is not counted. Beside these stand the copies
that kernels of the CPU make for themselves (see `copies`).
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hf_transfer_kit.memory.copies import copies


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that a `with` block has made.

    Attributes:
        live: bytes that something refers to now.
        peak: most bytes there were at once, less what `kept` said at that moment.

    Args:
        kept: bytes that are counted elsewhere, asked for after every operation.
        on_cpu: counts the copies that kernels of the CPU make.

    Example:
        >>> with LiveMemory() as memory:
        ...     values = torch.ones(256) * 2  # the ones live no longer than the product takes
        >>> memory.live, memory.peak
        (1024, 2048)
    """

    def __init__(self, kept: Callable[[], int] = lambda: 0, *, on_cpu: bool = True):
        super().__init__()
        self.live = self.peak = 0
        self._kept = kept
        self._copies: Callable[[Any, tuple[Any, ...], Any], int] = copies if on_cpu else lambda *_: 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def forget_peak(self) -> None:
        """Only what comes from here on can be the peak."""
        self.peak = self.live

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = {id(tensor.untyped_storage()) for tensor in _tensors((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            if id(tensor.untyped_storage()) not in before:  # else a view, or changed in place
                self._count(tensor.untyped_storage())
        self._raise_peak(self._copies(func, args, result))
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        number, size = id(storage), storage.nbytes()
        if number in self._known:
            return

        def forget(_: Any) -> None:
            self._known.pop(number, None)
            self.live -= size

        self._known[number] = weakref.ref(storage, forget)
        self.live += size
        self._raise_peak(0)

    def _raise_peak(self, beside: int) -> None:
        self.peak = max(self.peak, self.live + beside - self._kept())


def _tensors(values: Any) -> list[torch.Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]
