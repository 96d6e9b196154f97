"""An answer that appears piece by piece."""

import asyncio
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transfer_kit.app.advisor.advising import shown, told
from hf_transfer_kit.app.advisor.streaming import MOST_PIECES, growing, pieces, streamed
from hf_transfer_kit.app.advisor.visit import Visit


@pytest.fixture(scope="module")
def messages():
    return shown(told(Visit(), "5k tweets, 3 classes, one T4")).messages


@given(st.text(alphabet="a.?! \n:", max_size=200))
def test_the_pieces_together_are_the_text_and_few(text):
    assert "".join(pieces(text)) == text
    assert len(pieces(text)) <= MOST_PIECES


def test_the_last_answer_grows_by_whole_sentences_and_the_quick_replies_come_last(messages):
    steps = list(growing(messages))
    texts = [step[-1]["content"] for step in steps]

    assert len(steps) > 3
    assert all(later.startswith(earlier) and len(later) > len(earlier) for earlier, later in pairwise(texts))
    assert all(text.rstrip().endswith((".", "?", ":", ")")) for text in texts)
    assert [any("options" in each for each in step) for step in steps] == [False] * (len(steps) - 1) + [True]
    assert steps[-1] == messages


def test_the_persons_own_message_is_there_from_the_first_piece_on(messages):
    assert next(growing(messages))[-2] == {"role": "user", "content": "5k tweets, 3 classes, one T4"}


def test_the_first_piece_comes_at_once_and_the_whole_within_half_a_second(messages):
    async def times():
        begin = time.perf_counter()
        return [time.perf_counter() - begin async for _ in streamed(messages)]

    found = asyncio.run(times())

    assert found[0] < 0.2
    assert found[-1] < 0.6


def test_two_answers_at_once_take_no_longer_than_one(messages):
    async def drained():
        return [each async for each in streamed(messages, seconds=0.02)]

    async def both():
        begin = time.perf_counter()
        await drained()
        one = time.perf_counter() - begin
        await asyncio.gather(drained(), drained(), drained())
        return one, time.perf_counter() - begin - one

    one, three = asyncio.run(both())

    assert three < 2 * one
