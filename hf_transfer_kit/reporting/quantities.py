"""Numbers with units, as people read them: no more digits than are worth reading."""

from math import log


def accuracy(share: float, half_width: float = 0.0) -> str:
    """A share of right answers: three decimals, or two where its interval is wider than 5 points to either side.

    Example:
        >>> accuracy(0.88123, half_width=0.012), accuracy(0.88123, half_width=0.14)
        ('0.881', '0.88')
    """
    return f"{share:.{2 if half_width > 0.05 else 3}f}"


def points(share: float) -> str:
    """A difference of two accuracies in points (hundredths): one decimal, more only where that would hide its sign.

    Example:
        >>> points(0.0321), points(-0.004), points(0.0004), points(0.0)
        ('3.2', '-0.4', '0.04', '0.0')
    """
    hundredths = round(share * 100, 6) + 0.0  # no "-0.0"
    return f"{hundredths:.1g}" if 0 < abs(hundredths) < 0.05 else f"{hundredths:.1f}"


def seconds(value: float) -> str:
    """A duration.

    Example:
        >>> [seconds(value) for value in (0, 0.0421, 1.234, 47.9, 154, 5400)]
        ['0 ms', '42 ms', '1.2 s', '48 s', '2 min 34 s', '1 h 30 min']
    """
    if value < 0.9995:
        return f"{_two_digits(value * 1e3)} ms"
    if value < 59.5:
        return f"{_two_digits(value)} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours} h {minutes} min"


def flops(value: float) -> str:
    """A number of floating-point operations.

    Example:
        >>> [flops(value) for value in (0, 4.2e5, 3.21e9, 1.5e13)]
        ['0', '420 kFLOP', '3.2 GFLOP', '15 TFLOP']
    """
    return "0" if value <= 0 else f"{_scaled(value, ('', 'k', 'M', 'G', 'T', 'P', 'E'))}FLOP"


def count(value: float) -> str:
    """A number of things that may run into millions.

    Example:
        >>> [count(value) for value in (0, 384, 9731, 38400, 22713216)]
        ['0', '384', '9.7 k', '38 k', '23 M']
    """
    return _scaled(value, ("", "k", "M", "G", "T")).rstrip()


def mebibytes(value: float) -> str:
    """An amount of memory or disk given in MiB.

    Example:
        >>> [mebibytes(value) for value in (0, 0.04, 86.7, 812, 1843)]
        ['0 MiB', '0.04 MiB', '87 MiB', '812 MiB', '1.8 GiB']
    """
    if value >= 1024:
        return f"{_two_digits(value / 1024)} GiB"
    return f"{_two_digits(value)} MiB" if value >= 0.095 else f"{value:.1g} MiB"


def whole(value: int) -> str:
    """A whole number, with thousands separated from five digits on.

    Example:
        >>> whole(5200), whole(12000)
        ('5200', '12,000')
    """
    return f"{value:,}" if abs(value) >= 10_000 else str(value)


def probability(value: float) -> str:
    """A p-value.

    Example:
        >>> probability(0.00002), probability(0.0312), probability(1.0)
        ('< 0.001', '0.031', '1.000')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def training_time(ratio: float, whose: str = "the") -> str:
    """A ratio of two training times as a phrase that ends in "training time".

    Example:
        >>> training_time(0.1), training_time(12.3, "its"), training_time(1.1)
        ('a tenth of the training time', '12 times its training time', 'about the same training time')
        >>> training_time(0.0001), training_time(1.54)
        ('less than a thousandth of the training time', '1.5 times the training time')
    """
    if 0.8 <= ratio <= 1.25:
        return "about the same training time"
    if ratio > 1.25:
        return f"{_two_digits(ratio) if ratio < 100 else whole(round(ratio / 10) * 10)} times {whose} training time"
    name, near = min(_SHARES.items(), key=lambda item: abs(log(item[1] / max(ratio, 1e-9))))
    words = f"less than {name}" if ratio < 0.7 * near else name
    return f"{words} of {whose} training time"


_SHARES = {
    "three quarters": 0.75, "two thirds": 2 / 3, "half": 0.5, "a third": 1 / 3, "a quarter": 0.25, "a fifth": 0.2,
    "a sixth": 1 / 6, "an eighth": 0.125, "a tenth": 0.1, "a fifteenth": 1 / 15, "a twentieth": 0.05,
    "a thirtieth": 1 / 30, "a fiftieth": 0.02, "a hundredth": 0.01, "a two-hundredth": 0.005,
    "a five-hundredth": 0.002, "a thousandth": 0.001,
}  # fmt: skip


def _two_digits(value: float) -> str:
    """Two significant digits, never an exponent; whole numbers from 10 on."""
    return f"{value:.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def _scaled(value: float, prefixes: tuple[str, ...]) -> str:
    for prefix in prefixes[:-1]:
        if value < 999.5:
            return f"{value:.0f} {prefix}" if not prefix else f"{_two_digits(value)} {prefix}"
        value /= 1000
    return f"{_two_digits(value)} {prefixes[-1]}"
