import torch

from hf_transfer_kit.memory.live import LiveMemory

KIB = 1024


def test_what_is_freed_no_longer_counts_but_stays_in_the_peak():
    with LiveMemory() as memory:
        first = torch.zeros(KIB // 4)
        second = first + 1
        del first
        third = second * 2

    assert memory.live == 2 * KIB and memory.peak == 2 * KIB
    del second, third


def test_views_and_changes_in_place_cost_nothing():
    before = torch.zeros(4, KIB)
    with LiveMemory() as memory:
        part = before[1:].reshape(-1).view(3, KIB).t()
        before.add_(1)

    assert memory.live == memory.peak == 0
    del part


def test_what_is_counted_elsewhere_is_left_out_of_the_peak():
    counted = [0]
    with LiveMemory(kept=lambda: counted[0]) as memory:
        gradient = torch.zeros(KIB)
        counted[0] = gradient.nbytes
        other = torch.zeros(KIB // 4)

    assert memory.live == 5 * KIB and memory.peak == 4 * KIB  # of the gradient, before it was counted elsewhere
    del gradient, other
