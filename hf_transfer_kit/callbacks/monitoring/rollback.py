"""The best weights of a training so far, in a file, to go back to."""

from typing import Any

import torch

from hf_transfer_kit.callbacks.hosting.host import Host
from hf_transfer_kit.callbacks.hosting.kept import find_again, keep

NAME = "rollback"
SCORE = "(score)"  # among the names of weights in the file; no module can have it


class BestWeights:
    """Keeps what training changes (parameters in the optimizer, buffers such as running statistics) at its best score.

    The file `<output_dir>/hf_transfer_kit/rollback.safetensors` holds the score too: weights that a killed run found
    after its last checkpoint still count when it resumes.

    Raises:
        OutputError: a resumed run has lost the file.
        FormatError: the file is broken.
    """

    def __init__(self, host: Host, start_score: float):
        self._host = host
        self.score = start_score
        if host.resumed_from is not None:
            self.score = float(find_again(host, NAME)[SCORE])
        else:
            self._keep()

    def offer(self, score: float) -> None:
        """Keeps the weights as they are now, if their score is better than that of those kept."""
        if score > self.score:
            self.score = score
            self._keep()

    def return_to(self) -> None:
        """Puts the kept weights back, on all processes."""
        kept = find_again(self._host, NAME)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(kept[name])

    def _keep(self) -> None:
        keep(self._host, NAME, {**self._tensors(), SCORE: torch.tensor(self.score, dtype=torch.float64)})

    def _tensors(self) -> dict[str, Any]:
        return {**self._host.trainable(), **dict(self._host.model.named_buffers())}
