"""LogME with fewer examples than dimensions: the score must be the maximal log evidence, and noise must not raise it.

The evidence is computed a second time from its definition, log N(y; 0, XX'/alpha + I/beta), by a determinant and a
search over alpha and beta. `measured` has the score and that number by shape of the features, and the scores with
columns of pure noise added. Tolerance: 0.01 nats per row, and no rise by noise.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from benchmarks.behaviours.outcome import Outcome, command

ROW = "LogME with fewer examples than dimensions"
SHAPES = {"more rows than columns": (300, 50), "fewer": (60, 200), "far fewer": (60, 400)}
NOISE = (0, 384, 1152)  # columns added to 40 that tell the classes apart, 150 rows
CLASSES, TOLERANCE = 3, 0.01

Score = Callable[[np.ndarray, np.ndarray], float]


def task(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, columns) of which some tell the classes apart, and class numbers."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % CLASSES
    features = random.normal(size=(rows, columns))
    features[:, :5] += 0.5 * random.normal(size=(CLASSES, 5))[labels]
    return features, labels


def evidence(features: np.ndarray, y: np.ndarray) -> float:
    """The largest log p(y) / n over alpha and beta, by the definition."""
    n = len(y)
    gram = features @ features.T
    best = -np.inf
    low, high = np.log(1e-6), np.log(1e8)
    for _ in range(4):  # ever finer grids around the best
        grid = np.linspace(low, high, 41)
        values = []
        for log_ratio in grid:  # alpha / beta; the best beta is then known
            covariance = gram / np.exp(log_ratio) + np.eye(n)
            beta = n / (y @ np.linalg.solve(covariance, y))
            values.append(0.5 * (np.log(beta / (2 * np.pi)) - np.linalg.slogdet(covariance)[1] / n - 1.0))
        top = int(np.argmax(values))
        best, width = max(best, values[top]), grid[1] - grid[0]
        low, high = grid[top] - width, grid[top] + width
    return float(best)


def by_definition(features: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes of the evidence of their one-hot columns."""
    return float(np.mean([evidence(features, (labels == each).astype(float)) for each in np.unique(labels)]))


def measure(score: Score, reference: Score) -> Outcome:
    """Score against reference by shape, and the scores as noise is added."""
    pairs = {name: (score(*task(*shape)), reference(*task(*shape))) for name, shape in SHAPES.items()}
    features, labels = task(150, 40)
    noise = np.random.default_rng(1).normal(size=(150, max(NOISE)))
    rising = [score(np.hstack([features, noise[:, :count]]), labels) for count in NOISE]
    error = max(abs(mine - true) for mine, true in pairs.values())
    holds = error <= TOLERANCE and all(later <= before for before, later in pairwise(rising))
    shown = ", ".join(f"{mine:.3f} for {true:.3f} ({name})" for name, (mine, true) in pairs.items())
    return Outcome(
        holds=holds,
        measured={
            "score_and_definition": {name: [round(each, 4) for each in pair] for name, pair in pairs.items()},
            "with_noise_columns": {str(n): round(value, 4) for n, value in zip(NOISE, rising, strict=True)},
        },
        says=f"{shown}; with {' / '.join(map(str, NOISE))} columns of noise "
        + " / ".join(f"{value:.2f}" for value in rising),
    )  # fmt: skip


def ours() -> Outcome:
    """Its definition has an intercept: features and labels within the space in which all rows sum to zero."""
    from hf_transfer_kit.eigen import decompose
    from hf_transfer_kit.transferability.log_me import log_me

    def reference(features: np.ndarray, labels: np.ndarray) -> float:
        n = len(labels)
        free = np.linalg.svd(np.ones((1, n)))[2][1:]  # (n - 1, n): rows that sum to zero
        columns = [free @ (labels == each).astype(float) for each in np.unique(labels)]
        return float(np.mean([evidence(free @ features, y) for y in columns]))

    return measure(lambda features, labels: log_me(decompose(features), labels, CLASSES), reference)


def transformer_ranker() -> Outcome:
    """The estimator that its `run(estimator="logme")` calls."""
    import torch
    from transformer_ranker.estimators import LogME

    def score(features: np.ndarray, labels: np.ndarray) -> float:
        return LogME().fit(torch.tensor(features), torch.tensor(labels))

    return measure(score, by_definition)


SIDES = {"ours": ours, "transformer-ranker": transformer_ranker}

if __name__ == "__main__":
    command(ROW, SIDES)
