"""The memory of candidates from their own configurations, for the very data at hand."""

import os
from dataclasses import dataclass, field
from importlib.util import find_spec

from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf, known_memory, memory_sum
from hf_transfer_kit.advisor.knowledge.memory_table import LIBRARIES, advised_batch
from hf_transfer_kit.advisor.knowledge.models import KnownModel
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.memory.estimate import MIB, MemoryEstimate, estimate_memory, size
from hf_transfer_kit.plan import Approach, ModelSpec, TopLayers


def memory_from_configurations(length: int | None, n_classes: int, batch: int | None = None) -> MemoryOf:
    """MiB that a model needs with a method, from its configuration where that is on this machine; see `known_memory`.

    Nothing is downloaded: a local folder, the cache of the Hub or an installed package is read, and for every other
    model, or one whose memory cannot be estimated, `known_memory` answers. Each model and method is estimated once.

    Args:
        length: tokens of a text, or pixels of an image's side; None: 128, and the model's own.
        n_classes: labels.
        batch: examples of a batch; None: as advised.

    Example:
        >>> from hf_transfer_kit.advisor.knowledge.models import model_named
        >>> memory_of = memory_from_configurations(length=64, n_classes=3)
        >>> memory_of(model_named("nobody/no-such-model"), "full") is None
        True
    """
    return _FromConfigurations(length=length, n_classes=n_classes, batch=batch)


@dataclass(frozen=True, kw_only=True, eq=False)
class _FromConfigurations:
    """A `MemoryOf` that remembers what it has estimated, and tells its sums."""

    length: int | None
    n_classes: int
    batch: int | None
    _known: dict[tuple[str, str], MemoryEstimate | None] = field(default_factory=dict)

    def __call__(self, model: KnownModel, method: str) -> float | None:
        estimate = self._estimate(model, method)
        return known_memory(model, method) if estimate is None else estimate.total_mib + LIBRARIES

    def as_sum(self, model: KnownModel, method: str) -> str:
        """The parts and their sum."""
        estimate = self._estimate(model, method)
        if estimate is None:
            return memory_sum(known_memory, model, method)
        return f"{estimate.as_sum}, and {size(LIBRARIES * MIB)} for the libraries"

    def _estimate(self, model: KnownModel, method: str) -> MemoryEstimate | None:
        """None where the configuration is not here, or does not tell."""
        if model.hub_id is None:
            return None
        if (key := (model.hub_id, method)) not in self._known:
            approach = TopLayers(blocks=model.top_blocks) if method == "top_layers" else method
            batch = self.batch or advised_batch(model, method)
            self._known[key] = self._from_configuration(model.hub_id, approach, batch)
        return self._known[key]

    def _from_configuration(self, name: str, approach: Approach | str, batch: int) -> MemoryEstimate | None:
        spec = _on_this_machine(name)
        if spec is None:
            return None
        try:
            return estimate_memory(spec, approach, batch, self.length, n_classes=self.n_classes)
        except TransferKitError:
            return None


def _on_this_machine(name: str) -> ModelSpec | None:
    """The model where its configuration can be read without the network, else None."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    from hf_transfer_kit.models import PACKAGED

    if os.path.isfile(os.path.join(name, "config.json")):
        return ModelSpec(name=name)
    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    if isinstance(cached, str):
        return ModelSpec(name=os.path.dirname(cached))  # by its name, the Hub would be asked whether it is the newest
    return ModelSpec(name=name) if name in PACKAGED and find_spec(PACKAGED[name][0]) is not None else None
