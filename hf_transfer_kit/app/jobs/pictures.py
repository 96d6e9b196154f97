"""The curves of a training: loss, accuracy, what is still known of older data, and which blocks train when."""

import math
from collections.abc import Sequence
from itertools import pairwise

from hf_transfer_kit.app.jobs.feed import Glance
from hf_transfer_kit.app.jobs.panel import COLOURS, Band, Line, panel
from hf_transfer_kit.app.jobs.told import Phase
from hf_transfer_kit.app.markup import card
from hf_transfer_kit.reporting.quantities import count

TRAINING, VALIDATION, *OLDER = COLOURS
_OLD, _LOSS, _ACCURACY = "old_", "_loss", "_accuracy"


def training_pictures(glance: Glance) -> str:
    """Loss and accuracy over the steps, as HTML; what will be there before there is anything to draw."""
    bands = phase_bands(glance.phases, glance.steps)
    curves = glance.curves
    loss = [
        Line(name="training", points=curves.get("loss", ()), colour=TRAINING),
        Line(name="validation", points=curves.get("eval_loss", ()), colour=VALIDATION),
        *_old(glance, _LOSS),
    ]
    right = [
        Line(name="validation", points=curves.get("eval_accuracy", ()), colour=VALIDATION),
        *_old(glance, _ACCURACY),
    ]
    shown = "".join(
        panel(title, lines, steps=glance.steps, bands=bands, most=most)
        for title, lines, most in (("Loss", loss, math.inf), ("Accuracy", right, 1.0))
    )
    if shown:
        return f'<div class="tk-panels">{shown}</div>'
    if glance.over:
        return ""
    return card('<p class="tk-quiet">Loss and accuracy appear with the first evaluation.</p>')


def phase_bands(phases: Sequence[Phase], steps: int) -> list[Band]:
    """Gradual unfreezing as bands from one opening to the next; none where everything trains all the time.

    Example:
        >>> found = [Phase(step=0, open_blocks=1, trainable_parameters=9), Phase(step=8, open_blocks=3, trainable_parameters=30)]
        >>> [(band.start, band.end, band.label) for band in phase_bands(found, steps=20)]
        [(0, 8, 'head'), (8, 20, '+2')]
    """  # noqa: E501
    if not phases:
        return []
    last = Phase(step=max(steps, phases[-1].step + 1), open_blocks=0, trainable_parameters=0)
    return [
        Band(
            start=phase.step, end=after.step, label="head" if phase.open_blocks == 1 else f"+{phase.open_blocks - 1}",
            title=f"After step {phase.step}, as logged: {_what(phase.open_blocks)} train, "
            f"{count(phase.trainable_parameters)} weights.",
        )
        for phase, after in pairwise([*phases, last])
    ]  # fmt: skip


def _what(blocks: int) -> str:
    if blocks == 1:
        return "the head alone"
    return f"the head and {blocks - 1} {'block' if blocks == 2 else 'blocks'}"


def _old(glance: Glance, ending: str) -> list[Line]:
    """What is still known of every older data set."""
    names = [name for name in glance.curves if name.startswith(_OLD) and name.endswith(ending)]
    return [
        Line(
            name=name[: -len(ending)].replace("_", " ")[:12], points=glance.curves[name],
            colour=OLDER[number % len(OLDER)], dashed=True,
        )
        for number, name in enumerate(sorted(names))
    ]  # fmt: skip
