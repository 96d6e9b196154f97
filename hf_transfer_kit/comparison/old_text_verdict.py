"""The verdict where what must not be forgotten are texts without labels.

They have no accuracy to average with that on the new task, so the new task comes first: of the arms level with the
best one there, those that lose least of the texts (their interval overlaps that of the least loss) are left, and among
them the one that trains fastest is the advice. Nothing is called lost where the interval includes zero. Imports no
torch.
"""

import dataclasses
from collections.abc import Sequence

from hf_transfer_kit.comparison.old_result import OldTextResult
from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.comparison.verdict import Verdict, decide, listed
from hf_transfer_kit.reporting.quantities import accuracy, points


def decide_with_texts(arms: Sequence[ArmResult], test_items: int) -> Verdict:
    """The verdict on `arms`, the most accurate first, of which some were measured on old texts."""
    plain = decide(arms, test_items)
    measured = [arm for arm in arms if arm.old_text]
    worst = max(measured, key=lambda arm: _text(arm).worse.value)
    forgetting = _text_sentence(worst)
    level = [arm for arm in measured if arm.name in plain.tied]
    if len(level) < 2 or any(arm.is_control for arm in arms if arm.name in plain.tied):
        return dataclasses.replace(plain, forgetting=forgetting)
    least = min(_text(arm).worse.high for arm in level)
    keeping = [arm for arm in level if _text(arm).worse.low <= least]
    chosen = min(keeping, key=lambda arm: arm.cost.train_seconds)
    if chosen is not worst:
        forgetting = f"{forgetting[:-1]}; {_text_sentence(chosen)}"
    most = "keeps most" if len(keeping) == 1 else "trains fastest of those that keep most"
    sentence = (
        f"{listed([arm.name for arm in level])} are level on the new task within the error; {chosen.name} {most} of "
        "the old texts: use it."
    )
    return Verdict(sentence=sentence, recommended=chosen.name, tied=plain.tied, forgetting=forgetting)


def _text(arm: ArmResult) -> OldTextResult:
    if arm.old_text is None:
        raise LookupError(f"{arm.name} was not measured on old texts")
    return arm.old_text


def _text_sentence(arm: ArmResult) -> str:
    """What became of the old texts in an arm."""
    text = _text(arm)
    if text.measure == "perplexity":
        what, before, after = "the perplexity of the old texts", f"{text.before:.2f}", f"{text.after:.2f}"
        change, verb = f"{text.worse.low:.2f} to {text.worse.high:.2f}", "raises"
    else:
        what, before, after = "what a probe reads from the old texts", accuracy(text.before), accuracy(text.after)
        change, verb = f"{points(text.worse.low)} to {points(text.worse.high)} points", "lowers"
    if not text.worse.above_zero:
        return f"{arm.name} keeps {what} as it was within the error ({before} → {after}, 95% interval {change} worse)."
    return f"{arm.name} {verb} {what} ({before} → {after}, 95% interval of the change {change})."
