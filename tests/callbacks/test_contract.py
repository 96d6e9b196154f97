"""What every callback holds, one by one and all together."""

import itertools
import multiprocessing
import os
import signal

import pytest
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from tiny_training import assert_same_bits, make_data, make_model, train, weights
from transformers import TrainerCallback

import hf_transfer_kit
from hf_transfer_kit import EWC, L2SP, ForgettingMonitor, GradualUnfreezing, Replay
from hf_transfer_kit.callbacks.hosting.host import HostedCallback
from hf_transfer_kit.errors import PlanError, UnsupportedSetupError

OLD = make_data(24, seed=5)
AT_WORK = {
    "unfreezing": lambda: GradualUnfreezing(epochs_per_block=0.5, warmup_steps=2),
    "ewc": lambda: EWC(OLD, strength=100.0),
    "l2sp": lambda: L2SP(strength=1.0),
    "replay": lambda: Replay(OLD, ratio=0.3, distill=0.5),
    "monitor": lambda: ForgettingMonitor({"old": make_data(16, seed=6)}),
}
OFF = {
    "unfreezing": lambda: GradualUnfreezing(start_blocks=4),  # head, two blocks, stem: everything
    "ewc": lambda: EWC(OLD, strength=0.0),
    "l2sp": lambda: L2SP(strength=0.0),
    "replay": lambda: Replay(OLD, ratio=0.0),
    "monitor": lambda: ForgettingMonitor({"old": make_data(16, seed=6)}),
}
SETTINGS = {"eval_strategy": "steps", "eval_steps": 3, "logging_strategy": "steps", "logging_steps": 3}


def run(folder, callbacks, **settings):
    """Weights after training with dropout, which notices any disturbed random number."""
    model = make_model(dropout=0.2)
    trainer = train(folder, callbacks, model=model, evaluation=make_data(8, seed=9), **(SETTINGS | settings))
    return weights(trainer.model)


def test_every_callback_of_the_package_is_tested_here():
    public = {getattr(hf_transfer_kit, name) for name in hf_transfer_kit.__all__}
    callbacks = {each for each in public if isinstance(each, type) and issubclass(each, TrainerCallback)}

    assert {type(make()) for make in AT_WORK.values()} == callbacks
    assert all(issubclass(each, HostedCallback) for each in callbacks)


@pytest.mark.parametrize("make", AT_WORK.values(), ids=AT_WORK)
def test_the_docstring_says_what_it_costs_and_where_it_works(make):
    text = type(make()).__doc__

    assert [line for line in ("Cost:", "Multi-GPU:", "Resume:", "Example:", "Args:") if line not in text] == []


@pytest.mark.parametrize("make", [AT_WORK[name] for name in ("unfreezing", "ewc", "l2sp", "replay")])
def test_the_docstring_says_in_which_scenario_it_helps(make):
    text = type(make()).__doc__

    assert "Helps in:" in text and any(word in text for word in ("task-", "domain-", "class-incremental"))


@pytest.mark.parametrize("make", OFF.values(), ids=OFF)
def test_switched_off_it_changes_nothing_bit_for_bit(make, tmp_path):
    assert_same_bits(run(tmp_path / "with", [make()]), run(tmp_path / "without", []))


def test_all_switched_off_together_change_nothing_bit_for_bit(tmp_path):
    assert_same_bits(run(tmp_path / "with", [make() for make in OFF.values()]), run(tmp_path / "without", []))


@pytest.mark.parametrize("name", ["unfreezing", "ewc", "l2sp", "replay"])
def test_at_work_it_changes_something(name, tmp_path):
    with_it, without = run(tmp_path / "with", [AT_WORK[name]()]), run(tmp_path / "without", [])

    assert any((with_it[key] != without[key]).any() for key in without)


def test_the_order_of_the_list_does_not_matter(tmp_path):
    """Of EWC and L2SP only one is taken: two pulls in turn agree only but for rounding."""
    orders = list(itertools.permutations(name for name in AT_WORK if name != "l2sp"))
    results = [
        run(tmp_path / str(i), [AT_WORK[name]() for name in orders[i]], max_steps=8)
        for i in (0, 7, 16, len(orders) - 1)
    ]

    for result in results[1:]:
        assert_same_bits(result, results[0])


@pytest.mark.parametrize("make", AT_WORK.values(), ids=AT_WORK)
def test_a_second_one_is_refused(make, tmp_path):
    with pytest.raises(PlanError, match=f"two callbacks {type(make()).__name__}"):
        train(tmp_path, [make(), make()], max_steps=1)


class PretendDeepSpeed(TrainerCallback):
    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def on_train_begin(self, args, state, control, **kwargs):
        for shared in (PartialState._shared_state, AcceleratorState._shared_state):
            self.monkeypatch.setitem(shared, "distributed_type", DistributedType.DEEPSPEED)


@pytest.mark.parametrize("make", AT_WORK.values(), ids=AT_WORK)
def test_deepspeed_is_refused_before_the_first_step(make, tmp_path, monkeypatch):
    with pytest.raises(UnsupportedSetupError, match=f"{type(make()).__name__} cannot work under DeepSpeed"):
        train(tmp_path, [PretendDeepSpeed(monkeypatch), make()], max_steps=1)


class Kill(TrainerCallback):
    """kill -9 in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(folder, step, settings):
    """A run in a process of its own that dies in step `step`."""
    callbacks = [*(make() for make in AT_WORK.values()), Kill(step)]
    child = multiprocessing.get_context("fork").Process(target=run, args=(folder, callbacks), kwargs=settings)
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("step", "workers", "restore"),  # phases change at 2, 4 and 6; checkpoints follow every step
    [(1, 0, False), (3, 0, True), (5, 2, False), (6, 0, False), (11, 2, True)],
)
def test_a_killed_run_resumes_to_the_weights_of_an_unbroken_one(step, workers, restore, tmp_path):
    settings = {
        "save_strategy": "steps", "save_steps": 1, "dataloader_num_workers": workers,
        "restore_callback_states_from_checkpoint": restore,
    }  # fmt: skip
    unbroken = run(tmp_path / "unbroken", [make() for make in AT_WORK.values()], **settings)
    killed(tmp_path / "broken", step, settings)
    resumed = run(tmp_path / "broken", [make() for make in AT_WORK.values()], resume=True, **settings)

    assert_same_bits(resumed, unbroken)


def test_a_run_killed_in_the_middle_of_an_epoch_far_from_its_checkpoint_resumes_too(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 5, "gradient_accumulation_steps": 2}
    settings |= {"per_device_train_batch_size": 4}
    unbroken = run(tmp_path / "unbroken", [make() for make in AT_WORK.values()], **settings)
    killed(tmp_path / "broken", 9, settings)
    resumed = run(tmp_path / "broken", [make() for make in AT_WORK.values()], resume=True, **settings)

    assert_same_bits(resumed, unbroken)


def test_accumulation_spreads_a_batch_without_changing_the_result(tmp_path):
    """1 x 16 = 2 x 8 for all that does not draw rows."""
    names = ("unfreezing", "ewc", "l2sp", "monitor")
    results = []
    for share in (1, 2):
        settings = {"per_device_train_batch_size": 16 // share, "gradient_accumulation_steps": share}
        settings |= {"optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant"}
        trainer = train(
            tmp_path / str(share), [AT_WORK[name]() for name in names], evaluation=OLD[:4], **(SETTINGS | settings)
        )
        results.append(weights(trainer.model))

    assert max(float((results[0][name] - results[1][name]).abs().max()) for name in results[0]) < 1e-5
