"""What the arms of a comparison have forgotten of the old data, with intervals.

Answers: one paired bootstrap over old test items and seeds. Old items are drawn apart from the new ones, seeds
together with them, so that the mean of new and old accuracy knows when the runs that learn more forget more. Texts
without labels: bootstrap over texts and seeds. Imports no torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_transfer_kit import metrics
from hf_transfer_kit.comparison.arms import Arm
from hf_transfer_kit.comparison.estimate import RESAMPLES, Correct, Estimate, Samples, accuracy_of, estimate_of
from hf_transfer_kit.comparison.old_result import OldDataSummary, OldResult, OldTextResult
from hf_transfer_kit.records import OldSkill, OldText, RunRecord

_ANSWERS = ("before", "after", "before_among_old", "after_among_old")  # of OldSkill
_DRAWS = 4_000_000  # resampled texts held at once: 32 MB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OldAnswers:
    """The answers of the arms that know the old task.

    Fields:
        names: of those arms.
        correct: of each, right answers before and after, among all labels and among the old ones: four times
            (seeds, items).
        samples: accuracies on resamples, (arms, 4, resamples).
    """

    names: tuple[str, ...]
    correct: tuple[tuple[Correct, ...], ...]
    samples: Samples

    @classmethod
    def of(cls, arms: Sequence[Arm]) -> "OldAnswers":
        """Those of `arms`, which have names of their own; the arms that never knew the old task are left out."""
        known = [(arm.name, skills) for arm in arms if (skills := _skills(arm))]
        correct = tuple(_correct(skills) for _, skills in known)
        return cls(names=tuple(name for name, _ in known), correct=correct, samples=_bootstrap(correct))

    def results(
        self, names: Sequence[str], accuracies: npt.NDArray[np.float64], new_samples: Samples
    ) -> dict[str, OldResult]:
        """What each arm still knows, by its name.

        Args:
            names: of all arms, also those that never knew the old task.
            accuracies: theirs on the new test items.
            new_samples: the same on resamples of `metrics.bootstrap_accuracies` with seed 0, (arms, resamples).
        """
        if not self.names:
            return {}
        at = [names.index(name) for name in self.names]
        averages = [(accuracies[i] + of_arm[1].mean()) / 2 for i, of_arm in zip(at, self.correct, strict=True)]
        samples = (new_samples[at] + self.samples[:, 1]) / 2
        best = int(np.argmax(averages))
        results = {}
        for i, name in enumerate(self.names):
            behind = estimate_of(float(averages[best] - averages[i]), samples[best] - samples[i])
            results[name] = _old_result(
                self.correct[i], self.samples[i], estimate_of(float(averages[i]), samples[i]),
                behind if i != best else None,
            )  # fmt: skip
        return results

    def gap(self, first: str, second: str) -> Estimate:
        """How much more of the old items arm `first` still gets right than arm `second`."""
        i, k = self.names.index(first), self.names.index(second)
        value = float(self.correct[i][1].mean() - self.correct[k][1].mean())
        return estimate_of(value, self.samples[i, 1] - self.samples[k, 1])


def _skills(arm: Arm) -> list[OldSkill]:
    """Of each of its runs; empty where one has none."""
    skills = [record.old for record in arm.records if record.old is not None]
    return skills if len(skills) == len(arm.records) else []


def _correct(skills: Sequence[OldSkill]) -> tuple[Correct, ...]:
    """Right answers, as `OldAnswers` holds them."""
    return tuple(np.array([np.equal(getattr(skill, name), skill.labels) for skill in skills]) for name in _ANSWERS)


def _bootstrap(correct: Sequence[tuple[Correct, ...]]) -> Samples:
    """Accuracies on resamples, (arms, 4, resamples).

    The seed of the new items' bootstrap draws the same seeds. It would draw the same places too, so the old items are
    put in an order of their own: a draw of new items then says nothing about that of old ones.
    """
    if not correct:
        return np.empty((0, len(_ANSWERS), RESAMPLES))
    order = np.random.default_rng(1).permutation(correct[0][0].shape[1])
    rows = [answers[:, order] for of_arm in correct for answers in of_arm]
    drawn = metrics.bootstrap_accuracies(rows, n_resamples=RESAMPLES, seed=0)
    return drawn.reshape(len(correct), len(_ANSWERS), RESAMPLES)


def _old_result(
    correct: tuple[Correct, ...], samples: Samples, average: Estimate, behind_best_average: Estimate | None
) -> OldResult:
    """Of one arm, from its answers and their accuracies on resamples, (4, resamples)."""
    before, after, before_among, after_among = (float(answers.mean()) for answers in correct)
    lost, lost_among = samples[0] - samples[1], samples[2] - samples[3]
    among = before_among - after_among
    return OldResult(
        before=accuracy_of(correct[0], samples[0]),
        after=accuracy_of(correct[1], samples[1]),
        after_by_seed=tuple(correct[1].mean(axis=1).tolist()),
        before_among_old=before_among,
        after_among_old=after_among,
        forgetting=estimate_of(before - after, lost),
        forgetting_among_old=estimate_of(among, lost_among),
        forgetting_by_head=estimate_of(before - after - among, lost - lost_among),
        average=average,
        behind_best_average=behind_best_average,
    )


def old_text_result(arm: Arm) -> OldTextResult | None:
    """What an arm still makes of the old texts; None where it was not measured."""
    texts = [record.old_text for record in arm.records if record.old_text is not None]
    if not texts or len(texts) < len(arm.records):
        return None
    values = np.array([[text.before, text.after] for text in texts])  # (seeds, 2, texts)
    perplexity = texts[0].measure == "perplexity"
    scores = values.mean(axis=2)  # (seeds, 2)
    samples = _bootstrap_texts(values)  # (resamples, seeds, 2)
    if perplexity:
        scores, samples = np.exp(scores), np.exp(samples)
    seeds = np.random.default_rng(2).integers(len(texts), size=(RESAMPLES, len(texts)))
    drawn = np.take_along_axis(samples, seeds[:, :, None], axis=1).mean(axis=1)  # (resamples, 2)
    before, after = (float(score) for score in scores.mean(axis=0))
    sign = 1 if perplexity else -1
    return OldTextResult(
        measure=texts[0].measure,
        before=before,
        after=after,
        after_by_seed=tuple(scores[:, 1].tolist()),
        worse=estimate_of(sign * (after - before), sign * (drawn[:, 1] - drawn[:, 0])),
    )


def _bootstrap_texts(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means over resampled texts, (resamples, seeds, 2)."""
    seeds, sides, texts = values.shape
    source, rows = np.random.default_rng(3), values.reshape(seeds * sides, texts)
    step = max(_DRAWS // texts, 1)
    means = [
        source.multinomial(texts, np.full(texts, 1 / texts), size=min(step, RESAMPLES - start)) @ rows.T / texts
        for start in range(0, RESAMPLES, step)
    ]
    return np.concatenate(means).reshape(RESAMPLES, seeds, sides)


def old_data_summary(records: Sequence[RunRecord]) -> OldDataSummary | None:
    """Of the old data that the first record with some names; None where none has."""
    for record in records:
        data = record.plan.old_data
        measured: OldSkill | OldText | None = record.old or record.old_text
        if data is None or measured is None:
            continue
        if isinstance(measured, OldText):
            names: tuple[str, ...] = ()
            items, hashes = len(measured.after), {"texts": measured.digest}
        else:
            names = tuple(record.label_names[label] for label in measured.old_labels)
            items, hashes = len(measured.labels), measured.data.hashes
        return OldDataSummary(
            path=data.path, config=data.config, revision=data.revision, label_names=names, items=items, hashes=hashes
        )
    return None
