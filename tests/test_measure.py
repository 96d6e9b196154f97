"""The meter against work whose cost is known."""

import time

import numpy as np
import pytest

from hf_transfer_kit.measure import Meter, flop_counter, milliseconds_each


def test_waiting_takes_time_but_no_processor():
    with Meter() as meter:
        time.sleep(0.2)
    assert 0.2 <= meter.seconds < 0.6
    assert meter.cpu_seconds < 0.1


def test_work_takes_processor_time():
    with Meter() as meter:
        started = time.process_time()
        while time.process_time() - started < 0.1:
            sum(range(1000))
    assert 0.1 <= meter.cpu_seconds < 0.3


def test_the_peak_is_seen_although_the_memory_is_given_back():
    with Meter() as meter:
        block = np.ones(100 << 17)  # 100 MiB
        time.sleep(0.05)
        del block
    assert 95 < meter.peak_mib < 130


def test_memory_that_is_held_at_the_end_is_seen_however_short_the_block():
    with Meter() as meter:
        block = np.ones(50 << 17)
    assert 45 < meter.peak_mib < 80
    assert block[0] == 1


def test_an_error_inside_passes_and_is_timed():
    meter = Meter()
    with pytest.raises(RuntimeError, match="inside"), meter:
        raise RuntimeError("inside")
    assert meter.seconds > 0


def test_milliseconds_are_the_median_after_a_first_call():
    """The first call takes 60 ms and does not count; of 10, 20 and 60 ms the median is 20."""
    waits, asked = iter([0.06, 0.01, 0.02, 0.06]), []

    def call(items: list[str]) -> None:
        asked.append(items)
        time.sleep(next(waits))

    assert 20 <= milliseconds_each(call, ["a", "b", "c", "d"], limit=3) < 40
    assert asked == [["a"], ["a"], ["b"], ["c"]]


def test_attention_counts_on_this_machine_forward_and_backward():
    """Queries by keys and weights by values, 2 * 3 * 5 * 5 * 8 multiply-adds each; the way back has five of them."""
    import torch

    query, key, value = (torch.ones(2, 3, 5, 8, requires_grad=True) for _ in range(3))
    with flop_counter() as forward:
        out = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    with flop_counter() as backward:
        out.sum().backward()
    product = 2 * (2 * 3 * 5 * 5 * 8)
    assert (forward.get_total_flops(), backward.get_total_flops()) == (2 * product, 5 * product)
