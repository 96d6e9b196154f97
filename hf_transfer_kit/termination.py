"""SIGTERM, the polite request of job systems to end: a training writes a checkpoint first, all else stops at once.

with ends_on_sigterm():             # in the command
    with a_checkpoint_first():      # around a training, which looks at termination_asked() after every step
        ...                         # and leaves Terminated when it is left
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # 143


class Terminated(KeyboardInterrupt):
    """SIGTERM has come; as Ctrl-C, it is no error that anything should catch and go on from."""


class _Request:
    """What the signal handler and the training share."""

    asked = False
    waits = False


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Makes SIGTERM raise Terminated in the main thread, or wait for a checkpoint; elsewhere does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _Request.asked = _Request.waits = False
    before = signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _Request.asked = False


@contextmanager
def a_checkpoint_first() -> Iterator[None]:
    """Makes SIGTERM wait until the block is left, which raises Terminated then.

    Raises:
        Terminated: on leaving, where SIGTERM came meanwhile.
    """
    _Request.waits = True
    try:
        yield
    finally:
        _Request.waits = False
    if _Request.asked:
        raise Terminated


def termination_asked() -> bool:
    """Whether this process was asked to end, and waits with it."""
    return _Request.asked


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    again, _Request.asked = _Request.asked, True
    if not (_Request.waits or again):  # it may come twice: from whoever stops the job, and from torchrun
        raise Terminated
