"""What differs between the data of two runs, in plain words: why they cannot be compared. Imports no torch."""

from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.values import to_mapping

PARTS = ("train", "validation", "test")
NAMES = {
    "path": "data", "config": "configuration", "revision": "revision", "input_column": "input column",
    "label_column": "label column", "validation_share": "share for validation", "test_share": "share for the test",
    "split_seed": "seed of the split", "drop_empty": "leaving out empty rows", "drop_rare": "leaving out rare classes",
}  # fmt: skip
MOST_LABELS = 3


def split_of(record: RunRecord) -> tuple[object, ...]:
    """Equal for runs that learned from the same rows and answered the same items.

    Runs of different training sizes share it: the rows are hashed before a subset is drawn.
    """
    return (record.task, record.label_names, tuple(sorted(record.data.hashes.items())))


def data_differences(first: RunRecord, other: RunRecord) -> list[str]:
    """What the two runs do not share of task, labels, rows and the settings of the split; [] where nothing differs.

    Only the last part of a path is named.

    Example:
        >>> data_differences(one, other)  # doctest: +SKIP
        ['the test rows differ: 154 and 200', 'share for the test: 0.2 and 0.26']
    """
    if first.task != other.task:
        return [f"the tasks: {first.task} and {other.task}"]
    found = []
    if first.label_names != other.label_names:
        only = sorted(set(first.label_names) ^ set(other.label_names))
        more = f" and {len(only) - MOST_LABELS} more" if len(only) > MOST_LABELS else ""
        found.append(
            f"the labels: only one has {', '.join(only[:MOST_LABELS])}{more}" if only else "the order of the labels"
        )
    parts = [part for part in PARTS if first.data.hashes.get(part) != other.data.hashes.get(part)]
    if parts:
        rows = [f"{part} ({first.data.rows[part]} and {other.data.rows[part]} rows)" for part in parts]
        found.append(f"the content of {', '.join(rows)}")
        settings = _settings(first.plan.data, other.plan.data)
        found += settings or ["the settings are the same, so the data itself has changed between the runs"]
    return found


def _settings(first: DataSpec, other: DataSpec) -> list[str]:
    ours, theirs = to_mapping(first), to_mapping(other)
    return [
        f"{name}: {_shown(key, ours[key])} and {_shown(key, theirs[key])}"
        for key, name in NAMES.items()
        if ours[key] != theirs[key]
    ]


def _shown(key: str, value: object) -> str:
    if key == "path":
        return str(value).rstrip("/").rpartition("/")[2]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not given" if value is None else str(value)
