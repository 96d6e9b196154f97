"""Where the numbers of the table stand in the records of the benchmarks. KeyError: not there."""

from collections.abc import Mapping
from statistics import median

from benchmarks.speed.row import Record


def middle_ratio(times: Mapping[str, list[float]], one: str, other: str) -> float:
    """The middle time of `one` divided by that of `other`."""
    return median(times[one]) / median(times[other])


def seconds_of(record: Record, name: str) -> float:
    """The middle CPU seconds of a side of a benchmark against the Trainer."""
    return median(record["times"][name]["cpu_seconds"])


def behind(record: Record, epochs: int) -> float:
    """Points of test accuracy that `features` is behind the Trainer."""
    trained, ours = (
        record["times"][name]["test_accuracy"][0] for name in (f"Trainer, {epochs} epochs", "features, first run")
    )
    return round(100 * (trained - ours), 6)


def worst_memory(record: Record, model: str) -> float:
    """The largest difference between estimate and peak, either way, over the four approaches."""
    found = [abs(each["difference"]) for each in record["results"] if model in each["model"].lower()]
    if not found:
        raise KeyError(model)
    return max(found)


def growth(record: Record) -> float:
    """How much the server's memory grows from 10,000 events of a job to 100,000."""
    mib = record["server_mib"]
    return mib["100000_events"] / mib["10000_events"] - 1


def share_of_step(record: Record, kind: str) -> float:
    """What a step that trains `kind` takes of a step that trains everything."""
    return middle_ratio(record["cpu_seconds"], kind, "everything, no callback")
