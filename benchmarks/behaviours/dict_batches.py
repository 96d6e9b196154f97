"""Runs on transformers 5 with dict batches: every method must train a model of transformers on its batches.

Batches of transformers are dicts of tensors with labels in them. Each method of a side is tried on a tiny BERT
classifier and, where it is meant for them, on a tiny GPT-2. `measured` has, by method and model, how many weights
moved, or the error. It holds if every one of them trains: it ends, and weights have moved and are finite.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.behaviours.outcome import Outcome, command, first_line
from benchmarks.behaviours.tiny import arguments, classifier, language_model, rows, weights

ROW = "runs on transformers 5 with dict batches"
MODELS = {"classifier": classifier, "language model": language_model}

Try = Callable[[Any, list[dict[str, Any]]], None]  # (model, rows): trains it


def attempt(make: Callable[[], Any], train: Try, *, language: bool = False) -> str:
    """How many weights moved, or the error."""
    model = make()
    before = weights(model)
    try:
        train(model, rows(32, language=language))
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is its result
        return first_line(error)
    after = weights(model)
    if after.shape != before.shape or not after.isfinite().all():
        return "weights that are nan" if after.shape == before.shape else "other weights than before"
    return f"{int((after != before).sum())} of {len(before)} weights moved"


def outcome(tried: Mapping[str, str], about: str) -> Outcome:
    """Whether all methods have trained."""
    failed = defaultdict(list)
    for name, result in tried.items():
        if not result.endswith((" moved", " finite")) or result.startswith("0 "):
            failed[result].append(name)
    trained = len(tried) - sum(map(len, failed.values()))
    reasons = "; ".join(
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {result}"
        for result, names in failed.items()
    )
    return Outcome(
        holds=not failed,
        measured=dict(tried),
        says=f"{about}: {trained} of {len(tried)} work" + (f" ({reasons})" if failed else ""),
    )


def ours() -> Outcome:
    """Every callback that changes a training, in a plain Trainer, alone and all together."""
    from transformers import Trainer

    from hf_transfer_kit.callbacks.ewc import EWC
    from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
    from hf_transfer_kit.callbacks.l2sp import L2SP
    from hf_transfer_kit.callbacks.replay import Replay

    def with_callbacks(*made: Callable[[list], Any]) -> Try:
        def train(model: Any, data: list) -> None:
            old = rows(32, seed=9, language=data[0]["labels"].ndim > 0)
            with tempfile.TemporaryDirectory() as folder:
                settings = arguments(folder, max_steps=-1, num_train_epochs=2, per_device_train_batch_size=8)
                Trainer(model, settings, train_dataset=data, callbacks=[each(old) for each in made]).train()

        return train

    methods: dict[str, tuple[Callable[[list], Any], ...]] = {
        "EWC": (EWC,), "L2-SP": (lambda old: L2SP(),), "replay": (Replay,),
        "DER++": (lambda old: Replay(old, distill=0.5),), "unfreezing": (lambda old: GradualUnfreezing(0.5),),
    }  # fmt: skip
    methods["all of them"] = (EWC, Replay, lambda old: GradualUnfreezing(0.5))
    tried = {
        f"{name}, {kind}": attempt(make, with_callbacks(*made), language=kind == "language model")
        for name, made in methods.items()
        for kind, make in MODELS.items()
    }
    return outcome(tried, "callbacks in a plain Trainer")


def clearn() -> Outcome:
    """ContinualTrainer on the model, its way to transformers; and `fit` with a DataLoader of dicts."""
    import clearn as library
    from clearn.integrations.huggingface import ContinualTrainer
    from torch.optim import SGD
    from torch.utils.data import DataLoader

    def by_trainer(strategy: str) -> Try:
        def train(model: Any, data: list) -> None:
            wrapped = library.wrap(model, strategy=strategy)
            with tempfile.TemporaryDirectory() as folder:
                settings = arguments(folder, max_steps=4)
                ContinualTrainer(model=wrapped, args=settings, train_dataset=data, task_id="new").train()

        return train

    def by_fit(strategy: str) -> Try:
        def train(model: Any, data: list) -> None:
            wrapped = library.wrap(model, strategy=strategy)
            for task in ("first", "second"):
                wrapped.fit(DataLoader(data, batch_size=8), SGD(model.parameters(), lr=0.05), task_id=task)

        return train

    strategies = ("ewc", "si", "der", "gem")
    tried = {f"{name} by ContinualTrainer, {kind}": attempt(make, by_trainer(name), language=kind != "classifier")
             for name in strategies for kind, make in MODELS.items()}  # fmt: skip
    tried |= {f"{name} by fit, classifier": attempt(classifier, by_fit(name)) for name in strategies}
    return outcome(tried, "its strategies")


def avalanche() -> Outcome:
    """The strategy for batches of transformers as its example has it, with EWC's and Replay's plugins."""
    import torch
    from avalanche.benchmarks.scenarios.dataset_scenario import benchmark_from_datasets
    from avalanche.benchmarks.utils import AvalancheDataset, ConstantSequence, DataAttribute
    from avalanche.training import Naive
    from avalanche.training.plugins import EvaluationPlugin, EWCPlugin, ReplayPlugin
    from transformers import default_data_collator

    class OnDicts(Naive):
        """Reads what a batch of transformers holds by name."""

        @property
        def mb_x(self):
            return self.mbatch["input_ids"]

        @property
        def mb_y(self):
            return self.mbatch["labels"]

        def _unpack_minibatch(self):
            self.mbatch = {name: value.to(self.device) for name, value in self.mbatch.items()}

        def forward(self):
            return self.model(input_ids=self.mb_x, attention_mask=self.mbatch["attention_mask"]).logits

    def dataset(data: list) -> Any:
        task = DataAttribute(ConstantSequence(0, len(data)), "targets_task_labels")
        targets = DataAttribute([int(row["labels"]) for row in data], "targets")
        return AvalancheDataset([data], data_attributes=[targets, task], collate_fn=default_data_collator)

    def with_plugins(*plugins: Callable[[], Any]) -> Try:
        def train(model: Any, data: list) -> None:
            stream = benchmark_from_datasets(train=[dataset(data), dataset(data)]).train_stream
            strategy = OnDicts(
                model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
                criterion=torch.nn.CrossEntropyLoss(), train_mb_size=8, plugins=[each() for each in plugins],
                evaluator=EvaluationPlugin(loggers=[]),
            )  # fmt: skip
            for each in stream:
                strategy.train(each)

        return train

    plugins: dict[str, tuple[Callable[[], Any], ...]] = {
        "plain": (), "EWC": (lambda: EWCPlugin(ewc_lambda=1.0),), "replay": (lambda: ReplayPlugin(mem_size=16),),
    }  # fmt: skip
    tried = {f"{name}, classifier": attempt(classifier, with_plugins(*made)) for name, made in plugins.items()}
    return outcome(tried, "plugins in the strategy of its example")


def setfit() -> Outcome:
    """Its Trainer as its documentation begins; the metric is a function, since its default one lies on the hub."""
    from setfit import SetFitModel, Trainer, TrainingArguments

    from benchmarks.behaviours.tiny_texts import labelled_texts, tiny_encoder

    def share_right(predicted: Any, labels: Any) -> float:
        return sum(str(p) == str(t) for p, t in zip(predicted, labels, strict=True)) / len(labels)

    with tempfile.TemporaryDirectory() as folder:
        model = SetFitModel.from_pretrained(str(tiny_encoder(Path(folder))))
        before = weights(model.model_body)
        settings = TrainingArguments(output_dir=folder, batch_size=8, num_epochs=1, max_steps=10, report_to="none")
        data = labelled_texts()
        trainer = Trainer(model=model, args=settings, train_dataset=data, eval_dataset=data, metric=share_right)
        trainer.train()
        trainer.evaluate()
        moved = int((weights(model.model_body) != before).sum())
    return outcome({"training and evaluation": f"{moved} of {len(before)} weights moved"}, "its Trainer")


def transformer_ranker() -> Outcome:
    """Ranking of two tiny encoders; it trains nothing, so finite scores stand for it."""
    import math

    from transformer_ranker import TransformerRanker

    from benchmarks.behaviours.tiny_texts import labelled_texts, tiny_encoder

    def scores(names: list[str], estimator: str) -> str:
        ranker = TransformerRanker(labelled_texts(), text_column="text", label_column="label")
        result = ranker.run(names, estimator=estimator, batch_size=8, device="cpu")
        return "scores are finite" if all(map(math.isfinite, result.scores.values())) else "scores that are nan"

    tried = {}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        names = [str(tiny_encoder(Path(folder))) for folder in (one, other)]
        for estimator in ("hscore", "logme", "knn"):
            try:
                tried[estimator] = scores(names, estimator)
            except Exception as error:  # noqa: BLE001 - whatever a peer raises is its result
                tried[estimator] = first_line(error)
    return outcome(tried, "its estimators")


SIDES = {
    "ours": ours,
    "clearn-ai": clearn,
    "avalanche-lib": avalanche,
    "setfit": setfit,
    "transformer-ranker": transformer_ranker,
}

if __name__ == "__main__":
    command(ROW, SIDES)
