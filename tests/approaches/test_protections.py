"""From plan to callbacks, and what they do inside the kit's own loop: replayed rows count, patience waits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback
from two_tasks import TRAINING, two_tasks

from hf_transfer_kit.approaches import Job, KnownTask
from hf_transfer_kit.approaches.build import build
from hf_transfer_kit.approaches.loop import history, train
from hf_transfer_kit.approaches.operations import unit_flops
from hf_transfer_kit.approaches.protections import protections
from hf_transfer_kit.approaches.rows import IGNORED, Rows
from hf_transfer_kit.approaches.trained import TrainedFit
from hf_transfer_kit.callbacks.ewc import EWC
from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.l2sp import L2SP
from hf_transfer_kit.callbacks.replay import Replay
from hf_transfer_kit.data.labelled import subset_rows
from hf_transfer_kit.data.old import load_with_old
from hf_transfer_kit.events import EventWriter, read_events
from hf_transfer_kit.plan import (
    EwcSettings,
    Full,
    Gradual,
    L2spSettings,
    Lora,
    ModelSpec,
    Protection,
    ReplaySettings,
    TopLayers,
    TransferPlan,
)
from hf_transfer_kit.tasks import get_task


@pytest.fixture
def make(tmp_path, tiny_bert):
    """Gives a job with old data whose model is said to know it already; for what does not need it to."""
    new, old = two_tasks(tmp_path / "data")
    numbers = iter(range(100))

    def make_job(approach=None, protection=None, seed=0, train_size=None, **training) -> Job:
        plan = TransferPlan(
            data=replace(new, train_size=train_size), old_data=old, model=ModelSpec(name=str(tiny_bert)),
            approach=approach or Full(), protection=protection or Protection(), seed=seed,
            training=replace(TRAINING, **training),
        )  # fmt: skip
        data, old_data = load_with_old(plan.data, plan.old_data)
        rows, old_rows = subset_rows(data, train_size, 0), subset_rows(old_data, None, 0)
        known = KnownTask(
            data=old_data, train_rows=old_rows["train"], validation_rows=old_rows["validation"], key="none",
            start=plan.model, before=np.zeros((len(old_data.test), 4)), details={},
        )  # fmt: skip
        folder = tmp_path / f"run-{next(numbers)}"
        return Job(
            plan=plan, task=get_task(data.task), data=data, train_rows=rows["train"],
            validation_rows=rows["validation"], folder=folder, events=EventWriter(folder / "events.jsonl"), old=known,
        )  # fmt: skip

    return make_job


def rows_of(job, built, part: str) -> Rows:
    return Rows(job.task, built.processor, job.inputs(part), job.labels(part), 16)


def train_job(job, callbacks=(), sgd=None):
    """(built, trainer) after training with the protections of the plan; `sgd` as in test_loop."""
    built = build(job)
    guard = protections(job, built)
    optimizer = built.optimizer
    if sgd:
        optimizer = torch.optim.SGD([p for group in optimizer.param_groups for p in group["params"]], lr=sgd)
    trainer = train(
        built.model, optimizer, rows_of(job, built, "train"), rows_of(job, built, "validation"), job.plan.training,
        seed=job.plan.seed, folder=job.folder / "checkpoints", events=job.events,
        callbacks=(*guard.callbacks, *callbacks), patient_until=guard.all_open_after,
    )  # fmt: skip
    return built, trainer


class Watch(TrainerCallback):
    """Notes after every step what was trainable in it."""

    def __init__(self):
        self.trained: list[set[str]] = []

    def on_step_end(self, args, state, control, model, **kwargs):
        self.trained.append({name for name, p in model.named_parameters() if p.requires_grad})


# --- settings -------------------------------------------------------------------------------------------------------


def test_a_plan_without_protections_adds_nothing(make):
    job = make()
    guard = protections(job, build(job))
    assert guard.callbacks == () and guard.all_open_after == 0


def test_every_setting_of_the_plan_reaches_its_callback(make):
    asked = Protection(
        ewc=EwcSettings(strength=7.0, importance="mas", n_examples=9),
        l2sp=L2spSettings(strength=0.25),
        replay=ReplaySettings(ratio=0.3, sampler="class_balanced", memory=11, distill=0.5),
    )
    job = make(Gradual(order="bottom_up"), asked, seed=6)
    gradual, ewc, l2sp, replay = protections(job, build(job)).callbacks
    assert [type(each) for each in (gradual, ewc, l2sp, replay)] == [GradualUnfreezing, EWC, L2SP, Replay]
    assert gradual.order == "bottom_up"
    assert (ewc.strength, ewc.importance, ewc.n_examples) == (7.0, "mas", 9)
    assert l2sp.strength == 0.25
    assert (replay.ratio, replay.sampler, replay.memory, replay.distill, replay.seed) == (
        0.3, "class_balanced", 11, 0.5, 6,
    )  # fmt: skip


def test_settings_left_out_are_the_callbacks_own(make):
    job = make(Full(), Protection(ewc=EwcSettings(), l2sp=L2spSettings()))
    ewc, l2sp = protections(job, build(job)).callbacks
    assert ewc.strength == EWC(ewc.data).strength > 0 and l2sp.strength == L2SP().strength > 0


def test_the_old_rows_are_those_learned_from_encoded_like_the_new_ones(make):
    job = make(Full(), Protection(replay=ReplaySettings()))
    [replay] = protections(job, build(job)).callbacks
    data = job.old.data.train
    assert len(replay.data) == len(data)
    for number in (0, 7, len(data) - 1):
        words = job.task.load_processor(job.start).decode(replay.data[number]["input_ids"], skip_special_tokens=True)
        assert words == data[number]["input"] and replay.data[number]["labels"] == data[number]["label"]


# --- replay in the loss ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulation", [1, 2])
def test_replayed_rows_count_in_the_loss_like_any_other_by_hand(make, accumulation):
    """One step of gradient descent is one on the mean over new and old rows, fillers left out."""
    asked = Protection(replay=ReplaySettings(ratio=0.5))
    job = make(Full(), asked, train_size=13, epochs=1, batch_size=16, accumulation=accumulation)
    seen: list[dict] = []

    class Catch(TrainerCallback):
        def on_epoch_begin(self, args, state, control, train_dataloader, **kwargs):
            loader = train_dataloader
            while hasattr(loader, "base_dataloader"):
                loader = loader.base_dataloader
            inner = loader.collate_fn
            loader.collate_fn = lambda rows: seen.append(inner(rows)) or seen[-1]

    built, trainer = train_job(job, [Catch()], sgd=0.1)
    assert trainer.state.global_step == 1 and len(seen) == accumulation
    labels = torch.cat([batch["labels"] for batch in seen])
    assert (labels == IGNORED).sum() == (16 - 13 if accumulation == 2 else 0)  # whole batches are cut into equal parts
    assert ((labels == 0) | (labels == 1)).sum() == len(labels) / 2
    assert ((labels == 2) | (labels == 3)).sum() == 13

    plain = build(job).model.train()
    total = sum(
        cross_entropy(plain(**{k: v for k, v in b.items() if k != "labels"}).logits, b["labels"], reduction="sum")
        for b in seen
    )
    (total / (labels != IGNORED).sum()).backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    start = dict(build(job).model.named_parameters())
    for name, parameter in plain.named_parameters():
        moved = built.model.get_parameter(name) - start[name]
        torch.testing.assert_close(moved, -0.1 * parameter.grad, atol=1e-6, rtol=1e-4)


# --- gradual --------------------------------------------------------------------------------------------------------


def test_the_head_trains_first_and_all_after_the_share_that_the_plan_says(make):
    watch = Watch()
    built, trainer = train_job(make(Gradual(opening_share=0.5), epochs=10, patience=99), [watch])
    units = list(built.blocks)
    sets = [{name for unit in units[-count:] for name in unit.parameter_names} for count in range(1, len(units) + 1)]
    assert trainer.state.max_steps == len(watch.trained) == 50
    opened = [sets.index(names) + 1 for names in watch.trained]
    assert opened == sorted(opened)
    # Head, three blocks and stem: four openings, 6.25 steps apart, so that the last is at half of the 50 steps.
    assert [opened.index(count) for count in range(1, 6)] == [0, 7, 13, 19, 25]
    assert all(p.requires_grad for p in built.model.parameters())


def test_patience_counts_only_what_comes_after_everything_is_open(make):
    """A rate of next to nothing never improves: plain training stops at once, gradual training once it is open."""
    settings = {"epochs": 10, "patience": 2}
    tiny = {"learning_rate": 1e-12, "head_learning_rate": 1e-12}
    plain = TrainedFit().fit(make(Full(**tiny), **settings)).details
    gradual = TrainedFit().fit(make(Gradual(opening_share=0.5, **tiny), **settings)).details
    assert plain["steps"] <= plain["best_step"] + 2 * 5 < 25
    assert gradual["steps"] >= 25 + 2 * 5


def test_the_best_weights_of_an_early_phase_come_back_whole(make):
    """The best state lies before the lower blocks opened; nothing of what came later may remain."""

    class SpoilAfterwards(TrainerCallback):
        def on_evaluate(self, args, state, control, model, **kwargs):
            if state.global_step == 10:
                self.best = {name: value.clone() for name, value in model.state_dict().items()}
                with torch.no_grad():
                    model.classifier.weight.mul_(1000)

    spoil = SpoilAfterwards()
    built, trainer = train_job(make(Gradual(opening_share=0.8), epochs=6, patience=99), [spoil])
    assert (history(trainer.state)["best_step"], trainer.state.global_step) == (10, 30)
    assert all(torch.equal(value, spoil.best[name]) for name, value in built.model.state_dict().items())


def test_a_share_of_one_still_leaves_a_phase_in_which_everything_trains(make):
    watch = Watch()
    built, _ = train_job(make(Gradual(opening_share=1.0), epochs=10, patience=99), [watch])
    assert len(watch.trained) == 50 and len(watch.trained[39]) < len(watch.trained[40])
    assert watch.trained[40] == {name for name, _ in built.model.named_parameters()}


def test_what_the_callbacks_log_are_events(make):
    job = make(Gradual(), Protection(ewc=EwcSettings(), l2sp=L2spSettings()), epochs=2)
    train_job(job)
    logged = {name for event in read_events(job.folder / "events.jsonl") for name in event.values}
    assert {"open_blocks", "ewc_penalty", "l2sp_penalty", "eval_nll"} <= logged


# --- cost -----------------------------------------------------------------------------------------------------------


def test_operations_of_a_phase_are_those_of_training_its_units_alone(make):
    """The head alone costs a forward pass and a little; everything costs three times that."""
    job = make(Gradual(opening_share=0.5))
    built = build(job)
    guard, rows = protections(job, built), rows_of(job, built, "train")
    counts = unit_flops(built.model, rows, guard.phases)
    [whole] = unit_flops(built.model, rows)
    assert counts == sorted(counts) and counts[-1] == whole
    assert 0.3 < counts[0] / whole < 0.5
    assert all(p.requires_grad for p in built.model.parameters())


def test_gradual_costs_less_than_full_and_replay_its_share_more(make):
    settings = {"epochs": 4, "patience": 99}
    full, gradual, replay = (
        TrainedFit().fit(make(approach, asked, **settings)).train_flops
        for approach, asked in (
            (Full(), None), (Gradual(opening_share=0.5), None), (Full(), Protection(replay=ReplaySettings(ratio=0.2))),
        )
    )  # fmt: skip
    assert replay / full == pytest.approx(1.25)
    assert 0.7 < gradual / full < 0.95


# --- other approaches -----------------------------------------------------------------------------------------------


def test_adapters_are_replayed_to_and_leave_the_body_alone(make):
    built, _ = train_job(make(Lora(rank=2), Protection(replay=ReplaySettings(ratio=0.5)), epochs=2))
    start = build(make()).model
    base = built.model.get_base_model()
    assert torch.equal(base.bert.embeddings.word_embeddings.weight, start.bert.embeddings.word_embeddings.weight)


@pytest.mark.parametrize("asked", [Protection(replay=ReplaySettings()), Protection(ewc=EwcSettings())], ids=str)
def test_top_layers_store_no_activations_where_old_rows_take_part(make, asked):
    outcome = TrainedFit().fit(make(TopLayers(blocks=1), asked, epochs=1))
    assert outcome.details["boundary_cache"].startswith("off: old examples take part")
