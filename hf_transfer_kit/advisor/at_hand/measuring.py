"""What to measure for an advice, and what the ranking then says of the facts that the rules ask for.

How like the pre-training data the data are: the upper layers of a network are those made for its old task (Yosinski et
al. 2014, arXiv:1411.1792), so the further up the frozen features still serve, the nearer the two.
"""

from typing import TYPE_CHECKING

from hf_transfer_kit.advisor.deciding.decision import Decision
from hf_transfer_kit.advisor.evidence import Evidence, Measured
from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.plan import DataSpec, ModelSpec
from hf_transfer_kit.transferability.result import Candidate, Control, Ranking

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData

ROWS, ROWS_OF_A_CLASS, MOST_ROWS = 1000, 20, 3000  # with fewer of a class, features look worse than they are
MOST_CANDIDATES = 3
SENTENCES = {"text": "sentence-transformers/all-MiniLM-L6-v2"}  # small, and made for frozen use: a candidate always
NOTHING_TO_GAIN = 0.98  # accuracy of frozen features from which no method can gain two points
MUCH_TO_GAIN = 0.95  # accuracy below which a method may gain five points
STRONG = 0.5  # share of the simplest control's errors that features leave, where the data are called the same


def candidates_of(decision: Decision, language: str | None) -> tuple[str, ...]:
    """Names of the models to measure: the first that the rules name, and one made for frozen use."""
    names = [each.hub_id for each in decision.models if each.kit and each.hub_id is not None][:MOST_CANDIDATES]
    modality = decision.situation.modality or ""
    english = [SENTENCES[modality]] if modality in SENTENCES and language in (None, "en") else []
    return tuple(dict.fromkeys([*names, *english]))


def rows_to_measure(classes: int) -> int:
    """Training rows to measure on: 1000, or 20 of each class if that is more, up to 3000.

    Example:
        >>> rows_to_measure(12), rows_to_measure(77), rows_to_measure(1000)
        (1000, 1540, 3000)
    """
    return min(max(ROWS, ROWS_OF_A_CLASS * classes), MOST_ROWS)


def evidence_on(
    ranking: Ranking, data: "LabelledData", spec: DataSpec, *, max_rows: int, seed: int = 0
) -> Evidence:  # fmt: skip
    """What a ranking means for the advice, once its first choice has answered validation rows, too.

    Args:
        data: what was ranked on, loaded from `spec`.
        max_rows, seed: as of the ranking, whose features are used again.

    Raises:
        ModelError: that model cannot be loaded any more.
    """
    from hf_transfer_kit.transferability.held_out import held_out_accuracy

    first = ranking.first_choice
    model = ModelSpec(name=first.model.name)
    return evidence_of(ranking, held_out_accuracy(data, spec, model, first.layer, max_rows=max_rows, seed=seed))


def evidence_of(ranking: Ranking, held_out: Estimate | None = None) -> Evidence:
    """What a ranking means for the advice.

    Args:
        held_out: accuracy of the first choice on validation rows (see `transferability.held_out`).
    """
    first = ranking.first_choice
    best = None if ranking.advised is None else first
    validation = None if held_out is None else _control(Control(name="validation", accuracy=held_out))
    return Evidence(
        data=ranking.data, rows=ranking.rows, frozen=_frozen(best, held_out), model=first.model.name,
        similarity=_similarity(best, ranking.controls[-1]), sentence=ranking.sentence,
        candidates=tuple(_measured(each) for each in ranking.candidates), held_out=validation,
        controls=tuple(_control(each) for each in ranking.controls),
        cautions=(*ranking.cautions, *_relatives(first, held_out)),
        failures=tuple(each.message for each in ranking.failures),
    )  # fmt: skip


def _relatives(best: Candidate, held_out: Estimate | None) -> list[str]:
    if held_out is None or held_out.high >= best.accuracy.low:
        return []
    return [
        f"On validation rows the same layer reaches {held_out.value:.3f} ({held_out.low:.3f} to {held_out.high:.3f}), "
        "less than training rows say of each other: they come in groups, or validation is harder. Trust validation."
    ]


def _frozen(best: Candidate | None, held_out: Estimate | None) -> str:
    if best is None:
        return "no_better"
    if best.unclear:
        return "unclear"
    measured = [best.accuracy, *([] if held_out is None else [held_out])]
    if min(each.low for each in measured) >= NOTHING_TO_GAIN:
        return "enough"
    return "falls_short" if min(each.high for each in measured) < MUCH_TO_GAIN else "helps"


def _similarity(best: Candidate | None, shallow: Control) -> str | None:
    """`different` where only lower layers serve, or none; `same` where the last one does, and errors are halved."""
    if best is not None and best.unclear:
        return None
    if best is None or best.negative_upper_layers:
        return "different"
    last_serves = best.last_layer >= best.accuracy.low
    strong = 1 - best.accuracy.value <= STRONG * (1 - shallow.accuracy.value)
    return "same" if last_serves and strong else "moderate"


def _measured(candidate: Candidate) -> Measured:
    return Measured(
        name=candidate.model.name, accuracy=candidate.accuracy.value, low=candidate.accuracy.low,
        high=candidate.accuracy.high, layer=candidate.layer, last_layer=candidate.last_layer, level=candidate.tied,
        negative_transfer=candidate.negative_transfer or candidate.negative_upper_layers,
    )  # fmt: skip


def _control(control: Control) -> Measured:
    estimate = control.accuracy
    return Measured(name=control.name, accuracy=estimate.value, low=estimate.low, high=estimate.high)
