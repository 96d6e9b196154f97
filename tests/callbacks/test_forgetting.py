import json
import math
import random
import shutil

import numpy as np
import pytest
import torch
from tiny_training import assert_same_bits, make_args, make_data, make_model, weights
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback

from hf_transfer_kit import continual
from hf_transfer_kit.callbacks.forgetting import ForgettingMonitor
from hf_transfer_kit.errors import DataError, OutputError, PlanError, UnsupportedSetupError

OLD, OTHER, NEW = make_data(20, seed=5), make_data(9, seed=7), make_data(12, seed=6)
EVALUATED = {"eval_strategy": "steps", "eval_steps": 2, "lr_scheduler_type": "constant"}


def run(folder, callbacks, *, model=None, data=None, new=NEW, resume=None, kind=Trainer, metrics=None, **settings):
    trainer = kind(
        model=model or make_model(dropout=0.3), args=make_args(folder, **settings), train_dataset=data or make_data(),
        eval_dataset=new, callbacks=callbacks, compute_metrics=metrics,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def entries(trainer, key="forgetting"):
    return [entry for entry in trainer.state.log_history if key in entry]


def accuracy_of(model, data):
    """One example at a time, without a Trainer."""
    right = []
    for row in data:
        inputs = {name: row[name][None] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            right.append(int(model.eval()(**inputs).logits.argmax()) == row["labels"])
    return sum(right) / len(right)


class Scripted:
    """A compute_metrics that answers accuracies from a list, in the order in which sets are scored."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, prediction):
        return {"accuracy": self.answers.pop(0)}


class EvaluatesFirst(Trainer):
    """With persistent workers, it holds a data loader for "the" eval set before training begins."""

    def train(self, *args, **kwargs):
        self.evaluate()
        return super().train(*args, **kwargs)


class Recorder(TrainerCallback):
    """The weights at every step, and how often it heard of an evaluation."""

    def __init__(self):
        self.at, self.heard = {}, []

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.at[0] = weights(model)

    def on_step_end(self, args, state, control, model, **kwargs):
        self.at[state.global_step] = weights(model)

    def on_prediction_step(self, args, state, control, **kwargs):
        self.heard.append("prediction step")

    def on_evaluate(self, args, state, control, **kwargs):
        self.heard.append("evaluate")


@pytest.mark.parametrize("every_steps", [None, 1])
@pytest.mark.parametrize(
    "settings",
    [{}, EVALUATED, EVALUATED | {"gradient_accumulation_steps": 2, "logging_strategy": "steps", "logging_steps": 1}],
)
def test_watching_changes_nothing_in_the_training(settings, every_steps, tmp_path):
    with_monitor, without = Recorder(), Recorder()
    monitor = ForgettingMonitor({"a": OLD, "b": OTHER}, stop_below=0.0, roll_back=True, every_steps=every_steps)
    states, losses = [], []
    for folder, callbacks in (("a", [with_monitor]), ("b", [without, monitor])):
        trainer = run(tmp_path / folder, callbacks, **settings)
        states.append((random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()))
        losses.append([entry["loss"] for entry in entries(trainer, "loss")])

    assert_same_bits(with_monitor.at[max(with_monitor.at)], without.at[max(without.at)])
    assert with_monitor.heard == without.heard
    assert states[0] == states[1] and losses[0] == losses[1]
    assert "logging_strategy" not in settings or len(losses[0]) > 0


@pytest.mark.parametrize("workers", [0, 1])
def test_scores_are_those_of_evaluating_by_hand(workers, tmp_path):
    workers = {"dataloader_num_workers": workers, "dataloader_persistent_workers": workers > 0}
    model, monitor = make_model(), ForgettingMonitor({"a": OLD, "b": OTHER})
    expected = [accuracy_of(model, data) for data in (OLD, OTHER, NEW)]
    epochs = {"eval_strategy": "epoch", "num_train_epochs": 2}
    trainer = run(tmp_path, [monitor], model=model, kind=EvaluatesFirst, **epochs, **workers)
    first, *_, last = entries(trainer)

    assert [first[key] for key in ("old_a_accuracy", "old_b_accuracy", "new_accuracy")] == pytest.approx(expected)
    assert (first["step"], first["forgetting"]) == (0, 0.0)
    assert first["average_accuracy"] == pytest.approx(np.mean(expected))
    after = [accuracy_of(model, data) for data in (OLD, OTHER, NEW)]
    assert [last[key] for key in ("old_a_accuracy", "old_b_accuracy", "new_accuracy")] == pytest.approx(after)
    lost = np.mean([before - now for before, now in zip(expected[:2], after[:2], strict=True)])
    assert last["forgetting"] == pytest.approx(lost) and last["backward_transfer"] == pytest.approx(-lost)
    plain = Trainer(model=model, args=make_args(tmp_path))
    assert last["old_b_loss"] == pytest.approx(plain.evaluate(OTHER)["eval_loss"], rel=1e-6)
    evaluated = entries(trainer, "eval_loss")[-1]["eval_loss"]
    assert evaluated == pytest.approx(plain.evaluate(NEW)["eval_loss"], rel=1e-6)


def test_scores_the_old_once_per_step_after_the_last_of_several_new_sets(tmp_path):
    calls = []

    def share(prediction):
        calls.append(len(prediction.label_ids))
        return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}

    monitor = ForgettingMonitor(OLD)
    new = {"x": NEW, "y": OTHER}
    trainer = run(tmp_path, [monitor], new=new, metrics=share, **EVALUATED | {"eval_on_start": True})
    scored = entries(trainer)

    assert [entry["step"] for entry in scored] == [0, 2, 4, 6, 8, 10, 12]
    assert calls == [20, 12, 9] + [12, 9] + [12, 9, 20] * 6  # before the first step, eval_on_start, six evaluations
    for x, y, old in zip(
        entries(trainer, "eval_x_accuracy"), entries(trainer, "eval_y_accuracy"), scored, strict=True
    ):
        mean = (x["eval_x_accuracy"] + y["eval_y_accuracy"]) / 2
        assert old["new_accuracy"] == pytest.approx(mean)
        assert old["average_accuracy"] == pytest.approx((mean + old["old_old_accuracy"]) / 2)
    trainer.evaluate()
    assert len(entries(trainer)) == 7  # after the training, evaluations are the user's own


def test_follows_its_own_clock_and_scores_the_end(tmp_path):
    trainer = run(tmp_path, [ForgettingMonitor(OLD, every_steps=5)])
    assert [entry["step"] for entry in entries(trainer)] == [0, 5, 10, 12]


def test_stops_once_an_old_score_is_below_and_goes_back_to_the_best_state(tmp_path):
    # start: old, new; then per evaluation the Trainer scores the new set first; in the end the state gone back to
    script = Scripted(0.9, 0.5, *(0.6, 0.85), *(0.75, 0.8), *(0.7, 0.78), *(0.99, 0.74), *(0.8, 0.75))
    recorder, monitor = Recorder(), ForgettingMonitor(OLD, stop_below=0.75, roll_back=True)
    trainer = run(tmp_path, [monitor, recorder], metrics=script, **EVALUATED)

    assert trainer.state.global_step == 8 and not script.answers
    assert monitor.stopped == "old at 0.74, limit 0.75 (step 8)"
    assert_same_bits(weights(trainer.model), recorder.at[4])
    assert monitor.matrix.tolist() == [[0.9, 0.5], [0.8, 0.75]]
    summary = monitor.summary(baseline=0.25)
    assert summary.forgetting == pytest.approx(0.1) and summary.forward_transfer == pytest.approx(0.25)
    assert json.loads(json.dumps(monitor.to_dict()))["tasks"] == ["old", "task_1"]


def test_without_roll_back_the_weights_stay_where_training_stopped(tmp_path):
    script = Scripted(0.9, 0.5, *(0.6, 0.74))
    recorder, monitor = Recorder(), ForgettingMonitor(OLD, stop_below={"old": 0.75})
    trainer = run(tmp_path, [monitor, recorder], metrics=script, **EVALUATED)
    assert trainer.state.global_step == 2
    assert_same_bits(weights(trainer.model), recorder.at[2])
    assert not (tmp_path / "hf_transfer_kit").exists()


class Normalized(nn.Module):
    """A classifier with running statistics."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def forward(self, input_ids, attention_mask, labels=None):
        logits = self.body(input_ids.float())
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_a_training_that_ends_below_returns_to_the_start_with_its_running_statistics(tmp_path):
    script = Scripted(0.9, 0.5, *(0.1, 0.99), *(0.9, 0.5))
    model = Normalized()
    before = weights(model)
    monitor = ForgettingMonitor(OLD, stop_below=0.5, roll_back=True)
    run(tmp_path, [monitor], model=model, metrics=script)
    assert_same_bits(weights(model), before)


def test_a_score_that_is_no_number_counts_as_below(tmp_path):
    monitor = ForgettingMonitor(OLD, stop_below=0.5)
    trainer = run(tmp_path, [monitor], metrics=Scripted(0.9, 0.5, *(0.6, float("nan"))), **EVALUATED)
    assert trainer.state.global_step == 2 and "nan" in monitor.stopped


def test_the_best_model_that_the_trainer_loads_is_judged_as_it_is(tmp_path):
    # the new set is best at step 2, the average at step 4; at step 6 the old one is below, and training stops
    script = Scripted(0.9, 0.1, *(0.9, 0.6), *(0.8, 0.95), *(0.3, 0.2), *(0.6, 0.9))
    recorder, monitor = Recorder(), ForgettingMonitor(OLD, stop_below=0.5, roll_back=True)
    best = {"save_strategy": "steps", "save_steps": 2, "load_best_model_at_end": True}
    trainer = run(tmp_path, [monitor, recorder], metrics=script, metric_for_best_model="accuracy", **EVALUATED | best)
    assert trainer.state.global_step == 6 and not script.answers
    assert_same_bits(weights(trainer.model), recorder.at[2])
    assert monitor.matrix[-1].tolist() == [0.6, 0.9]


def test_a_set_that_starts_below_is_watched_with_a_warning(tmp_path):
    monitor = ForgettingMonitor({"a": OLD, "b": OTHER}, stop_below=0.8)
    script = Scripted(0.9, 0.3, 0.5, *(0.6, 0.85, 0.2), *(0.7, 0.85, 0.1))
    with pytest.warns(UserWarning, match=r"'b' starts at 0.3, past stop_below=0.8 already"):
        trainer = run(tmp_path, [monitor], metrics=script, max_steps=4, **EVALUATED)
    assert trainer.state.global_step == 4 and monitor.stopped is None


def rising_old_loss(tmp_path):
    """Data with other labels than the old, and a limit that the old loss passes at step 8."""
    data = [row | {"labels": 2} for row in make_data(32, seed=8)]
    trainer = run(tmp_path / "probe", [ForgettingMonitor(OLD, metric="loss")], data=data, new=data, **EVALUATED)
    losses = {entry["step"]: entry["old_old_loss"] for entry in entries(trainer)}
    assert max(losses[step] for step in (0, 2, 4, 6)) < losses[8]
    return data, (max(losses[step] for step in (0, 2, 4, 6)) + losses[8]) / 2


def test_a_resumed_run_stops_and_returns_where_the_unbroken_one_does(tmp_path):
    data, limit = rising_old_loss(tmp_path)

    def watched(folder, callbacks=(), **settings):
        monitor = ForgettingMonitor(OLD, stop_below=limit, roll_back=True, metric="loss")
        saved = EVALUATED | {"save_strategy": "steps", "save_steps": 2, "num_train_epochs": 4}
        trainer = run(folder, [monitor, *callbacks], data=data, new=data, **saved, **settings)
        return trainer, monitor

    recorder = Recorder()
    unbroken, first = watched(tmp_path / "whole", [recorder])
    kept = [step for step, state in recorder.at.items() if torch.equal(
        state["classifier.weight"], unbroken.model.classifier.weight)]  # fmt: skip
    assert unbroken.state.global_step == 8 and first.stopped and kept[0] not in (0, 8)
    for step in (2, 4, 6):  # before and after the state that was kept; the file may be newer than the checkpoint
        folder = tmp_path / f"from {step}"
        shutil.copytree(tmp_path / "whole", folder)
        resumed, second = watched(folder, resume=str(folder / f"checkpoint-{step}"))
        assert_same_bits(weights(resumed.model), weights(unbroken.model))
        assert second.stopped == first.stopped
        np.testing.assert_array_equal(second.matrix, first.matrix)
        assert entries(resumed) == entries(unbroken)
        elsewhere, _ = watched(tmp_path / f"elsewhere {step}", resume=str(folder / f"checkpoint-{step}"))
        assert_same_bits(weights(elsewhere.model), weights(unbroken.model))

    shutil.rmtree(folder / "hf_transfer_kit")
    with pytest.raises(OutputError, match=r"rollback.safetensors' is missing"):
        watched(folder, resume=str(folder / "checkpoint-4"))


def test_a_new_training_does_not_go_back_to_the_weights_of_an_earlier_one(tmp_path):
    model = make_model(seed=3)
    before = weights(model)
    for script in (Scripted(0.9, 0.9, *(0.9, 0.9)), Scripted(0.9, 0.2, *(0.1, 0.1), *(0.9, 0.2))):
        trainer = run(
            tmp_path, [ForgettingMonitor(OLD, stop_below=0.5, roll_back=True)], metrics=script,
            model=make_model() if len(script.answers) == 4 else model,
        )  # fmt: skip
    assert_same_bits(weights(trainer.model), before)


def test_what_was_new_in_one_training_is_old_in_the_next(tmp_path):
    monitor, model = ForgettingMonitor({"a": OLD}), make_model()
    sets = {"a": OLD, "task_1": NEW, "task_2": OTHER}
    expected = [[accuracy_of(model, data) for data in sets.values()]]
    for number, new in enumerate((NEW, OTHER)):
        run(tmp_path / str(number), [monitor], model=model, data=new, new=new, learning_rate=3e-2)
        expected.append([accuracy_of(model, data) for data in sets.values()])
    expected[0][2] = np.nan  # the second task was not known yet
    summary = monitor.summary(baseline=1 / 3)

    np.testing.assert_allclose(monitor.matrix, expected)
    full = np.array(expected)
    assert summary.average_accuracy == continual.average_accuracy(full)
    assert summary.backward_transfer == continual.backward_transfer(full)
    assert summary.forward_transfer == continual.forward_transfer(full, 1 / 3)
    assert summary.forgetting == continual.forgetting(full)
    assert monitor.to_dict()["tasks"] == list(sets) == list(monitor.old_eval_sets)


def test_a_trainer_without_eval_set_watches_the_old_ones(tmp_path):
    monitor = ForgettingMonitor(OLD, every_steps=6)
    trainer = run(tmp_path, [monitor], new=None)
    last = entries(trainer)[-1]
    assert last["average_accuracy"] == last["old_old_accuracy"] and "new_accuracy" not in last
    assert monitor.summary().average_accuracy == last["old_old_accuracy"]


@pytest.mark.parametrize("metric", ["loss", "perplexity"])
def test_language_models_are_scored_by_loss_or_perplexity(metric, tmp_path):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=40, n_embd=8, n_layer=1, n_head=2, n_positions=8, initializer_range=0.5)
    model = GPT2LMHeadModel(config)
    model.loss_type = "ForCausalLM"  # else the Trainer divides by one token too many per row (5.23)
    texts = [{"input_ids": row["input_ids"], "labels": row["input_ids"]} for row in make_data(8, length=8)]
    with torch.no_grad():
        by_hand = np.mean([model.eval()(**{k: v[None] for k, v in row.items()}).loss.item() for row in texts])
    by_hand = by_hand if metric == "loss" else math.exp(by_hand)
    monitor = ForgettingMonitor(texts, metric=metric, stop_below=1.02 * by_hand)
    scrambled = [{name: row.flip(0) for name, row in text.items()} for text in texts]
    trainer = run(tmp_path, [monitor], model=model, data=scrambled, new=scrambled, num_train_epochs=60, **EVALUATED)
    first, *_, last = entries(trainer)

    assert first[f"old_old_{metric}"] == pytest.approx(by_hand, rel=1e-5)
    now = trainer.evaluate(texts)["eval_loss"]
    assert last[f"old_old_{metric}"] == pytest.approx(now if metric == "loss" else math.exp(now), rel=1e-5)
    assert last["forgetting"] == pytest.approx(last[f"old_old_{metric}"] - first[f"old_old_{metric}"])
    mean = (last[f"old_old_{metric}"] + last[f"new_{metric}"]) / 2
    assert last[f"average_{metric}"] == pytest.approx(mean)
    assert monitor.matrix[-1].tolist() == [-last[f"old_old_{metric}"], -last[f"new_{metric}"]]
    stopped = trainer.state.global_step < trainer.state.max_steps
    assert stopped == (last[f"old_old_{metric}"] > 1.02 * by_hand) == (monitor.stopped is not None)


def test_what_a_trainer_sums_up_in_its_prediction_steps_stays_its_own(tmp_path):
    class Summing(Trainer):
        def __init__(self, *args, **kwargs):
            self._metrics = {"eval": []}
            super().__init__(*args, **kwargs)

        def prediction_step(self, *args, **kwargs):
            self._metrics["eval"].append(1)
            return super().prediction_step(*args, **kwargs)

    counts = []
    for folder, callbacks in (("a", []), ("b", [ForgettingMonitor(OLD)])):
        trainer = run(tmp_path / folder, callbacks, kind=Summing, **EVALUATED)
        counts.append(trainer._metrics)
    assert counts[0] == counts[1]


def test_a_metric_that_nobody_computes_is_an_error_before_the_first_step(tmp_path):
    recorder = Recorder()
    with pytest.raises(PlanError, match=r"metric='f1' is neither in what compute_metrics returns \(accuracy, loss\)"):
        run(tmp_path, [ForgettingMonitor(OLD, metric="f1"), recorder], metrics=Scripted(0.5))
    model = make_model()
    model.config.output_hidden_states = True  # predictions are a tuple then
    with pytest.raises(PlanError, match="add it to the Trainer's compute_metrics"):
        run(tmp_path, [ForgettingMonitor(OLD), recorder], model=model)
    unlabelled = [{"input_ids": row["input_ids"]} for row in OLD]
    with pytest.raises(DataError, match="metric='loss' needs a loss"):
        run(tmp_path, [ForgettingMonitor(unlabelled, metric="loss"), recorder])
    assert not recorder.at.keys() - {0}


def test_the_metric_of_a_model_with_more_outputs_comes_from_compute_metrics(tmp_path):
    model = make_model()
    model.config.output_hidden_states = True

    def share(prediction):
        return {"accuracy": float((prediction.predictions[0].argmax(-1) == prediction.label_ids).mean())}

    expected = accuracy_of(make_model(), OLD)
    trainer = run(tmp_path, [ForgettingMonitor(OLD)], model=model, metrics=share, max_steps=1)
    assert entries(trainer)[0]["old_old_accuracy"] == pytest.approx(expected)


def test_wrong_settings_say_what_to_do(tmp_path):
    with pytest.raises(PlanError, match="give stop_below"):
        ForgettingMonitor(OLD, roll_back=True)
    with pytest.raises(PlanError, match="did you mean 'banking'"):
        ForgettingMonitor({"banking": OLD}, stop_below={"bankin": 0.5})
    with pytest.raises(PlanError, match="every_steps=0"):
        ForgettingMonitor(OLD, every_steps=0)
    with pytest.raises(DataError, match="no training has ended"):
        ForgettingMonitor(OLD).summary()
    with pytest.raises(PlanError, match="two callbacks ForgettingMonitor"):
        run(tmp_path, [ForgettingMonitor(OLD), ForgettingMonitor(OTHER)])
    trainer = Trainer(model=make_model(), args=make_args(tmp_path), train_dataset=make_data())
    trainer.create_optimizer()
    monitor = ForgettingMonitor(OLD)
    with pytest.raises(UnsupportedSetupError, match=r"attach\(trainer\)"):
        monitor.on_train_begin(
            trainer.args, trainer.state, trainer.control, trainer.model, trainer.optimizer,
            trainer.get_train_dataloader(),
        )  # fmt: skip
