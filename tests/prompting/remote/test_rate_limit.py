import threading
import time

import pytest
from prompting.remote.fake_clock import FakeClock

from hf_transfer_kit.prompting.remote.rate_limit import Clock, RateLimit

GOES_ON = threading.Event()


def test_turns_are_equally_far_apart():
    clock, turns = FakeClock(), []
    limit = RateLimit(per_minute=30, clock=clock)

    for _ in range(4):
        limit.wait_turn(GOES_ON)
        turns.append(clock.now())

    assert turns == pytest.approx([0, 2, 4, 6])


def test_time_without_turns_is_not_saved_up():
    clock = FakeClock()
    limit = RateLimit(per_minute=30, clock=clock)
    limit.wait_turn(GOES_ON)
    clock.seconds = 100.0

    limit.wait_turn(GOES_ON)
    limit.wait_turn(GOES_ON)

    assert clock.now() == pytest.approx(102)


def test_threads_together_keep_the_distance():
    limit, turns = RateLimit(per_minute=60 / 0.02, clock=Clock()), []

    def take_turns():
        for _ in range(3):
            limit.wait_turn(GOES_ON)
            turns.append(time.monotonic())

    threads = [threading.Thread(target=take_turns) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(turns) == 12
    assert max(turns) - min(turns) >= 11 * 0.02 - 0.01


def test_nobody_gets_a_turn_while_it_is_held():
    clock = FakeClock()
    limit = RateLimit(per_minute=6000, clock=clock)
    limit.hold(7)

    limit.wait_turn(GOES_ON)

    assert clock.now() == pytest.approx(7)


def test_a_wait_ends_when_it_is_stopped():
    stop = threading.Event()
    limit = RateLimit(per_minute=0.01, clock=Clock())
    limit.wait_turn(stop)
    threading.Timer(0.05, stop.set).start()
    begin = time.monotonic()

    limit.wait_turn(stop)

    assert time.monotonic() - begin < 2
