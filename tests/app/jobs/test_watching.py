"""Only what has changed is sent, and the watch ends."""

import asyncio

import pytest

from hf_transfer_kit.app.jobs.watching import watch
from hf_transfer_kit.errors import OutputError


def watched(looks, show=lambda found: [found, "still"], over=lambda found: found == "end", **settings):
    """All that is sent while `looks` are seen one after the other, the last one for ever."""
    left = list(looks)

    async def everything():
        look = lambda: left.pop(0) if len(left) > 1 else left[0]  # noqa: E731
        return [values async for values in watch(look, show, over=over, same=None, every=0.0, **settings)]

    return asyncio.run(everything())


def test_what_has_not_changed_is_not_sent_again():
    assert watched(["a", "a", "b", "b", "end"]) == [["a", "still"], ["b", None], ["end", None]]


def test_nothing_is_drawn_anew_for_the_same_object():
    drawn = []
    one = ["a"]
    watched([one, one, one, "end"], show=lambda found: [drawn.append(found)])

    assert drawn == [["a"], "end"]


def test_it_ends_after_a_while():
    assert watched(["a"], most=0.05) == [["a", "still"]]


def test_what_is_over_already_is_shown_once():
    assert watched(["end"]) == [["end", "still"]]


def test_a_job_that_vanishes_is_said():
    def gone(found):
        raise OutputError("there is no job")

    with pytest.raises(OutputError):
        watched(["a"], show=gone)
