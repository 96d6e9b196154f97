"""The same architecture with random weights: what a model's shape gives without what it has learned.

Random features are no small thing: words or colours alone answer many questions (Wieting & Kiela 2019, "No Training
Required", arXiv:1901.10444). A frozen model that is not better than its random copy does not help.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def random_copy(backbone: Any, batches: Iterable[Mapping[str, "torch.Tensor"]], seed: int = 0) -> Any:
    """A model with the configuration of `backbone` and random weights, in eval mode, on the same device, fp32.

    Args:
        batches: a few batches of real inputs on that device. Batch norm takes its running statistics from them: with
            those of an untrained model (mean 0, variance 1) deep networks in eval mode give next to nothing, which
            would be too easy a rival.
        seed: of the weights.

    Example:
        >>> from transformers import AutoModel
        >>> copy = random_copy(AutoModel.from_pretrained("distilbert-base-uncased"), batches=())
    """
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng(devices=[]):  # made on the CPU, whose state alone has to come back
        torch.manual_seed(seed)
        copy = AutoModel.from_config(backbone.config).to(torch.float32)
    copy.to(next(backbone.parameters()).device).eval()
    kinds = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
    norms = [module for module in copy.modules() if isinstance(module, kinds) and module.track_running_stats]
    if norms:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average over the batches
            norm.train()
        with torch.inference_mode():
            for batch in batches:
                copy(**batch)
    return copy.eval()
