"""Which job is looked at in which page."""

from collections import OrderedDict

MOST_PAGES = 1000


class Selected:
    """Which run each open page shows, so that a stream of another one ends; may be forgotten at any time.

    Example:
        >>> selected = Selected()
        >>> selected.note("a page", "a job")
        >>> selected.other_than("a page", "a job"), selected.other_than("a page", "another")
        (False, True)
    """

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, str] = OrderedDict()

    def note(self, page: str, job: str) -> None:
        """`page` shows `job` from now on."""
        self._jobs[page] = job
        self._jobs.move_to_end(page)
        while len(self._jobs) > MOST_PAGES:
            self._jobs.popitem(last=False)

    def other_than(self, page: str, job: str) -> bool:
        """Whether `page` is known to show another run than `job`."""
        return self._jobs.get(page, job) != job
