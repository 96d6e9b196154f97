"""How long the rest of a stage takes, from the times of its events alone."""

FEW = 5  # times; from more on a single one that outweighs all others is taken for a clock that was set


class SteadyPace:
    """Seconds per unit of work, whatever is done to the clock meanwhile.

    A time that runs backwards does not count, nor does a single one that is longer than all the others together.

    Example:
        >>> pace = SteadyPace()
        >>> for done, time in ((40, 0.0), (50, 20.0), (60, -3600.0), (70, -3580.0)):
        ...     pace.add(done, time)
        >>> pace.left(70, 100)  # two seconds each
        60.0
    """

    def __init__(self) -> None:
        self._before: tuple[int, float] | None = None
        self._seconds, self._units, self._count = 0.0, 0, 0
        self._longest = (0.0, 0)  # seconds, units

    def add(self, done: int, time: float) -> None:
        """`done` units are done at `time`, in seconds."""
        if self._before is not None and done > self._before[0] and time >= self._before[1]:
            took = (time - self._before[1], done - self._before[0])
            self._seconds, self._units, self._count = self._seconds + took[0], self._units + took[1], self._count + 1
            self._longest = max(self._longest, took)
        self._before = (done, time)

    def left(self, done: int, total: int) -> float | None:
        """Seconds for what is not done; None before there is a pace."""
        seconds, units = self._seconds, self._units
        if self._count > FEW and self._longest[0] > seconds - self._longest[0]:
            seconds, units = seconds - self._longest[0], units - self._longest[1]
        return seconds / units * max(total - done, 0) if units else None
