import pytest
import torch
from accelerate.optimizer import AcceleratedOptimizer
from tiny_training import assert_same_bits, make_args, make_data, make_model, train, weights
from transformers import Trainer, TrainerCallback
from transformers.optimization import Adafactor, AdafactorSchedule

from hf_transfer_kit.callbacks.hosting.kept import load_tensors, save_tensors
from hf_transfer_kit.callbacks.l2sp import L2SP
from hf_transfer_kit.errors import OutputError, PlanError

ONE_STEP = {"optim": "sgd", "learning_rate": 0.5, "lr_scheduler_type": "constant", "max_steps": 1}


class Freeze(TrainerCallback):
    """Freezes what begins with `prefix` once training has begun, as gradual unfreezing does."""

    def __init__(self, prefix):
        self.prefix = prefix

    def on_train_begin(self, args, state, control, model, **kwargs):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(self.prefix))


def test_one_step_is_the_trainers_step_and_the_closed_form(tmp_path):
    start, plain = weights(make_model()), weights(train(tmp_path, **ONE_STEP).model)

    pulled = weights(train(tmp_path, [L2SP(strength=6.0)], **ONE_STEP).model)

    for name, now in pulled.items():
        expected = plain[name] if name.startswith("classifier") else (plain[name] + 3 * start[name]) / 4  # c = 0.5 * 6
        torch.testing.assert_close(now, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("free", "stays"),
    [((), None), (["classifier.*", "*pooler*"], "bert.pooler.dense.weight"), (None, "classifier.bias")],
)
def test_the_free_parameters_are_the_ones_named(tmp_path, free, stays):
    plain = weights(train(tmp_path, **ONE_STEP).model)
    pulled = weights(train(tmp_path, [L2SP(strength=6.0, free=free)], **ONE_STEP).model)
    same = {name for name, weight in plain.items() if torch.equal(weight, pulled[name])}
    assert ("classifier.weight" in same) == (free != ())
    assert stays is None or stays in same
    assert "bert.encoder.layer.0.output.dense.weight" not in same


def test_zero_strength_changes_nothing_and_does_nothing(tmp_path):
    plain = train(tmp_path / "a", model=make_model(dropout=0.1), logging_strategy="steps", logging_steps=2)
    off = train(tmp_path / "b", [L2SP(0)], model=make_model(dropout=0.1), logging_strategy="steps", logging_steps=2)
    assert_same_bits(weights(off.model), weights(plain.model))
    assert not (tmp_path / "b" / "hf_transfer_kit").exists()
    assert not any("l2sp_penalty" in entry for entry in off.state.log_history)


def test_the_random_state_is_left_alone(tmp_path):
    plain = train(tmp_path / "a", model=make_model(dropout=0.1))
    weak = train(tmp_path / "b", [L2SP(1e-35)], model=make_model(dropout=0.1))
    assert_same_bits(weights(weak.model), weights(plain.model))


@pytest.mark.parametrize("mode", ["decoupled", "exact"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path, mode):
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 12}
    whole = train(tmp_path, [L2SP(30.0, mode)], model=make_model(dropout=0.1), **settings)
    resumed = train(
        tmp_path, [L2SP(30.0, mode)], model=make_model(seed=7, dropout=0.1), resume=str(tmp_path / "checkpoint-5"),
        **settings,
    )  # fmt: skip
    assert_same_bits(weights(resumed.model), weights(whole.model))


def test_a_run_resumed_into_another_folder_can_be_resumed_from_there(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 4, "max_steps": 12}
    whole = train(tmp_path / "a", [L2SP(30.0)], model=make_model(dropout=0.1), **settings)
    train(tmp_path / "b", [L2SP(30.0)], resume=str(tmp_path / "a" / "checkpoint-4"), **settings)
    last = train(
        tmp_path / "b", [L2SP(30.0)], model=make_model(dropout=0.1), resume=str(tmp_path / "b" / "checkpoint-8"),
        **settings,
    )  # fmt: skip
    assert (tmp_path / "b" / "hf_transfer_kit" / "l2sp.safetensors").is_file()
    assert last.state.global_step == whole.state.global_step == 12


def test_a_resumed_run_without_its_anchor_stops(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 8}
    train(tmp_path, [L2SP(30.0)], **settings)
    (tmp_path / "hf_transfer_kit" / "l2sp.safetensors").unlink()
    with pytest.raises(OutputError, match=r"l2sp\.safetensors' is missing"):
        train(tmp_path, [L2SP(30.0)], resume=str(tmp_path / "checkpoint-5"), **settings)


def test_a_resumed_run_does_not_take_the_anchor_of_another_run(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 8}
    train(tmp_path, [L2SP(30.0)], **settings)
    file = tmp_path / "hf_transfer_kit" / "l2sp.safetensors"
    save_tensors(file, {name: tensor + 1 for name, tensor in load_tensors(file).items()})
    with pytest.raises(OutputError, match="another training"):
        train(tmp_path, [L2SP(30.0)], resume=str(tmp_path / "checkpoint-5"), **settings)


def test_frozen_parameters_stay_though_they_are_anchored(tmp_path):
    start = weights(make_model())
    trained = weights(train(tmp_path, [L2SP(6.0), Freeze("bert.encoder.layer.0")], max_steps=3).model)
    for name, weight in trained.items():
        if name.startswith("bert.encoder.layer.0"):
            assert torch.equal(weight, start[name])


def test_a_skipped_step_is_not_followed_by_a_pull(tmp_path, monkeypatch):
    plain = weights(train(tmp_path, **ONE_STEP).model)
    monkeypatch.setattr(AcceleratedOptimizer, "step_was_skipped", property(lambda self: True))
    skipped = weights(train(tmp_path, [L2SP(6.0)], **ONE_STEP).model)
    assert_same_bits(skipped, plain)


def test_the_penalty_is_logged(tmp_path):
    trainer = train(tmp_path, [L2SP(8.0, free=())], logging_strategy="steps", logging_steps=12)
    start, now = weights(make_model()), weights(trainer.model)
    expected = sum((now[name] - start[name]).square().sum().item() for name in start) * 8 / 2
    logged = [entry["l2sp_penalty"] for entry in trainer.state.log_history if "l2sp_penalty" in entry]
    assert logged == [pytest.approx(expected, rel=1e-5)]


def test_a_stronger_pull_leaves_the_weights_nearer(tmp_path):
    start = weights(make_model())
    moved = []
    for strength in (0.0, 10.0, 1e3, 1e6):
        now = weights(train(tmp_path, [L2SP(strength, free=())]).model)
        moved.append(sum((now[name] - start[name]).square().sum().item() for name in start))
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < 1e-6 * moved[0]


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_impossible_strengths_say_what_to_do(strength):
    with pytest.raises(PlanError, match="use 0 to switch the pull off"):
        L2SP(strength)


def test_an_unknown_mode_gets_the_nearest_one():
    with pytest.raises(PlanError, match="did you mean 'exact'"):
        L2SP(mode="exct")


def test_exact_needs_second_moments_before_the_first_step(tmp_path):
    with pytest.raises(PlanError, match="Adafactor has not; use mode='decoupled'"):
        train(tmp_path, [L2SP(mode="exact")], optim="adafactor")
    assert train(tmp_path, [L2SP(mode="decoupled")], optim="adafactor", max_steps=2).state.global_step == 2


def test_an_optimizer_that_chooses_its_learning_rate_is_refused(tmp_path):
    model = make_model()
    optimizer = Adafactor(model.parameters(), relative_step=True)
    trainer = Trainer(
        model, make_args(tmp_path), train_dataset=make_data(), callbacks=[L2SP()],
        optimizers=(optimizer, AdafactorSchedule(optimizer)),
    )  # fmt: skip
    with pytest.raises(PlanError, match="relative_step=False"):
        trainer.train()


def test_freeing_everything_is_an_error(tmp_path):
    with pytest.raises(PlanError, match="nothing would be pulled"):
        train(tmp_path, [L2SP(free=["*"])])
