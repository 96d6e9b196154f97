"""The training loop against plain torch; accumulation, resuming, early stopping, settings that pass through."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback, get_linear_schedule_with_warmup
from transformers.integrations import integration_utils

from hf_transfer_kit.approaches.build import build
from hf_transfer_kit.approaches.loop import (
    BEST_FILE,
    LoopCallback,
    history,
    last_checkpoint,
    loss_per_labelled_row,
    remove_checkpoints,
    train,
)
from hf_transfer_kit.approaches.rows import IGNORED, BatchOrder, Rows
from hf_transfer_kit.approaches.trained import TrainedFit
from hf_transfer_kit.errors import MissingExtraError, PlanError, UnsupportedSetupError
from hf_transfer_kit.events import read_events
from hf_transfer_kit.metrics import log_softmax, negative_log_likelihood
from hf_transfer_kit.plan import Full, Lora, Scratch, TopLayers, Training


def rows_of(job, built, part: str) -> Rows:
    return Rows(job.task, built.processor, job.inputs(part), job.labels(part), job.plan.data.max_length)


def train_job(job, callbacks=(), sgd=None):
    """(built, trainer) after training as the trained approaches do, without their cache and scoring.

    With `sgd`, a learning rate, plain gradient descent takes the place of AdamW, which hides the scale of the loss.
    """
    built = build(job)
    optimizer = torch.optim.SGD(built.optimizer.param_groups[0]["params"], lr=sgd) if sgd else built.optimizer
    for group in built.optimizer.param_groups[1:] if sgd else []:
        optimizer.add_param_group({"params": group["params"]})
    trainer = train(
        built.model, optimizer, rows_of(job, built, "train"), rows_of(job, built, "validation"), job.plan.training,
        seed=job.plan.seed, folder=job.folder / "checkpoints", events=job.events, callbacks=tuple(callbacks),
    )  # fmt: skip
    return built, trainer


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


# --- the loss -------------------------------------------------------------------------------------------------------


def test_gradients_of_micro_batches_add_up_to_those_of_plain_cross_entropy_over_the_global_batch():
    torch.manual_seed(0)
    layer, x, labels = torch.nn.Linear(4, 3), torch.randn(10, 4), torch.randint(0, 3, (10,))
    cross_entropy(layer(x), labels).backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    padded_x = torch.cat([x, x[:2]])
    padded_labels = torch.cat([labels, torch.tensor([IGNORED, IGNORED])])
    for part in range(0, 12, 4):
        outputs = hf.modeling_outputs.SequenceClassifierOutput(logits=layer(padded_x[part : part + 4]))
        loss_per_labelled_row(outputs, padded_labels[part : part + 4], torch.tensor(10)).backward()
    torch.testing.assert_close(layer.weight.grad, expected)


def test_the_loss_of_fillers_alone_is_zero_and_has_no_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    outputs = hf.modeling_outputs.SequenceClassifierOutput(logits=logits)
    for count in (None, torch.tensor(5)):
        loss = loss_per_labelled_row(outputs, torch.tensor([IGNORED, IGNORED]), count)
        assert loss == 0
        assert not torch.autograd.grad(loss, logits, retain_graph=True)[0].any()


# --- the loop against plain torch -----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "vit"])
def test_training_is_adamw_on_mean_cross_entropy_with_clipping_and_a_linear_schedule(architecture, make_job):
    job = make_job(architecture, Full(), train_size=21, epochs=3, min_steps=0, batch_size=8, warmup_share=0.2)
    built, trainer = train_job(job)

    plain = build(job)
    rows, validation = rows_of(job, plain, "train"), rows_of(job, plain, "validation")
    order = BatchOrder(rows.lengths, 8, fill=False, seed=0)
    schedule = get_linear_schedule_with_warmup(plain.optimizer, 2, 9)  # 3 epochs of 3 steps, 0.2 of them rounded up
    losses, best = [], {}
    for epoch in range(3):
        plain.model.train()
        for numbers in order.batches(epoch):
            batch = rows.collate([rows[int(i)] for i in numbers])
            cross_entropy(plain.model(**batch).logits, batch["labels"]).backward()
            torch.nn.utils.clip_grad_norm_(plain.model.parameters(), 1.0)
            plain.optimizer.step()
            schedule.step()
            plain.model.zero_grad()
        plain.model.eval()
        batch = validation.collate([validation[i] for i in range(len(validation))])
        with torch.no_grad():
            losses.append(cross_entropy(plain.model(**batch).logits, batch["labels"]).item())
        if losses[-1] == min(losses):
            best = weights_of(plain.model)

    assert history(trainer.state)["validation_nll"] == pytest.approx(losses, abs=1e-5)
    assert largest_difference(weights_of(built.model), best) < 1e-5


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "vit", "resnet"])
def test_one_times_sixteen_equals_two_times_eight_and_four_times_four(architecture, make_job):
    results, numbers = [], []
    for accumulation in (1, 2, 4):
        job = make_job(architecture, Full(), train_size=21, epochs=3, batch_size=16, accumulation=accumulation)
        built, trainer = train_job(job, sgd=0.05)
        assert trainer.state.global_step == 6  # 21 rows: a whole batch and an incomplete one in each of three epochs
        results.append(weights_of(built.model))
        logged = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
        numbers.append([entry[name] for entry in logged for name in ("loss", "grad_norm")])
    start = weights_of(build(job).model)
    assert largest_difference(start, results[0]) > 1e-3
    for other in (1, 2):
        assert largest_difference(results[0], results[other]) < 1e-5
        assert numbers[other] == pytest.approx(numbers[0], rel=1e-3)  # clipping would hide the scale of the loss


def test_adapters_accumulate_to_the_same_result_too(make_job):
    first, second = (
        train_job(make_job("bert", Lora(rank=2), train_size=21, epochs=3, batch_size=16, accumulation=n), sgd=0.05)
        for n in (1, 4)
    )
    assert largest_difference(weights_of(first[0].model), weights_of(second[0].model)) < 1e-5


def test_a_last_batch_of_one_row_does_not_stop_a_batch_norm_that_trains(make_job):
    job = make_job("mobilenet v1", Scratch(), train_size=9, epochs=1, batch_size=8)  # the last maps are 1 x 1 pixel
    _, trainer = train_job(job)
    assert trainer.state.global_step == trainer.state.max_steps >= 2


# --- how long, and which weights ------------------------------------------------------------------------------------


def test_the_weights_that_stay_are_those_of_the_lowest_validation_loss(make_job):
    job = make_job("bert", Full(learning_rate=4e-3), train_size=40, epochs=10, batch_size=8, patience=10)
    built, trainer = train_job(job)
    losses = history(trainer.state)["validation_nll"]
    assert min(losses) < losses[-1] - 0.1 and losses.index(min(losses)) < 9
    validation = rows_of(job, built, "validation")
    batch = validation.collate([validation[i] for i in range(len(validation))])
    labels = batch.pop("labels").numpy()
    built.model.eval()
    with torch.no_grad():
        logits = built.model(**batch).logits.numpy()
    assert negative_log_likelihood(log_softmax(logits), labels) == pytest.approx(min(losses), abs=1e-5)


def test_running_statistics_belong_to_the_weights_that_stay(make_job):
    class SpoilAfterwards(TrainerCallback):
        def on_evaluate(self, args, state, control, model, **kwargs):
            if state.global_step == 3:
                self.best = weights_of(model)
                with torch.no_grad():
                    model.classifier[1].weight.mul_(1000)

    spoil = SpoilAfterwards()
    job = make_job("resnet", Scratch(), train_size=24, epochs=2, min_steps=0)
    built, trainer = train_job(job, [spoil])
    assert (history(trainer.state)["best_step"], trainer.state.global_step) == (3, 6)
    stays = {name: value for name, value in weights_of(built.model).items() if "num_batches" not in name}
    assert largest_difference(stays, {name: spoil.best[name] for name in stays}) == 0


def test_a_resumed_epoch_has_the_order_of_its_number():
    order = BatchOrder(np.ones(4, dtype=np.int64), 2, fill=True, seed=0)
    loop = LoopCallback(order, Training(), None, None)
    for epoch, number in ((None, 0), (0, 0), (1.6, 1), (2.9999999999, 3)):
        loop.on_epoch_begin(None, SimpleNamespace(epoch=epoch), None)
        assert order.epoch == number


def test_training_stops_after_as_many_evaluations_without_improvement_as_patience_says(make_job):
    job = make_job("bert", Full(learning_rate=4e-3), train_size=40, epochs=20, min_steps=0, batch_size=8, patience=3)
    _, trainer = train_job(job)
    losses = history(trainer.state)["validation_nll"]
    assert len(losses) < 20
    assert len(losses) - 1 - int(np.argmin(losses)) == 3


def test_little_data_is_passed_more_often_until_the_least_number_of_steps(make_job):
    _, trainer = train_job(make_job("bert", Full(), train_size=16, epochs=1, min_steps=23, batch_size=8, patience=99))
    assert trainer.state.global_step == 24  # whole epochs of two steps
    assert [entry["step"] for entry in trainer.state.log_history if "eval_nll" in entry][-1] == 24
    assert len(history(trainer.state)["validation_nll"]) <= 10


def test_training_that_diverges_says_so_in_one_line(make_job):
    with pytest.raises(PlanError, match=r"training diverged.*lower the approach's learning_rate"):
        train_job(make_job("bert", Full(learning_rate=1e30), epochs=2))


def test_a_late_divergence_keeps_the_weights_from_before(make_job):
    class Poison(TrainerCallback):
        def on_step_end(self, args, state, control, model, **kwargs):
            if state.global_step == 6:
                with torch.no_grad():
                    next(model.parameters()).fill_(float("nan"))

    built, trainer = train_job(make_job("bert", Full(), train_size=24, epochs=4, min_steps=0), [Poison()])
    seen = history(trainer.state)
    assert seen["validation_nll"][1] is None and seen["best_step"] == 3
    assert all(value.isfinite().all() for value in weights_of(built.model).values())


# --- continuing -----------------------------------------------------------------------------------------------------


class Break(TrainerCallback):
    """Ends a run at a step as an error would."""

    def __init__(self, step: int):
        self._step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self._step:
            raise RuntimeError("broken off")


@pytest.mark.parametrize(
    ("architecture", "approach", "settings", "step"),
    [
        ("bert", Full(), {"dropout": 0.1}, 9),  # the random state continues
        ("bert", Full(learning_rate=4e-3), {"patience": 3}, 24),  # the best weights lie before the break
        ("bert", Lora(rank=2), {"accumulation": 2}, 8),
        ("resnet", Scratch(), {}, 17),  # running statistics too
    ],
    ids=["dropout", "early stopping", "lora", "batch norm"],
)
def test_a_broken_run_ends_where_an_unbroken_one_does_bit_for_bit(architecture, approach, settings, step, make_job):
    settings = {"train_size": 39, "epochs": 7, "min_steps": 0, "checkpoint_seconds": 0.0} | settings
    whole, trainer = train_job(make_job(architecture, approach, **settings))
    job = make_job(architecture, approach, **settings)
    with pytest.raises(RuntimeError, match="broken off"):
        train_job(job, [Break(step)])
    first_step = []

    class Note(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            first_step.append(state.global_step)

    resumed, resumed_trainer = train_job(job, [Note()])
    assert first_step[0] == step // 5 * 5 > 0
    assert history(resumed_trainer.state) == history(trainer.state)
    assert largest_difference(weights_of(resumed.model), weights_of(whole.model)) == 0


def test_a_checkpoint_in_the_middle_of_an_epoch_continues_with_the_rows_that_follow(make_job, monkeypatch):
    monkeypatch.setattr("hf_transfer_kit.approaches.loop.LONGEST_INTERVAL", 3)  # evaluations at steps 3, 6, 9 of 5 + 5
    settings = {"train_size": 39, "epochs": 3, "min_steps": 0, "checkpoint_seconds": 0.0, "accumulation": 2}
    whole, _ = train_job(make_job("bert", Full(), **settings))
    job = make_job("bert", Full(), **settings)
    with pytest.raises(RuntimeError, match="broken off"):
        train_job(job, [Break(8)])
    assert [path.name for path in (job.folder / "checkpoints").iterdir()] == ["checkpoint-6"]  # 1 of epoch 2's 5 steps
    resumed, _ = train_job(job)
    assert largest_difference(weights_of(resumed.model), weights_of(whole.model)) == 0


def test_an_incomplete_newest_checkpoint_is_removed_and_the_one_before_used(tmp_path):
    from safetensors.torch import save_file

    for step in (5, 10, 15):
        (tmp_path / f"checkpoint-{step}").mkdir()
    save_file({"x": torch.zeros(2)}, tmp_path / "checkpoint-5" / BEST_FILE)
    save_file({"x": torch.zeros(2)}, tmp_path / "checkpoint-10" / BEST_FILE)
    torn = (tmp_path / "checkpoint-10" / BEST_FILE).read_bytes()[:-3]
    (tmp_path / "checkpoint-10" / BEST_FILE).write_bytes(torn)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-5"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
    assert last_checkpoint(tmp_path / "nothing") is None


def test_the_checkpoint_before_goes_only_when_the_new_one_is_complete(make_job, monkeypatch):
    seen = []

    class Look(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):  # runs after the loop's own
            seen.append(sorted(path.name for path in job.folder.glob("checkpoints/*")))

    job = make_job("bert", Full(), train_size=24, epochs=3, min_steps=0, checkpoint_seconds=0.0)
    monkeypatch.setattr("hf_transfer_kit.approaches.loop.remove_checkpoints", lambda *_, **__: None)
    train_job(job, [Look()])
    assert seen == [["checkpoint-3"], ["checkpoint-3", "checkpoint-6"]]  # the Trainer itself removes none
    monkeypatch.undo()
    remove_checkpoints(job.folder / "checkpoints", except_for=job.folder / "checkpoints" / "checkpoint-6")
    assert [path.name for path in job.folder.glob("checkpoints/*")] == ["checkpoint-6"]
    assert set(load_file(job.folder / "checkpoints/checkpoint-6" / BEST_FILE)) <= set(build(job).model.state_dict())
    remove_checkpoints(job.folder / "checkpoints")
    assert not (job.folder / "checkpoints").exists()


def test_what_callbacks_kept_goes_with_the_last_checkpoint_and_not_before(tmp_path):
    for name in ("checkpoint-5", "checkpoint-10", "hf_transfer_kit"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "ewc.safetensors").touch()
    remove_checkpoints(tmp_path / "checkpoints", except_for=tmp_path / "checkpoints" / "checkpoint-10")
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"checkpoint-10", "hf_transfer_kit"}
    remove_checkpoints(tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


def test_a_short_run_writes_no_checkpoint(make_job):
    job = make_job("bert", Full(), checkpoint_seconds=60.0)
    train_job(job)
    assert not list(job.folder.glob("checkpoints/checkpoint-*"))


# --- settings that pass through -------------------------------------------------------------------------------------


def test_discriminative_rates_reach_the_optimizer_of_the_trainer(make_job):
    job = make_job("bert", Full(learning_rate=1e-3, head_learning_rate=1e-2, decay=0.5), epochs=1)
    _, trainer = train_job(job)
    rates = {group["name"]: group["initial_lr"] for group in trainer.optimizer.param_groups}
    expected = {"stem": 1.25e-4, "block 0": 2.5e-4, "block 1": 5e-4, "block 2": 1e-3, "head": 1e-3, "new": 1e-2}
    assert {name: rates[name] for name in expected} == pytest.approx(expected)
    assert all(group["weight_decay"] == 0 for group in trainer.optimizer.param_groups if "no decay" in group["name"])


def test_half_precision_runs_on_a_cpu_and_leaves_a_model_in_full_precision(make_job):
    built, trainer = train_job(make_job("bert", Full(), precision="bf16"))
    plain, _ = train_job(make_job("bert", Full(), precision="fp32"))
    difference = largest_difference(weights_of(built.model), weights_of(plain.model))
    assert trainer.args.bf16 and 0 < difference < 0.05
    assert {parameter.dtype for parameter in built.model.parameters()} == {torch.float32}
    seen = []
    built.model.bert.encoder.layer[0].register_forward_hook(lambda module, args, output: seen.append(output))
    built.model(input_ids=torch.tensor([[2, 7, 3]]))
    fresh = type(built.model)(built.model.config).eval()
    fresh.load_state_dict(built.model.state_dict())
    built.model.eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    assert torch.equal(built.model(input_ids=ids).logits, fresh(input_ids=ids).logits)  # no autocast is left


@pytest.mark.parametrize("approach", [Full(), TopLayers(blocks=1), Lora(rank=2)], ids=lambda approach: approach.name)
def test_recomputing_activations_changes_no_result(approach, make_job):
    plain, recomputed = (
        TrainedFit().fit(make_job("bert", approach, gradient_checkpointing=flag)) for flag in (False, True)
    )
    np.testing.assert_allclose(recomputed.test_logits, plain.test_logits, atol=1e-5)


def test_a_model_that_cannot_recompute_activations_says_so(make_job):
    with pytest.raises(UnsupportedSetupError, match=r"ResNetForImageClassification cannot.*accumulation"):
        train_job(make_job("resnet", Full(), gradient_checkpointing=True))


def test_trackers_are_handed_to_the_trainer_and_get_its_logs(make_job, monkeypatch):
    seen = []

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            seen.append(logs)

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", Tracker)
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", lambda: ["tensorboard"])
    _, trainer = train_job(make_job("bert", Full(), report_to=("tensorboard",)))
    assert trainer.args.report_to == ["tensorboard"]
    assert any("eval_accuracy" in entry for entry in seen) and any("learning_rate" in entry for entry in seen)


def test_an_unknown_tracker_and_one_that_is_not_installed_are_named_before_the_first_step(make_job, monkeypatch):
    with pytest.raises(PlanError, match=r"'tensorbord'.*did you mean 'tensorboard'"):
        train_job(make_job("bert", Full(), report_to=("tensorbord",)))
    monkeypatch.setattr("transformers.integrations.get_available_reporting_integrations", list)
    with pytest.raises(MissingExtraError, match="pip install wandb"):
        train_job(make_job("bert", Full(), report_to=("wandb",)))


def test_no_tracker_is_used_unless_asked_for(make_job):
    _, trainer = train_job(make_job("bert", Full()))
    assert trainer.args.report_to == []


def test_progress_and_numbers_are_events(make_job):
    job = make_job("bert", Full(), epochs=3)
    train_job(job)
    events = list(read_events(job.folder / "events.jsonl"))
    last = [event for event in events if event.kind == "progress"][-1]
    assert (last.stage, last.done, last.total) == ("training", 9, 9)
    logged = {name for event in events if event.kind == "log" for name in event.values}
    assert {"loss", "learning_rate", "eval_nll", "eval_accuracy"} <= logged
