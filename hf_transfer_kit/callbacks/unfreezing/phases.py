"""The phases of one training at work: which parameters train, what DDP averages, how large new updates are."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from hf_transfer_kit.blocks import Blocks
from hf_transfer_kit.callbacks.hosting.host import Host
from hf_transfer_kit.callbacks.unfreezing.reducer import rebuild_reducer
from hf_transfer_kit.callbacks.unfreezing.schedule import Schedule
from hf_transfer_kit.callbacks.unfreezing.timing import Pace, Plateau, first_steps
from hf_transfer_kit.callbacks.unfreezing.warm_up import WarmUp
from hf_transfer_kit.freezing import Freezer


class Unfreezing:
    """One training, from its first step (or the one it resumes at) to `finish`.

    Args:
        parameters: what may train, by name; nothing else is touched.
        opened: the names that each phase of `schedule` adds.
    """

    def __init__(
        self, *, host: Host, blocks: Blocks, parameters: Mapping[str, nn.Parameter], schedule: Schedule,
        opened: Sequence[frozenset[str]], pace: Pace, plateau: Plateau | None, warmup_steps: int,
    ):  # fmt: skip
        self._host, self._blocks, self._parameters = host, blocks, parameters
        self._schedule, self._opened, self._pace, self._plateau = schedule, opened, pace, plateau
        self._starts, self._read = first_steps(schedule, pace), 0
        self._freezer = Freezer(host.model, parameters, blocks)
        self._warm_up = WarmUp(host.optimizer, warmup_steps) if warmup_steps else None
        self._phase = -1
        self.enter(host.state)

    def enter(self, state: Any) -> None:
        """Opens what the coming step trains."""
        if self._plateau is not None and len(state.log_history) != self._read:
            self._read = len(state.log_history)
            scores = self._plateau.scores(state.log_history)
            self._starts = first_steps(self._schedule, self._pace, self._plateau, scores)
        phase = bisect_right(self._starts, state.global_step) - 1
        if phase != self._phase:
            self._phase = phase
            self._freezer.open_only(self._open_names())
            self._tell_ddp()
        if self._warm_up is not None:
            began = zip(self._starts[1 : phase + 1], self._opened[1:], strict=False)
            opened = ((start, [self._parameters[name] for name in sorted(names)]) for start, names in began)
            self._warm_up.prepare(state.global_step, opened)

    def log(self, control: Any) -> None:
        """Logs how many units train (the head counts), and how many numbers in them."""
        names = self._open_names()
        units = sum(not names.isdisjoint(unit.parameter_names) for unit in self._blocks)
        trainable = self._schedule.trainable[self._phase]
        self._host.log({"open_blocks": units, "trainable_parameters": trainable}, control)

    def finish(self) -> None:
        """Leaves model, optimizer and DDP as they were before the first step."""
        self._freezer.release()
        self._tell_ddp()
        if self._warm_up is not None:
            self._warm_up.remove()

    def _open_names(self) -> frozenset[str]:
        return frozenset().union(*self._opened[: self._phase + 1])

    def _tell_ddp(self) -> None:
        ddp = self._host.ddp()
        if ddp is not None:
            rebuild_reducer(ddp)
