"""What a person may ask next about an advice, in words that the conversation understands."""

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.conversation.wording import METHODS


def follow_ups(advice: Advice) -> tuple[str, ...]:
    """Two or three questions, of those that the advice has an answer to.

    Example:
        >>> from hf_transfer_kit.advisor.rules import advise
        >>> follow_ups(advise("5k tweets, 3 classes, one T4"))
        ('Why not full fine-tuning?', 'What if I had 20,000 labels?', 'Show the plan')
    """
    other = "features" if advice.method == "full" else "full"
    labels = _other_number_of_labels(advice)
    return (
        f"Why not {METHODS[other]}?",
        *([] if labels is None else [f"What if I had {labels:,} labels?"]),
        *([] if advice.plan is None else ["Show the plan"]),
    )


def _other_number_of_labels(advice: Advice) -> int | None:
    """A number well past the one where the method changes: with more labels, else with fewer; None: it never does."""
    known = advice.facts.labels or 0
    values = sorted(each.value for each in advice.flips if each.fact == "n_labelled" and each.value)
    more = [value for value in values if value > known]
    if more:
        return 2 * round(more[0], -1)
    return values[-1] // 2 if values else None
