"""Accuracy of a frozen layer on validation rows, which took no part in choosing it.

Leave-one-out answers trust that rows are drawn one by one. Where they come in groups (several wordings of one person,
frames of one film) a row's relatives answer for it, and leave-one-out looks better than new data will be.
"""

import numpy as np

from hf_transfer_kit.comparison.estimate import Estimate, accuracy_of
from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.metrics import bootstrap_accuracies
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.transferability.candidate_features import RankedRows, candidate_features
from hf_transfer_kit.transferability.row_choice import training_rows

FEWEST = 20  # validation rows that tell anything
ALPHAS = np.logspace(-2, 4, 13)


def held_out_accuracy(
    data: LabelledData, spec: DataSpec, model: ModelSpec, layer: str, *, max_rows: int, seed: int = 0
) -> Estimate | None:
    """Accuracy on at most `max_rows` validation rows of ridge fitted to the rows of a ranking; None: too few rows.

    Args:
        layer: name of the layer, as in `Candidate.layer`.
        max_rows, seed: as of the ranking, whose features are used again.

    Raises:
        ModelError: the model cannot be loaded, or gives broken numbers.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    if len(data.validation) < FEWEST:
        return None
    training = training_rows(data, spec, max_rows, spec.max_length, seed)
    names = np.unique(np.asarray(data.train["label"][:])[training.positions])  # of the class numbers in `training`
    positions = np.sort(np.random.default_rng(seed).permutation(len(data.validation))[:max_rows])
    part = data.validation.select(positions)
    rows = RankedRows(
        task=get_task(data.task), positions=positions, inputs=part["input"], labels=np.asarray(part["label"][:]),
        digest=data.hashes["validation"], max_length=spec.max_length,
    )  # fmt: skip
    ours, theirs = (candidate_features(each, model, random_seed=None)[0].named(layer) for each in (training, rows))
    scaler = StandardScaler().fit(ours)
    fitted = RidgeClassifierCV(alphas=ALPHAS).fit(scaler.transform(ours), names[training.labels])
    hits = (fitted.predict(scaler.transform(theirs)) == rows.labels)[None]
    return accuracy_of(hits, bootstrap_accuracies([hits], seed=seed)[0])
