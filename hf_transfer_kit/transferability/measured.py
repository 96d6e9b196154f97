"""What was measured of each candidate, put side by side: ranks, gains over the controls, order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_transfer_kit.comparison.estimate import Estimate, accuracy_of, estimate_of
from hf_transfer_kit.features import LayerFeatures
from hf_transfer_kit.measure import Meter
from hf_transfer_kit.metrics import bootstrap_accuracies
from hf_transfer_kit.records import ModelIdentity
from hf_transfer_kit.transferability.rank_aggregation import mean_ranks, ranks
from hf_transfer_kit.transferability.result import Candidate, LayerScores, PassPrice
from hf_transfer_kit.transferability.scores import ESTIMATORS, LayerEvidence, score_layer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredModel:
    """The estimators on every layer of one model.

    Fields:
        evidence: by name of the layer, bottom to top, "mean" last.
        best, last: names of the best layer by mean rank (then by squared error of ridge), and of the last one.
        seconds: processor time of the estimators.
    """

    evidence: dict[str, LayerEvidence]
    best: str
    last: str
    seconds: float

    @property
    def chosen(self) -> LayerEvidence:
        """Of the best layer."""
        return self.evidence[self.best]


def score_model(features: LayerFeatures, labels: np.ndarray, n_classes: int) -> ScoredModel:
    """The estimators on every layer of `features` and on their mean, given `labels`, (rows,), 0 to n_classes - 1."""
    with Meter() as meter:
        evidence = {name: score_layer(features.named(name), labels, n_classes) for name in features.names}
        order = mean_ranks([each.values for each in evidence.values()])
        errors = [each.ridge.squared_error for each in evidence.values()]
        best = min(range(len(order)), key=lambda at: (round(float(order[at]), 9), errors[at]))
    return ScoredModel(
        evidence=evidence, best=list(evidence)[best], last=str(len(features.layers) - 1), seconds=meter.cpu_seconds
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredModel:
    """One candidate: its model, what its pass cost, its scores and those of its random copy."""

    model: ModelIdentity
    features: LayerFeatures
    scored: ScoredModel
    random: ScoredModel | None

    @property
    def price(self) -> PassPrice:
        """What using it costs."""
        cost = self.features.cost
        return PassPrice(
            ms_per_row=1000 * cost.seconds / cost.rows,
            flops_per_row=cost.flops / cost.rows,
            parameters=cost.parameters,
            estimator_seconds=self.scored.seconds,
            cached=self.features.cached,
        )


def compare_candidates(
    measured: Sequence[MeasuredModel], shallow: np.ndarray | None, seed: int
) -> tuple[Candidate, ...]:
    """The candidates in order; all differences are paired over the training rows (bootstrap, 2000 resamples).

    Args:
        shallow: (rows,) bool, hits of the shallow control; None where there is none.
    """
    arms = [each.scored.chosen.ridge.hits for each in measured]
    arms += [each.scored.evidence[each.scored.last].ridge.hits for each in measured]
    arms += [each.random.chosen.ridge.hits for each in measured if each.random is not None]
    arms += [] if shallow is None else [shallow]
    samples = dict(zip(map(id, arms), bootstrap_accuracies([arm[None] for arm in arms], seed=seed), strict=True))

    def gain(hits: np.ndarray, rival: np.ndarray | None) -> Estimate | None:
        if rival is None:
            return None
        return estimate_of(float(hits.mean() - rival.mean()), samples[id(hits)] - samples[id(rival)])

    scores = [each.scored.chosen.values for each in measured]
    by_estimator, overall = ranks(scores), mean_ranks(scores)
    leader = max(arms[: len(measured)], key=lambda hits: float(hits.mean()))
    candidates = []
    for each, own_ranks, mean_rank in zip(measured, by_estimator, overall, strict=True):
        hits, last = each.scored.chosen.ridge.hits, each.scored.evidence[each.scored.last].ridge.hits
        candidates.append(
            Candidate(
                model=each.model,
                layers=_layer_scores(each.scored),
                layer=each.scored.best,
                accuracy=accuracy_of(hits[None], samples[id(hits)]),
                last_layer=float(last.mean()),
                ranks=dict(zip(ESTIMATORS, map(float, own_ranks), strict=True)),
                mean_rank=float(mean_rank),
                behind=None if hits is leader else gain(leader, hits),
                over_shallow=gain(hits, shallow),
                over_random=gain(hits, None if each.random is None else each.random.chosen.ridge.hits),
                last_layer_over_shallow=gain(last, shallow),
                price=each.price,
            )
        )
    return tuple(sorted(candidates, key=lambda each: (not each.tied, each.mean_rank, -each.accuracy.value)))


def _layer_scores(scored: ScoredModel) -> tuple[LayerScores, ...]:
    order = mean_ranks([each.values for each in scored.evidence.values()])
    return tuple(
        LayerScores(
            layer=name, width=each.width, mean_rank=float(mean_rank),
            **dict(zip(ESTIMATORS, each.values, strict=True)),
        )
        for (name, each), mean_rank in zip(scored.evidence.items(), order, strict=True)
    )  # fmt: skip
