"""Gradients under accumulation: a step on 16 rows, as one batch of 16 and as four of 4, must end alike.

`measured` has, by model, the length of the whole update with accumulation over that without (1 is right) and the
length of the difference, relative to the update. Tolerance: 1e-3 of the update.
"""

import tempfile
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.behaviours.outcome import Outcome, command
from benchmarks.behaviours.tiny import arguments, classifier, language_model, rows, weights

ROW = "gradients under accumulation"
TOLERANCE, STEPS = 1e-3, 1
WAYS = {1: 16, 4: 4}  # accumulation: rows of a micro-batch

Train = Callable[[Any, Any, list], Any]  # (model, arguments, rows) -> the trained model


def updates(make: Callable[[], Any], train: Train, *, language: bool = False) -> dict[str, float]:
    """Length of the accumulated update relative to the plain one, and of their difference."""
    data, moved = rows(16 * STEPS, language=language), []
    for accumulation, size in WAYS.items():
        model = make()
        before = weights(model)
        with tempfile.TemporaryDirectory() as folder:
            settings = arguments(
                folder, max_steps=STEPS, per_device_train_batch_size=size, gradient_accumulation_steps=accumulation,
                train_sampling_strategy="sequential",
            )  # fmt: skip
            moved.append(weights(train(model, settings, data)) - before)
    plain, accumulated = moved
    return {
        "length_ratio": round((accumulated.norm() / plain.norm()).item(), 4),
        "difference": float(f"{((accumulated - plain).norm() / plain.norm()).item():.2g}"),
    }


def declared_classifier() -> Any:
    """The classifier, with the promise taken back that its loss divides by `num_items_in_batch`."""
    model = classifier()
    model.accepts_loss_kwargs = False
    return model


def ours() -> Outcome:
    """EWC in a plain Trainer: the update with its pull."""
    from transformers import Trainer

    from hf_transfer_kit.callbacks.ewc import EWC

    def train(model: Any, settings: Any, data: list) -> Any:
        language = data[0]["labels"].ndim > 0
        old = rows(32, seed=9, language=language)
        Trainer(model, settings, train_dataset=data, callbacks=[EWC(old, strength=100.0)]).train()
        return model

    language = updates(language_model, train, language=True)
    declared = updates(declared_classifier, train)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        as_it_comes = updates(classifier, train)
    warned = any("times too large" in str(warning.message) for warning in caught)
    holds = max(language["difference"], declared["difference"]) <= TOLERANCE and warned
    return Outcome(
        holds=holds,
        measured={
            "language_model": language, "classifier_after_advice": declared, "classifier_as_it_comes": as_it_comes,
            "warned_with_the_remedy": warned,
        },
        says=f"the update with EWC differs by {max(language['difference'], declared['difference']):.1e}; on a "
        f"classifier as it comes the Trainer's own step is {as_it_comes['length_ratio']:.1f} times too long, and the "
        f"kit {'warns and names the setting that repairs it' if warned else 'does not warn'}",
    )  # fmt: skip


def transformers() -> Outcome:
    """The Trainer by itself."""
    from transformers import Trainer

    def train(model: Any, settings: Any, data: list) -> Any:
        Trainer(model, settings, train_dataset=data).train()
        return model

    language, classes = updates(language_model, train, language=True), updates(classifier, train)
    return Outcome(
        holds=max(language["difference"], classes["difference"]) <= TOLERANCE,
        measured={"language_model": language, "classifier_as_it_comes": classes},
        says=f"right for a language model (difference {language['difference']:.1e}); for a classifier the update is "
        f"{classes['length_ratio']:.1f} times as long",
    )


def clearn() -> Outcome:
    """Its ContinualTrainer as installed; and once more with the one signature repaired that stops it."""
    import clearn as library
    from clearn.integrations import huggingface
    from transformers import Trainer

    def train(model: Any, settings: Any, data: list) -> Any:
        wrapped = library.wrap(model, strategy="ewc")
        huggingface.ContinualTrainer(model=wrapped, args=settings, train_dataset=data, task_id="new")._trainer.train()
        return model

    installed: str | dict[str, float]
    try:
        installed = updates(language_model, train, language=True)
    except TypeError as error:
        installed = f"TypeError: {error}"
    huggingface._ContinualHFTrainer.training_step = Trainer.training_step  # its own adds a hook that EWC leaves empty
    repaired = {"language_model": updates(language_model, train, language=True)}
    holds = isinstance(installed, dict) and installed["difference"] <= TOLERANCE
    return Outcome(
        holds=holds,
        measured={"as_installed": installed, "training_step_repaired": repaired},
        says=f"as installed: {installed}; with that method taken out, the update on a language model is "
        f"{repaired['language_model']['length_ratio']:.1f} times as long",
    )


SIDES = {"ours": ours, "transformers": transformers, "clearn-ai": clearn}

if __name__ == "__main__":
    command(ROW, SIDES)
