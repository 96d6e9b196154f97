"""Live parts of a page: looks again and again, sends what has changed, and ends with the job.

    timer.tick(watching, [job, owner], [card, curves], trigger_mode="once", concurrency_limit=None, ...)

    async def watching(job, owner):
        async for values in watch(lambda: feeds.glance(job, owner), shown, over=lambda glance: glance.over, same=gr.skip()):
            yield values

While it streams, the page drops further ticks; where the stream breaks (the server was started again), the next tick
begins another.
"""  # noqa: E501

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

EVERY_SECONDS, LONGEST_SECONDS = 0.1, 60.0

T = TypeVar("T")


async def watch(
    look: Callable[[], T], show: Callable[[T], Sequence[Any]], *, over: Callable[[T], bool], same: Any,
    every: float = EVERY_SECONDS, most: float = LONGEST_SECONDS,
) -> AsyncIterator[list[Any]]:  # fmt: skip
    """What a page shows, now and whenever it changes, until it is over or `most` seconds have passed.

    Args:
        look: what there is, or the very object of the last time where nothing has changed; called in a thread.
        show: what the page's parts show of it; called only where `look` gave another object.
        over: whether nothing more will come.
        same: stands for a part that shows what it showed before.
        every: seconds between two looks.

    Raises:
        TransferKitError: as `look` and `show`.

    Example:
        >>> numbers = iter([1, 1, 2, 3])
        >>> async def all_of():
        ...     return [
        ...         values
        ...         async for values in watch(
        ...             lambda: next(numbers), lambda n: [n, n // 2], over=lambda n: n == 3, same="-", every=0
        ...         )
        ...     ]
        >>> asyncio.run(all_of())
        [[1, 0], [2, 1], [3, '-']]
    """
    clock = asyncio.get_running_loop().time
    end = clock() + most
    seen: T | None = None
    shown: list[Any] | None = None
    while True:
        found = await asyncio.to_thread(look)
        if shown is None or found is not seen:
            values = list(await asyncio.to_thread(show, found))
            if values != shown:
                before = shown or [object()] * len(values)
                yield [new if new != old else same for new, old in zip(values, before, strict=True)]
            seen, shown = found, values
        if over(found) or clock() >= end:
            return
        await asyncio.sleep(every)
