"""What the convolutions of the CPU hold for themselves, beside their operands and results.

torch hands convolutions to oneDNN, whose kernels want channels in blocks: every operand is copied into that layout,
the result is made in it and copied back (oneDNN developer guide, "Understanding Memory Formats"; in torch,
aten/src/ATen/native/mkldnn/Conv.cpp). No tensor of torch shows these copies, and in a network like MobileNet they are
the largest of what is held for a moment. Counted without the channels that fill up the last block.
"""

from typing import Any

import torch


def copies(func: Any, args: tuple[Any, ...], result: Any) -> int:
    """Most bytes that one operation holds at once beside its operands and results; 0 for all but convolutions.

    Args:
        func: an operation of aten, as a dispatch mode sees it.
        args, result: its arguments, and what it returned.

    Example:
        >>> pixels, filters = torch.ones(1, 4, 8, 8), torch.ones(2, 4, 1, 1)
        >>> made = torch.conv2d(pixels, filters)
        >>> copies(torch.ops.aten.convolution.default, (pixels, filters), made) == pixels.nbytes + filters.nbytes
        True
    """
    aten = torch.ops.aten
    if func not in (aten.convolution.default, aten.convolution_backward.default) or not _by_onednn(args[0]):
        return 0
    if func is aten.convolution.default:
        given, weight = (each.nbytes for each in args[:2])
        return max(given + weight, result.nbytes)  # the operands' copies are gone when the result is copied back
    back, given, weight = (each.nbytes for each in args[:3])
    to_input, to_weight = (0 if each is None else each.nbytes for each in result[:2])
    if not to_weight:
        return max(back + weight, to_input)
    return max(back + given, to_weight)  # the gradient of the weights comes last, and is held beside that of the input


def _by_onednn(tensor: torch.Tensor) -> bool:
    return bool(torch.backends.mkldnn.is_available() and tensor.device.type == "cpu" and tensor.dim() >= 4)
