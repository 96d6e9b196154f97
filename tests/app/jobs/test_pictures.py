"""The curves as pictures: what is drawn is what was told, and it can be read without seeing it."""

import math
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transfer_kit.app.jobs.feed import Glance
from hf_transfer_kit.app.jobs.panel import HEIGHT, WIDTH, Band, Line, panel, ticks
from hf_transfer_kit.app.jobs.pictures import phase_bands, training_pictures
from hf_transfer_kit.app.jobs.told import Phase
from hf_transfer_kit.launch.job import Job
from hf_transfer_kit.launch.state import JobStatus

JOB = Job(id="0" * 32, number=1, command=("x",), directory="/")


def glance(state="running", **told):
    return Glance(status=JobStatus(job=JOB, folder=Path(), state=state), **({"curves": {}} | told))


def drawn(html):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.S)]


def places(svg):
    """(x, y) of the corners of every line."""
    return [[tuple(map(float, place.split(","))) for place in line.get("points").split()]
            for line in svg.iter("polyline")]  # fmt: skip


numbers = st.floats(-1e6, 1e6)
points = st.lists(st.tuples(st.integers(0, 10_000), numbers), min_size=1, max_size=60, unique_by=lambda p: p[0]).map(
    sorted
)


@given(st.lists(points, min_size=1, max_size=4), st.integers(0, 20_000))
def test_every_line_lies_inside_the_picture_and_keeps_its_order(lines, steps):
    html = panel("Loss", [Line(name=f"l{n}", points=tuple(line), colour="#123456") for n, line in enumerate(lines)],
                 steps=steps)  # fmt: skip
    (svg,) = drawn(html)
    for line, corners in zip([line for line in lines if len(line) > 1], places(svg), strict=True):
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in corners)
        assert [x for x, _ in corners] == sorted(x for x, _ in corners)
        for (_, first), (_, second), (_, y), (_, z) in zip(line, line[1:], corners, corners[1:], strict=False):
            assert (second - first) * (z - y) <= 0.0 or abs(z - y) <= 0.11  # up in numbers is up in the picture
    texts = [float(text.get("y")) for text in svg.iter("text") if text.get("class") == "tk-name"]
    assert all(below - above >= 25.9 for above, below in pairwise(texts))  # none covers another


def test_names_from_events_are_shown_as_text():
    html = training_pictures(glance(curves={"old_<b>_accuracy": ((1, 0.5),)}))

    assert "<b>" not in html and "&lt;b&gt;" in html


def test_the_last_numbers_are_said_for_those_who_do_not_see():
    html = training_pictures(glance(curves={"loss": ((1, 2.0), (8, 1.25)), "eval_accuracy": ((8, 0.5),)}, steps=24))
    loss, accuracy = drawn(html)

    assert loss.get("role") == accuracy.get("role") == "img"
    assert loss.get("aria-label") == "Loss over 24 steps: training 1.250 at step 8."
    assert "validation 0.500 at step 8" in accuracy.get("aria-label")


def test_old_tasks_are_drawn_beside_the_new_one():
    html = training_pictures(glance(curves={"eval_accuracy": ((1, 0.5),), "old_data_accuracy": ((0, 0.9), (1, 0.7))}))

    assert "old data 0.700" in html


def test_before_the_first_numbers_the_page_says_what_will_come():
    assert "appear with the first evaluation" in training_pictures(glance())
    assert training_pictures(glance("failed")) == ""


def test_an_accuracy_axis_ends_at_one_and_a_flat_line_is_no_noise():
    (svg,) = drawn(
        panel("Accuracy", [Line(name="v", points=((1, 1.0), (2, 1.0)), colour="#000000")], steps=2, most=1.0)
    )
    shown = [float(text.text) for text in svg.iter("text") if text.get("text-anchor") == "end" and text.text != "step"]

    assert max(shown) == 1.0 and min(shown) < 0.97


def test_phases_are_bands_that_leave_no_gap():
    phases = [Phase(step=s, open_blocks=b, trainable_parameters=b * 1000) for s, b in ((0, 1), (8, 2), (16, 8))]
    bands = phase_bands(phases, steps=40)

    assert [(band.start, band.end, band.label) for band in bands] == [(0, 8, "head"), (8, 16, "+1"), (16, 40, "+7")]
    html = training_pictures(glance(curves={"loss": ((8, 1.0), (40, 0.5))}, phases=tuple(phases), steps=40))
    assert "the head and 7 blocks train, 8.0 k weights" in html


def test_a_band_without_room_for_its_label_has_none():
    bands = [Band(start=0, end=1, label="head", title="t"), Band(start=1, end=1000, label="+7", title="t")]
    (svg,) = drawn(
        panel("Loss", [Line(name="a", points=((0, 1.0), (1000, 0.0)), colour="#000000")], steps=1000, bands=bands)
    )

    assert [text.text for text in svg.iter("text") if text.get("class") == "tk-phase"] == ["+7"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_round_and_inside(low, span, most):
    found = ticks(low, low + span, most)

    assert len(found) <= most + 1
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in found)
    for first, second in pairwise(found):
        step = second - first
        assert round(step / 10 ** math.floor(math.log10(step) + 1e-6), 4) == pytest.approx(
            min((1, 2, 5, 10), key=lambda f: abs(f - step / 10 ** math.floor(math.log10(step) + 1e-6))), rel=1e-3
        )
