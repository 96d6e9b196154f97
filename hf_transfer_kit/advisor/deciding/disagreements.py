"""Where a measurement disagrees with the rules; it is followed, and said so."""

from hf_transfer_kit.advisor.conversation.wording import METHODS
from hf_transfer_kit.advisor.deciding.decision import Decision
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.facts import TaskFacts


def disagreements(told: TaskFacts, by_rules: Decision, followed: Decision, evidence: Evidence) -> list[str]:
    """A sentence for each difference between what the rules alone decide on `told` and what is advised.

    Args:
        by_rules: without the measurement; followed: with it.
    """
    lines = []
    if by_rules.method != followed.method:
        lines.append(
            f"The rules alone advise {METHODS[by_rules.method]}; what was measured speaks for "
            f"{METHODS[followed.method]}, which is followed."
        )
    if told.base_model is not None and evidence.model != told.base_model:
        lines.append(f"The plan starts from {told.base_model}, as you wish; measured: {evidence.sentence}")
    elif by_rules.models[0].name != followed.models[0].name:
        first = by_rules.models[0]
        unknown = "" if first.hub_id in {each.name for each in evidence.candidates} else ", which was not measured"
        lines.append(f"The rules alone start from {first.name}{unknown}; measured: {evidence.sentence}")
    if told.similarity in ("same", "moderate") and evidence.frozen == "no_better":
        lines.append("The data were said to be near to the pre-training data; measured, no frozen features serve.")
    return lines
