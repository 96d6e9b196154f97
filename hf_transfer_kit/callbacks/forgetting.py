"""Forgetting, watched while it happens: old tasks are scored beside the new one, and training can stop or go back.

At every evaluation, with r_j the score on old task j when it was learned (or before the first training), and m_j the
best after any training so far:

    forgetting        = mean_j m_j - now_j
    backward transfer = mean_j now_j - r_j

Sources: Lopez-Paz & Ranzato 2017 (arXiv:1706.08840), section 2; Chaudhry et al. 2018 (arXiv:1801.10112), section 3.
"""

import itertools
import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch.distributed.tensor import DTensor

from hf_transfer_kit.callbacks.hosting.host import HostedCallback
from hf_transfer_kit.callbacks.monitoring.rollback import BestWeights
from hf_transfer_kit.callbacks.monitoring.scoring import LOWER_IS_BETTER, Scorer
from hf_transfer_kit.continual import ContinualSummary, TaskSequence
from hf_transfer_kit.errors import PlanError, UnsupportedSetupError, did_you_mean

logger = logging.getLogger(__name__)


class ForgettingMonitor(HostedCallback):
    """Scores old tasks and out-of-distribution sets while training, and logs them beside the loss.

    It does so before the first step, whenever the Trainer evaluates (once for all of its eval sets), every
    `every_steps`, and at the end. Logged: `old_<name>_loss`, `old_<name>_<metric>`, `new_<metric>` (the Trainer's
    eval set), `average_<metric>` (over all of them), `forgetting`, `backward_transfer`. Weights that change after the
    last step, because the best model is loaded or by a return, are scored once more, into `state.log_history` alone:
    reporters have closed by then. Training itself is left untouched, bit for bit.

    One object can watch a sequence of trainings: the Trainer's eval set joins the old ones as `task_1`, `task_2`, ...
    when its training ends; `matrix`, `summary()` and `to_dict()` are over the sequence.

    Args:
        old_eval_sets: {name: data set}, or one data set, called "old"; each what the Trainer takes as eval_dataset,
            or a dict of such, which counts as one task.
        stop_below: a score, or {name: score}: training stops once an old score falls below it (for losses: rises
            above). A set that starts out below is watched, with a warning, but does not stop the training.
        roll_back: then, and where the final weights are below, goes back to the weights with the best average score
            among the evaluated ones that were not below; the start is one of them. With load_best_model_at_end the
            final weights are the loaded ones.
        metric: a key of compute_metrics, larger is better; "accuracy" needs none where rows have one label each; or
            "loss" (nats) or "perplexity" of language models, smaller is better.
        every_steps: optimizer steps between two evaluations; None: only when the Trainer evaluates.

    Raises:
        PlanError: a setting is wrong, or there is no such metric.
        UnsupportedSetupError: the Trainer cannot be found, or `roll_back` under FSDP.
        OutputError: a resumed run has lost the weights to go back to.

    Cost: a pass over the old sets per evaluation, and one over the new set where the Trainer has not logged the
        metric; roll_back: one copy of what trains on disk, written again at each better evaluation.
    Multi-GPU: DDP yes, FSDP2 without roll_back. Scores are gathered, so that all processes decide the same.
    Resume: start scores are read from the log in the checkpoint, the weights to go back to from
        `<output_dir>/hf_transfer_kit/rollback.safetensors`. Earlier trainings of a sequence are not known any more.
    Helps in: all scenarios; in class-incremental learning, score old classes with one head over old and new.

    Example:
        >>> monitor = ForgettingMonitor({"banking": banking_test}, stop_below=0.8, roll_back=True)
        >>> trainer = Trainer(model, args, train_dataset=travel, eval_dataset=travel_test, callbacks=[monitor])
    """

    def __init__(
        self, old_eval_sets: Any, stop_below: float | Mapping[str, float] | None = None, roll_back: bool = False,
        metric: str = "accuracy", every_steps: int | None = None,
    ):  # fmt: skip
        self.old_eval_sets = dict(old_eval_sets) if isinstance(old_eval_sets, Mapping) else {"old": old_eval_sets}
        if every_steps is not None and every_steps < 1:
            raise PlanError(f"every_steps={every_steps} must be 1 or more; None follows the Trainer's evaluations.")
        if roll_back and stop_below is None:
            raise PlanError("roll_back=True needs to know when: give stop_below, the lowest old score to accept.")
        for name in stop_below if isinstance(stop_below, Mapping) else ():
            if name not in self.old_eval_sets and not name.startswith("task_"):
                raise PlanError(f"stop_below names '{name}'; {did_you_mean(name, self.old_eval_sets)}")
        self.stop_below, self.roll_back, self.metric, self.every_steps = stop_below, roll_back, metric, every_steps
        self.stopped: str | None = None  # why the last training was stopped
        self._sign = -1.0 if metric in LOWER_IS_BETTER else 1.0  # inside, larger is always better
        self._tasks = TaskSequence()
        self._host: Any = None  # the training being watched

    @property
    def matrix(self) -> np.ndarray:
        """R, (tasks, tasks), of the trainings so far, larger is better; NaN: not measured. See `continual`."""
        return self._tasks.matrix

    def summary(self, baseline: ArrayLike | None = None) -> ContinualSummary:
        """Average accuracy, backward and forward transfer and forgetting over the trainings so far.

        Args:
            baseline: score of a model that has learned nothing (chance), one for all tasks or one each; forward
                transfer needs it.
        """
        return self._tasks.summary(baseline)

    def to_dict(self) -> dict[str, Any]:
        """Metric, task names, matrix and summary, as JSON can hold them."""
        return {"metric": self.metric, **self._tasks.to_dict()}

    def on_train_begin(self, args, state, control, model, optimizer, train_dataloader, **kwargs):
        host = self.enter(args, state, model, optimizer, train_dataloader)
        if host.trainer is None:
            raise UnsupportedSetupError("ForgettingMonitor found no Trainer to evaluate with; call attach(trainer).")
        if self.roll_back and any(isinstance(parameter, DTensor) for parameter in model.parameters()):
            raise UnsupportedSetupError("ForgettingMonitor cannot roll back under FSDP; set roll_back=False.")
        self._host, self._scorer, self._new_set = host, Scorer(host.trainer, self.metric), host.trainer.eval_dataset
        candidates = (f"task_{number}" for number in itertools.count(len(self._tasks) + 1))
        self._task = next(name for name in candidates if name not in self.old_eval_sets)
        self.stopped, self._scored_at = None, None
        self._now = self._scores_logged_at_start()
        if not self._now:
            self._now = self._score(control)
        self._tasks.begin(self._task, self._now)
        self._limits = self._limits_for(self._now)
        self._best = BestWeights(host, _average(self._now)) if self.roll_back else None

    def on_step_end(self, args, state, control, **kwargs):
        if self.every_steps is not None and state.global_step % self.every_steps == 0 and not control.should_evaluate:
            self._watch(control)

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        """Scores after the last of the Trainer's eval sets; of other evaluations, and after the training, nothing."""
        last = f"{list(self._new_set)[-1]}_" if self._host and isinstance(self._new_set, Mapping) else ""
        if self._host is not None and f"eval_{last}runtime" in metrics:
            self._watch(control)

    def on_epoch_end(self, args, state, control, **kwargs):
        """Scores the end of the training, while reporters still listen."""
        if control.should_training_stop and not control.should_evaluate:
            self._watch(control)

    def on_train_end(self, args, state, control, **kwargs):
        reloaded = args.load_best_model_at_end and state.best_model_checkpoint is not None
        if reloaded or self._scored_at != state.global_step:
            self._now = self._score(control, closed=True)
        if self._best is not None and self._below(self._now):
            self._best.return_to()
            logger.warning("ForgettingMonitor: back to average_%s %.4g.", self.metric, self._sign * self._best.score)
            self._now = self._score(control, closed=True)
        self._tasks.end(self._task, self._now)
        if self._new_set is not None:
            self.old_eval_sets[self._task] = self._new_set
        self._host = None

    def _watch(self, control: Any) -> None:
        """Scores, unless this step has been; stops the training, or keeps its weights."""
        step = self._host.state.global_step
        if self._scored_at == step:
            return
        self._now = self._score(control)
        if below := self._below(self._now):
            control.should_training_stop = True
            fallen = [f"{name} at {self._sign * self._now[name]:.4g}, limit {self._limit(name)}" for name in below]
            self.stopped = f"{'; '.join(fallen)} (step {step})"
            logger.warning("ForgettingMonitor stops the training: %s.", self.stopped)
        elif self._best is not None:
            self._best.offer(_average(self._now))

    def _score(self, control: Any, closed: bool = False) -> dict[str, float]:
        """Scores of all sets by name, larger is better; logged, where reporters are closed in the history alone."""
        numbers: dict[str, float | None] = {}
        scores: dict[str, float] = {}
        for name, data in self.old_eval_sets.items():
            loss, value = self._scorer.score(name, data)
            numbers |= {f"old_{name}_loss": loss, f"old_{name}_{self.metric}": value}
            scores[name] = self._sign * value
        if self._new_set is not None:
            logged = None if closed else self._scorer.logged(self._new_set)
            value = self._scorer.score(self._task, self._new_set)[1] if logged is None else logged
            numbers[f"new_{self.metric}"], scores[self._task] = value, self._sign * value
        if self.old_eval_sets:
            summary = self._tasks.at(self._task, scores).summary()
            numbers |= {"forgetting": summary.forgetting, "backward_transfer": summary.backward_transfer}
            numbers[f"average_{self.metric}"] = self._sign * _average(scores)
        self._scored_at = self._host.state.global_step
        host = replace(self._host, trainer=None) if closed else self._host
        measured = {name: number for name, number in numbers.items() if number is not None and not math.isnan(number)}
        host.log(measured, control)
        return scores

    def _scores_logged_at_start(self) -> dict[str, float]:
        """What the first part of a resumed run logged at step 0; empty if there is none."""
        if self._host.resumed_from is None:
            return {}
        keys = {name: f"old_{name}_{self.metric}" for name in self.old_eval_sets}
        if self._new_set is not None:
            keys[self._task] = f"new_{self.metric}"
        entries = [entry for entry in self._host.state.log_history if entry.get("step") == 0]
        found: dict[str, float] = next((entry for entry in entries if set(keys.values()) <= set(entry)), {})
        return {name: self._sign * found[key] for name, key in keys.items() if found}

    def _limit(self, name: str) -> float | None:
        return self.stop_below.get(name) if isinstance(self.stop_below, Mapping) else self.stop_below

    def _limits_for(self, start: Mapping[str, float]) -> dict[str, float]:
        """The lowest score to accept of each old set that can still fall below it."""
        given = {name: limit for name in self.old_eval_sets if (limit := self._limit(name)) is not None}
        for name in [name for name in given if not start[name] >= self._sign * given[name]]:
            warnings.warn(
                f"'{name}' starts at {self._sign * start[name]:.4g}, past stop_below={given.pop(name)} already: it is "
                "watched, but does not stop this training.",
                stacklevel=2,
            )
        return {name: self._sign * limit for name, limit in given.items()}

    def _below(self, scores: Mapping[str, float]) -> list[str]:
        return [name for name, limit in self._limits.items() if not scores[name] >= limit]  # NaN is below


def _average(scores: Mapping[str, float]) -> float:
    return float(np.mean(list(scores.values()))) if scores else 0.0
