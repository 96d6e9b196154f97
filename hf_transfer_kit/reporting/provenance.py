"""How a comparison was measured, in words: what a reader needs to trust or repeat it. Imports no torch."""

from collections.abc import Mapping

from hf_transfer_kit.comparison.old_result import OldDataSummary
from hf_transfer_kit.comparison.result import Comparison, Measurement
from hf_transfer_kit.reporting.quantities import whole

MOST_LABELS = 12  # label names that are listed
P_VALUES = (
    "exact McNemar test against the most accurate arm, one per seed, combined as twice their median (Meinshausen, "
    "Meier and Bühlmann 2009), Holm-corrected over the arms."
)
CROSSOVER = (
    "the number of labels from which on the best fine-tuned arm stays ahead of the best prompted one, up to the most "
    "that were measured; between two measured numbers straight over log labels; taken on every resample. An arm that "
    "uses fewer labels than there are stays as it is. Labels are those an arm looked at, validation included."
)
DIGEST = 12  # hexadecimal digits of a hash that are shown


def how_measured(comparison: Comparison) -> list[tuple[str, str]]:
    """Pairs of what and how, in reading order.

    Example:
        >>> [term for term, text in how_measured(comparison)]  # doctest: +SKIP
        ['Data', 'Labels', 'Split', 'Seeds', 'Training', 'Intervals', 'p-values', ...]
    """
    measured = comparison.measurement
    pairs = [
        ("Data", _data(comparison)),
        ("Labels", _labels(comparison.data.label_names)),
        ("Old data", _old_data(comparison.old_data)),
        ("Split", _split(comparison)),
        ("Seeds", _seeds(comparison)),
        ("Training", _training(comparison)),
        ("Intervals", _intervals(measured)),
        ("p-values", P_VALUES),
        ("Forgetting", _forgetting(comparison.old_data)),
        ("Calibration", _calibration(measured)),
        ("Crossover", CROSSOVER if comparison.crossover else ""),
        ("Payback", _payback(comparison)),
        ("Choices", _choices(comparison)),
        *(("Model", _model(model.name, model.revision, model.weights_digest)) for model in comparison.models),
        ("Hashes", _hashes(comparison.data.hashes)),
        ("Old hashes", _hashes(comparison.old_data.hashes if comparison.old_data else {})),
        ("Versions", ", ".join(f"{name} {version}" for name, version in measured.versions.items())),
        ("Machine", ", ".join(f"{name}: {value}" for name, value in measured.machine.items())),
    ]
    return [(term, text) for term, text in pairs if text]


def _intervals(measured: Measurement) -> str:
    return (
        f"{measured.level:.0%} intervals from {whole(measured.resamples)} paired bootstrap resamples of test items "
        "and seeds; exact binomial bounds where every answer is right or every one wrong. With few seeds they are "
        "a little narrow."
    )


def _payback(comparison: Comparison) -> str:
    payback, price = comparison.payback, comparison.measurement.dollars_per_hour
    if payback is None:
        return ""
    machine = f"; this machine at ${price:g} per hour" if price is not None else ""
    return (
        f"in {payback.unit}{machine}: what the fine-tuned arm costs more before its first prediction than the best "
        "prompt, divided by what it saves on each prediction. Labels have no price in it."
    )


def _choices(comparison: Comparison) -> str:
    prompts = ", prompts" if any(arm.is_prompted for arm in comparison.arms) else ""
    return (
        f"layers, epochs{prompts} and temperatures were chosen on training and validation rows; test rows were read "
        "once."
    )


def _calibration(measured: Measurement) -> str:
    return (
        f"expected calibration error in {measured.calibration_bins} bins; one temperature per run, fitted on "
        "validation (Guo et al. 2017)."
    )


def _data(comparison: Comparison) -> str:
    data = comparison.data
    details = [
        f"configuration {data.config}" if data.config else "",
        f"revision {data.revision}" if data.revision else "",
    ]
    return ", ".join([data.path, *filter(None, details), data.task.replace("-", " ")])


def _old_data(data: OldDataSummary | None) -> str:
    if data is None:
        return ""
    details = [
        f"configuration {data.config}" if data.config else "",
        f"revision {data.revision}" if data.revision else "",
        f"{whole(data.items)} {'test items' if data.label_names else 'texts'}",
    ]
    labels = f"labels {_labels(data.label_names)}" if data.label_names else "without labels"
    return ", ".join([data.path, *filter(None, details), labels])


def _forgetting(data: OldDataSummary | None) -> str:
    if data is None:
        return ""
    if not data.label_names:
        return (
            "the old texts are read by the model that every arm starts from and by each arm; intervals of the change "
            "by bootstrap over texts and seeds."
        )
    return (
        "old test items are answered by the model that every arm starts from, which has learned the old data, and by "
        "each arm; accuracy before minus accuracy after. The recommendation goes by the mean of new and old "
        "accuracy. Resamples draw new and old items apart and seeds together. Learning the old data, once for all "
        "arms, is not in their costs."
    )


def _hashes(hashes: Mapping[str, str]) -> str:
    return ", ".join(f"{part} {digest[:DIGEST]}" for part, digest in hashes.items())


def _labels(names: tuple[str, ...]) -> str:
    more = f" and {whole(len(names) - MOST_LABELS)} more" if len(names) > MOST_LABELS else ""
    return f"{whole(len(names))}: {', '.join(names[:MOST_LABELS])}{more}"


def _split(comparison: Comparison) -> str:
    rows, measured = comparison.data.rows, comparison.measurement
    counts = ", ".join(f"{whole(rows[part])} {part}" for part in ("train", "validation", "test") if part in rows)
    return (
        f"{counts} rows. Where the data has no such part of its own, {measured.validation_share:.0%} validation and "
        f"{measured.test_share:.0%} test were split off, stratified, with seed {measured.split_seed}."
    )


def _seeds(comparison: Comparison) -> str:
    seeds = sorted({seed for arm in comparison.arms for seed in arm.seeds})
    return (
        f"{', '.join(map(str, seeds))}: each sets the start of the weights, the order and the subset of the examples."
    )


def _training(comparison: Comparison) -> str:
    training = comparison.measurement.training
    return (
        f"at most {training.epochs} epochs of batches of {training.batch_size}, stopped after {training.patience} "
        f"evaluations on validation without improvement; AdamW, weight decay {training.weight_decay:g}, rates rise "
        f"over the first {training.warmup_share:.0%} of the steps; precision {training.precision}."
    )


def _model(name: str, revision: str | None, digest: str | None) -> str:
    details = [f"revision {revision[:DIGEST]}" if revision else "", f"weights {digest[:DIGEST]}" if digest else ""]
    return ", ".join([name, *filter(None, details)])
