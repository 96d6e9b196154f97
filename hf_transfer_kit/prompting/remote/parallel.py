"""Work on many items in threads that stop at the first error, and at Ctrl-C at once."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def results_of(
    work: Callable[[Item], Result], items: Sequence[Item], *, threads: int, stop: threading.Event
) -> Iterator[tuple[Item, Result]]:
    """Each item with `work(item)`, as they get ready.

    At the first error no further item is begun; what is under way ends before the error is raised. The threads are
    daemons, since those of concurrent.futures are waited for at the end of the process, a minute for a slow server:
    set `stop` when leaving early.

    Example:
        >>> dict(results_of(len, ["a", "bb"], threads=2, stop=threading.Event())) == {"a": 1, "bb": 2}
        True
    """
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Item, Result] | BaseException] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def loop() -> None:
        while not stop.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001  # raised below, in the thread that reads the results
                stop.set()
                done.put(error)

    workers = [threading.Thread(target=loop, name=f"asking-{i}", daemon=True) for i in range(min(threads, len(items)))]
    for worker in workers:
        worker.start()
    for _ in items:
        outcome = done.get()
        if isinstance(outcome, BaseException):
            for worker in workers:
                worker.join()
            raise outcome
        yield outcome
