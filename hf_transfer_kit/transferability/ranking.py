"""`rank`: every layer of every candidate on one's own training rows, before anything is trained.

    from hf_transfer_kit.transferability.ranking import rank

    ranking = rank(DataSpec(path="reviews.csv"), [ModelSpec(name="distilbert-base-uncased"), ...])
    print(ranking.sentence)

One pass through each candidate and one through its random copy, cached; four estimators on every layer (ridge and
nearest neighbours leave-one-out, shrunk H-score, LogME). The mean of their ranks chooses each model's layer and orders
the models; intervals of accuracy, paired over rows, say which of them are level. Labels of validation and test rows
are never used. Exact copies among the training rows are looked at once.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from hf_transfer_kit.comparison.estimate import accuracy_of
from hf_transfer_kit.data.labelled import LabelledData, load_data
from hf_transfer_kit.errors import ModelError, PlanError, TransferKitError
from hf_transfer_kit.machine import library_versions, this_machine
from hf_transfer_kit.metrics import bootstrap_accuracies
from hf_transfer_kit.models import identity
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.probe import ridge_leave_one_out
from hf_transfer_kit.transferability.candidate_features import RankedRows, candidate_features
from hf_transfer_kit.transferability.leakage import leaked_test_rows
from hf_transfer_kit.transferability.learning_curve import LearningCurve, learning_curve
from hf_transfer_kit.transferability.measured import MeasuredModel, compare_candidates, score_model
from hf_transfer_kit.transferability.rank_aggregation import agreement
from hf_transfer_kit.transferability.result import Control, FailedCandidate, Ranking
from hf_transfer_kit.transferability.row_choice import FEWEST, training_rows
from hf_transfer_kit.transferability.verdict import decide

MAX_ROWS = 1000  # the order of candidates hardly changes beyond

# What models that load but do not run raise; the run goes on with the others.
BROKEN = (TransferKitError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, OSError, MemoryError)

OnProgress = Callable[[str, int, int], None]


def rank(
    data: DataSpec | LabelledData,
    models: Sequence[ModelSpec],
    *,
    max_rows: int = MAX_ROWS,
    max_length: int = 128,
    random_copies: bool = True,
    look_for_leaks: bool = True,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Ranking:
    """The candidates in order, with controls, uncertainty, and one of them advised.

    Args:
        data: what to load (its `train_size` and `max_length` hold), or data that is loaded already.
        models: candidates; one that cannot be measured is reported in `failures`.
        max_rows: training rows to look at, a stratified draw.
        max_length: longest text in tokens, where `data` does not say.
        random_copies: pass the rows through a random copy of each candidate too, which doubles the time.
        look_for_leaks: compare test inputs with training inputs.
        on_progress: called with (what goes on, done, total).

    Raises:
        DataError: the data cannot be read, or there is nothing to tell: fewer than 8 different training rows, one
            class alone, or one row of each class.
        PlanError: no models, or `max_rows` is below 8.
        ModelError: no candidate could be measured.

    Example:
        >>> ranking = rank(DataSpec(path="reviews.csv"), [ModelSpec(name="distilbert-base-uncased")])
        >>> ranking.advised, ranking.candidates[0].layer
        ('distilbert-base-uncased', '5')
    """
    started = time.perf_counter()
    if not models:
        raise PlanError("no models to rank; name one or more, --models A,B.")
    if max_rows < FEWEST:
        raise PlanError(f"max_rows={max_rows} is too few to tell anything; use {FEWEST} or more, 1000 is usual.")
    say = on_progress or (lambda what, done, total: None)
    say("reading the data", 0, 0)
    loaded = load_data(data) if isinstance(data, DataSpec) else data
    rows = training_rows(loaded, data, max_rows, max_length, seed)
    leaked = None
    if look_for_leaks:
        say("looking for copies", 0, 0)
        leaked = leaked_test_rows(loaded)
    shallow = _shallow_hits(rows)
    measured, failures = _measure_all(rows, tuple(dict.fromkeys(models)), seed if random_copies else None, say)
    if not measured:
        raise ModelError("no candidate could be measured: " + " ".join(each.message for each in failures))
    candidates = compare_candidates(measured, shallow, seed)
    controls = _controls(rows, shallow, seed)
    agreed = agreement([each.scored.chosen.values for each in measured])
    verdict = decide(candidates, controls, agreed, leaked, rows.alone)
    say("learning curve", 0, 0)
    return Ranking(
        data=data.path if isinstance(data, DataSpec) else data.origins["train"],
        rows=len(rows.labels),
        classes=rows.n_classes,
        candidates=candidates,
        controls=controls,
        failures=failures,
        agreement=agreed,
        advised=verdict.advised,
        sentence=verdict.sentence,
        cautions=verdict.cautions,
        curve=_curve(rows, measured, verdict.advised or candidates[0].model.name, seed),
        leaked_test_rows=leaked,
        seconds=time.perf_counter() - started,
        versions=library_versions(),
        machine=this_machine(),
    )


def _shallow_hits(rows: RankedRows) -> np.ndarray:
    """(rows,) bool: leave-one-out answers of ridge on TF-IDF or raw pixels."""
    features, _ = rows.task.shallow_features(rows.inputs, None)
    return ridge_leave_one_out(features, rows.labels, rows.n_classes).hits


def _measure_all(
    rows: RankedRows, models: Sequence[ModelSpec], random_seed: int | None, say: OnProgress
) -> tuple[list[MeasuredModel], tuple[FailedCandidate, ...]]:
    measured, failures = [], []
    for number, model in enumerate(models, start=1):
        what = f"{short_model_name(model.name)} ({number} of {len(models)})"
        say(what, 0, 0)
        try:
            features, random = candidate_features(rows, model, random_seed=random_seed, on_progress=partial(say, what))
            measured.append(
                MeasuredModel(
                    model=identity(model),
                    features=features,
                    scored=score_model(features, rows.labels, rows.n_classes),
                    random=None if random is None else score_model(random, rows.labels, rows.n_classes),
                )
            )
        except BROKEN as error:
            known = isinstance(error, TransferKitError)
            message = str(error) if known else f"model '{model.name}' does not run ({type(error).__name__}: {error})."
            failures.append(FailedCandidate(model=model.name, message=message))
    return measured, tuple(failures)


def _controls(rows: RankedRows, shallow: np.ndarray, seed: int) -> tuple[Control, ...]:
    """The majority class and the shallow control."""
    hits = {"majority": rows.labels == np.bincount(rows.labels).argmax(), rows.task.shallow_name: shallow}
    samples = bootstrap_accuracies([each[None] for each in hits.values()], seed=seed)
    return tuple(
        Control(name=name, accuracy=accuracy_of(each[None], drawn))
        for (name, each), drawn in zip(hits.items(), samples, strict=True)
    )


def _curve(rows: RankedRows, measured: Sequence[MeasuredModel], name: str, seed: int) -> LearningCurve | None:
    shown = next(each for each in measured if each.model.name == name)
    return learning_curve(shown.features.named(shown.scored.best), rows.labels, rows.n_classes, seed)
