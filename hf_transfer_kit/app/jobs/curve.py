"""A curve that is drawn while it grows: few points, however long the job, and the same ones after a resume."""

MOST_POINTS = 300


class Curve:
    """Numbers by step, at most `MOST_POINTS` of them.

    Steps fall into equal intervals, of which the first number and, at the end of the curve, the last one are kept. The
    intervals double where there are too many, so what is kept depends on the numbers alone, and not on when or in how
    many pieces they came.

    Example:
        >>> curve = Curve()
        >>> for step in range(1, 100_001):
        ...     curve.add(step, 1 / step)
        >>> len(curve.points) <= 300, curve.points[0], curve.points[-1][0]
        (True, (1, 1.0), 100000)
    """

    def __init__(self) -> None:
        self._width = 1  # steps of an interval
        self._firsts: dict[int, tuple[int, float]] = {}  # by interval
        self._last: tuple[int, float] | None = None

    @property
    def points(self) -> tuple[tuple[int, float], ...]:
        """(step, number), by step."""
        firsts = tuple(self._firsts.values())
        return firsts if self._last is None or self._last in firsts[-1:] else (*firsts, self._last)

    def add(self, step: int, value: float) -> None:
        """The next number; a step before the last one cuts the curve there."""
        if self._last is not None and step < self._last[0]:
            self.cut(step)
        self._last = (step, value)
        self._firsts.setdefault(step // self._width, self._last)
        while len(self._firsts) >= MOST_POINTS:
            self._width *= 2
            merged: dict[int, tuple[int, float]] = {}
            for point in self._firsts.values():
                merged.setdefault(point[0] // self._width, point)
            self._firsts = merged

    def cut(self, step: int) -> None:
        """Forgets the numbers from `step` on: that part of the work was lost, and is done again."""
        self._firsts = {interval: point for interval, point in self._firsts.items() if point[0] < step}
        if self._last is not None and self._last[0] >= step:
            self._last = next(reversed(self._firsts.values()), None)
