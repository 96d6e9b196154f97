import pytest
import torch
from torch.nn.functional import conv2d, linear

from hf_transfer_kit.memory.copies import copies
from hf_transfer_kit.memory.live import LiveMemory

GIVEN, WEIGHT = torch.ones(2, 3, 8, 8), torch.ones(5, 3, 3, 3)  # 1536 and 540 bytes
MADE = 4 * 2 * 5 * 6 * 6  # 1440


def peak_and_live(work, **settings):
    with LiveMemory(**settings) as memory:
        result = work()
    assert result is not None
    return memory.peak, memory.live


def test_a_convolution_copies_its_operands_and_makes_its_result_in_another_layout():
    peak, live = peak_and_live(lambda: conv2d(GIVEN, WEIGHT))

    assert live == MADE and peak == MADE + max(GIVEN.nbytes + WEIGHT.nbytes, MADE)
    assert peak_and_live(lambda: conv2d(GIVEN, WEIGHT), on_cpu=False) == (MADE, MADE)


def test_a_result_larger_than_the_operands_is_held_twice():
    many = torch.ones(50, 3, 3, 3)

    peak, live = peak_and_live(lambda: conv2d(GIVEN, many))

    assert live == 10 * MADE and peak == 2 * live


@pytest.mark.parametrize(
    ("of_input", "of_weight", "beside"),
    [
        (True, True, MADE + GIVEN.nbytes),  # the gradient of the weights is last, from the input and what comes back
        (False, True, MADE + GIVEN.nbytes),
        (True, False, MADE + WEIGHT.nbytes),
    ],
)
def test_backwards_what_comes_back_is_copied_too(of_input, of_weight, beside):
    given, weight = (GIVEN.clone().requires_grad_(of_input), WEIGHT.clone().requires_grad_(of_weight))
    made = conv2d(given, weight)
    back = torch.ones_like(made)
    wanted = [each for each in (given, weight) if each.requires_grad]

    peak, live = peak_and_live(lambda: torch.autograd.grad(made, wanted, back))

    assert live == sum(each.nbytes for each in wanted) and peak == live + beside


def test_other_operations_copy_nothing():
    peak, live = peak_and_live(lambda: linear(torch.ones(3, 4), torch.ones(2, 4)))

    assert peak == 4 * (12 + 8 + 6) and live == 4 * 6
    assert copies(torch.ops.aten.add.Tensor, (GIVEN, GIVEN), GIVEN) == 0
