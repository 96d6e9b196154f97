import math
import warnings
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import transformers as hf
from architectures import ARCHITECTURES
from tiny_training import assert_same_bits, make_args, make_data, make_model, train, weights
from torch import nn
from transformers import Trainer, TrainerCallback

from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.unfreezing.schedule import Phase
from hf_transfer_kit.callbacks.unfreezing.timing import Pace, Plateau
from hf_transfer_kit.errors import FormatError, ModelError, PlanError, UnsupportedSetupError

UNITS = {  # of the tiny BERT with two blocks, by hand
    "stem": "bert.embeddings.",
    "block 0": "bert.encoder.layer.0.",
    "block 1": "bert.encoder.layer.1.",
    "head": ("bert.pooler.", "classifier."),
}


class Watch(TrainerCallback):
    """What trained in every step, as names of units; the epoch before it; the mode of batch norms in it."""

    def __init__(self, stop_after=None):
        self.trained, self.epochs, self.stop_after = [], [], stop_after

    def on_step_begin(self, args, state, control, **kwargs):
        self.epochs.append(state.epoch)

    def on_optimizer_step(self, args, state, control, model, **kwargs):
        names = [name for name, p in model.named_parameters() if p.grad is not None]
        self.trained.append([unit for unit, start in UNITS.items() if any(name.startswith(start) for name in names)])

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop |= state.global_step == self.stop_after


class ByHand(TrainerCallback):
    """Opens units at the steps of a table written by hand."""

    def __init__(self, table):
        self.table = table

    def on_step_begin(self, args, state, control, model, **kwargs):
        if state.global_step in self.table:
            for name, parameter in model.named_parameters():
                opened = any(name.startswith(UNITS[unit]) for unit in self.table[state.global_step])
                parameter.requires_grad_(opened)


def opened_in(folder, unfreezing, **settings):
    """The units that train in each step, written as one letter each: s, 0, 1, h."""
    watch = Watch()
    train(folder, [unfreezing, watch], **settings)
    return ["".join(unit[-1] if unit[0] == "b" else unit[0] for unit in units) for units in watch.trained]


# What must not change


@pytest.mark.parametrize(
    "unfreezing",
    [
        lambda: GradualUnfreezing(start_blocks=4),
        lambda: GradualUnfreezing(start_blocks=9, warmup_steps=5),
        lambda: GradualUnfreezing(schedule=[{"opens": ["*"]}]),
        lambda: GradualUnfreezing(schedule=[{"opens": ["stem", "block *", "head"], "epochs": 1}, {"opens": ["head"]}]),
    ],
)
def test_all_open_from_the_start_changes_nothing(unfreezing, tmp_path):
    settings = {"logging_strategy": "steps", "logging_steps": 2}
    plain = train(tmp_path / "plain", model=make_model(dropout=0.1), **settings)
    opened = train(tmp_path / "opened", [unfreezing()], model=make_model(dropout=0.1), **settings)

    assert_same_bits(weights(opened.model), weights(plain.model))
    assert [e.keys() for e in opened.state.log_history] == [e.keys() for e in plain.state.log_history]


def test_it_equals_freezing_by_hand_bit_for_bit(tmp_path):
    kept, by_hand = {"model": make_model(dropout=0.1)}, {"model": make_model(dropout=0.1)}
    train(tmp_path / "kit", [GradualUnfreezing(0.5)], **kept)
    table = {0: ["head"], 2: ["head", "block 1"], 4: ["head", "block 1", "block 0"], 6: list(UNITS)}
    train(tmp_path / "hand", [ByHand(table)], **by_hand)

    assert_same_bits(weights(kept["model"]), weights(by_hand["model"]))


def test_afterwards_all_is_as_it_was(tmp_path):
    model = make_model()
    watch = Watch(stop_after=2)
    trainer = train(tmp_path, [GradualUnfreezing(0.5, warmup_steps=2), watch], model=model)

    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model._forward_pre_hooks
    assert not trainer.optimizer.optimizer._optimizer_step_pre_hooks
    assert len(trainer.optimizer.param_groups) == 2


def test_parameters_that_never_trained_stay_frozen(tmp_path):
    model = make_model()
    for parameter in model.bert.encoder.layer[0].parameters():
        parameter.requires_grad_(False)
    everything = torch.optim.AdamW(model.parameters(), lr=1e-2)  # frozen ones too
    start = weights(model)
    trainer = Trainer(
        model, make_args(tmp_path), train_dataset=make_data(), optimizers=(everything, None),
        callbacks=[GradualUnfreezing(0.5)],
    )  # fmt: skip
    trainer.train()

    still = [name for name, tensor in weights(model).items() if torch.equal(tensor, start[name])]
    assert still == [name for name in start if ".layer.0." in name]
    assert not any(parameter.requires_grad for parameter in model.bert.encoder.layer[0].parameters())


def test_adapters_stay_the_only_trainable_part(tmp_path):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["query"], modules_to_save=["classifier"], task_type="SEQ_CLS")
    model = get_peft_model(make_model(), config)
    model.base_model.model.accepts_loss_kwargs = False
    given = {name for name, p in model.named_parameters() if p.requires_grad}
    seen = []

    class Look(TrainerCallback):
        def on_optimizer_step(self, args, state, control, model, **kwargs):
            seen.append({name for name, p in model.named_parameters() if p.requires_grad})

    train(tmp_path, [GradualUnfreezing(0.5), Look()], model=model)

    of_layer = {i: {name for name in given if f".layer.{i}." in name} for i in (0, 1)}
    head = given - of_layer[0] - of_layer[1]
    assert seen == [head] * 2 + [head | of_layer[1]] * 2 + [given] * 8
    assert {name for name, p in model.named_parameters() if p.requires_grad} == given


# When what opens


@pytest.mark.parametrize(
    ("unfreezing", "expected"),
    [
        (lambda: GradualUnfreezing(), ["h"] * 4 + ["1h"] * 4 + ["01h"] * 4 + ["s01h"] * 4),
        (lambda: GradualUnfreezing(start_blocks=3), ["01h"] * 4 + ["s01h"] * 12),
        (lambda: GradualUnfreezing(0.3), ["h"] * 2 + ["1h"] + ["01h"] + ["s01h"] * 12),  # at 1.2, 2.4 and 3.6 steps
        (lambda: GradualUnfreezing(0.5, order="bottom_up"), ["h"] * 2 + ["sh"] * 2 + ["s0h"] * 2 + ["s01h"] * 10),
        (lambda: GradualUnfreezing(order="lp_ft"), ["h"] * 4 + ["s01h"] * 12),
        (lambda: GradualUnfreezing(schedule=[{"opens": ["head", "stem"], "epochs": 2.5}, Phase(opens=("block 1",))]),
         ["sh"] * 10 + ["s1h"] * 6),
    ],
)  # fmt: skip
def test_each_order_opens_at_the_steps_counted_by_hand(unfreezing, expected, tmp_path):
    assert opened_in(tmp_path, unfreezing(), num_train_epochs=4) == expected  # four steps per epoch


def test_accumulation_and_a_short_last_step_count_as_in_the_trainer(tmp_path):
    settings = {"data": make_data(40), "gradient_accumulation_steps": 2}  # 5 batches: 3 steps per epoch

    assert opened_in(tmp_path, GradualUnfreezing(0.5), **settings) == [
        "h", "h",  # epoch 0, 0.4
        "1h",      # 0.8
        "01h", "01h",  # 1, 1.4
        "s01h", "s01h", "s01h", "s01h",  # 1.8
    ]  # fmt: skip


class Endless(torch.utils.data.IterableDataset):
    def __iter__(self):
        while True:
            yield from make_data()


def test_data_without_a_length_are_one_epoch(tmp_path):
    settings = {"data": Endless(), "max_steps": 10, "gradient_accumulation_steps": 2}

    assert (
        opened_in(tmp_path, GradualUnfreezing(0.2), **settings) == ["h"] * 2 + ["1h"] * 2 + ["01h"] * 2 + ["s01h"] * 4
    )


@pytest.mark.parametrize(("rows", "accumulation"), [(32, 1), (40, 2), (41, 4), (8, 3)])
def test_the_pace_is_the_trainers(rows, accumulation, tmp_path):
    watch = Watch()
    settings = {"data": make_data(rows), "gradient_accumulation_steps": accumulation}
    trainer = train(tmp_path, [watch], **settings)
    pace = Pace.of(trainer.get_train_dataloader(), trainer.args, trainer.state)

    assert watch.epochs == [pace.epoch_at(step) for step in range(trainer.state.global_step)]
    assert pace.epoch_at(trainer.state.global_step) == trainer.state.epoch


# What frozen means


def test_frozen_weights_stay_and_adams_state_begins_with_the_opening(tmp_path):
    model, before = make_model(), []

    class Look(TrainerCallback):
        def on_step_begin(self, args, state, control, model, **kwargs):
            before.append(weights(model))

    trainer = train(tmp_path, [GradualUnfreezing(), Look()], model=model, num_train_epochs=4)
    before.append(weights(model))

    first_move = {"head": 0, "block 1": 4, "block 0": 8, "stem": 12}
    for unit, step in first_move.items():
        name = next(n for n, _ in model.named_parameters() if n.startswith(UNITS[unit]) and n.endswith("weight"))
        moves = [not torch.equal(a[name], b[name]) for a, b in pairwise(before)]
        assert moves == [False] * step + [True] * (16 - step)
        assert trainer.optimizer.state[model.get_parameter(name)]["step"] == 16 - step


def test_frozen_blocks_below_the_open_ones_have_no_backward_pass(tmp_path):
    model, graph = make_model(), []
    for layer in model.bert.encoder.layer:
        layer.register_forward_hook(lambda module, args, output: graph.append(output.requires_grad))

    train(tmp_path, [GradualUnfreezing()], model=model, num_train_epochs=4)

    assert graph == [False, False] * 4 + [False, True] * 4 + [True, True] * 8


def image_model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = type(ARCHITECTURES["resnet"])(**ARCHITECTURES["resnet"].to_dict() | {"num_labels": 3})
        model = hf.AutoModelForImageClassification.from_config(config)
    model.accepts_loss_kwargs = False
    return model


def images():
    generator = torch.Generator().manual_seed(0)
    return [{"pixel_values": torch.randn(3, 32, 32, generator=generator), "labels": i % 3} for i in range(32)]


@pytest.mark.parametrize("compiled", [False, True])
def test_frozen_batch_norms_keep_their_statistics_until_they_open(compiled, tmp_path):
    model = image_model()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    unit_of = {name: unit.name for unit in find_blocks(model) for name in unit.module_names}
    seen = []

    class Look(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            seen.append({name: norm.running_mean.clone() for name, norm in norms.items()})

    settings = {"torch_compile": True, "torch_compile_backend": "eager"} if compiled else {}
    first = 4 if compiled else 1  # compiling takes long
    torch._dynamo.reset()
    train(tmp_path, [GradualUnfreezing(0.5, start_blocks=first), Look()], model=model, data=images(), **settings)

    units = reversed(find_blocks(model).units)
    opens_at = {unit.name: 2 * max(i - first + 1, 0) for i, unit in enumerate(units)}
    for name in norms:
        moves = [not torch.equal(a[name], b[name]) for a, b in pairwise(seen)]
        assert moves == [step >= opens_at[unit_of[name]] for step in range(11)]


# A broken run goes on as if unbroken


def interrupted(folder, resume=None, **settings):
    """A run of 12 steps and four phases that keeps a checkpoint of every step; a resumed one starts elsewhere."""
    settings = {"save_strategy": "steps", "save_steps": 1} | settings
    model = make_model(seed=0 if resume is None else 1, dropout=0.1)
    return train(folder, [GradualUnfreezing(0.5, warmup_steps=3)], model=model, resume=resume, **settings)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, weights(interrupted(folder).model)


@pytest.mark.parametrize(("step", "restore"), [(1, False), (2, True), (3, False), (5, False), (6, False), (9, True)])
def test_a_run_resumed_in_any_phase_ends_in_the_same_bits(step, restore, unbroken, tmp_path):
    checkpoint = str(unbroken[0] / f"checkpoint-{step}")
    settings = {"save_strategy": "no", "restore_callback_states_from_checkpoint": restore}

    assert_same_bits(weights(interrupted(tmp_path, checkpoint, **settings).model), unbroken[1])


def scripted(folder, scores, *, resume=None, plateau="eval_score"):
    """A run that evaluates every two steps, with the given scores, and what trained in each step."""
    left = iter(scores)
    watch = Watch()
    trainer = Trainer(
        make_model(dropout=0.1),
        make_args(folder, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2),
        train_dataset=make_data(), eval_dataset=make_data(8), compute_metrics=lambda _: {"score": next(left)},
        callbacks=[GradualUnfreezing(plateau=plateau), watch],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return trainer, [len(units) for units in watch.trained]


def test_a_stalled_metric_opens_the_next_block(tmp_path):
    _, units = scripted(tmp_path, [0.1, 0.2, 0.2, 0.3, 0.1, 0.5])  # stalls after steps 6 and 10

    assert units == [1] * 6 + [2] * 4 + [3] * 2


def test_a_stall_can_need_several_evaluations_and_has_a_limit(tmp_path):
    plateau = Plateau(metric="eval_score", patience=2, most_epochs=1.5)
    _, units = scripted(tmp_path, [0.2, 0.1, 0.3, 0.2, 0.1, 0.1], plateau=plateau)

    assert units == [1] * 6 + [2] * 6  # first the limit of 6 steps, then 8 is the mark, 10 as low, 12 the stall


def test_a_resumed_run_opens_at_the_same_stalls(tmp_path):
    scores = [0.1, 0.2, 0.2, 0.3, 0.1, 0.5]
    whole, units = scripted(tmp_path / "whole", scores)

    for step in (4, 6, 8):
        checkpoint = str(tmp_path / "whole" / f"checkpoint-{step}")
        rest, left = scripted(tmp_path / "rest", scores[step // 2 :], resume=checkpoint)
        assert left == units[step:]
        assert_same_bits(weights(rest.model), weights(whole.model))


def test_a_training_that_was_broken_off_can_be_started_again(tmp_path):
    class Break(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3 and not self.broken:  # head and block 1 are open
                self.broken = True
                raise KeyboardInterrupt

        broken = False

    model = make_model()
    trainer = Trainer(
        model, make_args(tmp_path), train_dataset=make_data(),
        callbacks=[GradualUnfreezing(0.5, warmup_steps=2), Break()],
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    trainer.train()

    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model._forward_pre_hooks
    assert not trainer.optimizer.optimizer._optimizer_step_pre_hooks


# Warm-up


def test_new_blocks_begin_with_a_share_of_their_step(tmp_path):
    ends = {}
    for name, steps in (("plain", 0), ("warm", 3)):
        trainer = train(tmp_path, [GradualUnfreezing(0.5, warmup_steps=steps), Watch(stop_after=3)])
        ends[name] = weights(trainer.model)
    start = weights(make_model())

    for name, warm in ends["warm"].items():
        if name.startswith(UNITS["block 1"]):
            torch.testing.assert_close(warm - start[name], (ends["plain"][name] - start[name]) / 4, atol=1e-6, rtol=0)
        else:  # the head is open from the start, which the scheduler of the rate warms up
            assert torch.equal(warm, ends["plain"][name])


# What the user sees


def test_the_plan_is_what_happens(tmp_path):
    model = make_model()
    unfreezing = GradualUnfreezing(0.5)
    sizes = {
        unit: sum(p.numel() for name, p in model.named_parameters() if name.startswith(start))
        for unit, start in UNITS.items()
    }
    total = sum(sizes.values())

    plan = unfreezing.plan(model)
    trainer = train(tmp_path, [unfreezing], model=model, logging_strategy="steps", logging_steps=1)

    assert plan.trainable == (
        sizes["head"], sizes["head"] + sizes["block 1"], total - sizes["stem"], total,
    )  # fmt: skip
    logged = [e for e in trainer.state.log_history if "open_blocks" in e]
    assert [(e["step"], e["open_blocks"]) for e in logged] == list(
        enumerate([1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4], start=1)
    )
    assert [e["trainable_parameters"] for e in logged] == [plan.trainable[e["open_blocks"] - 1] for e in logged]
    assert sum("loss" in e for e in trainer.state.log_history) == 12


def test_a_plan_written_edited_and_read_is_followed(tmp_path):
    file = tmp_path / "phases.yaml"
    GradualUnfreezing(0.5).plan(make_model()).to_yaml(file)
    file.write_text(
        file.read_text().replace("block 1", "BLOCK").replace("block 0", "block 1").replace("BLOCK", "block 0")
    )

    assert opened_in(tmp_path, GradualUnfreezing(schedule=file)) == (
        ["h"] * 2 + ["0h"] * 2 + ["01h"] * 2 + ["s01h"] * 6
    )  # fmt: skip
    assert GradualUnfreezing(schedule=file).plan(make_model()) == GradualUnfreezing(schedule=str(file)).schedule


def test_a_training_too_short_for_all_blocks_says_so(tmp_path):
    with pytest.warns(UserWarning, match=r"2 of 4 blocks never open.*2 epochs \(8 steps\): block 0, stem.*block=0\.5"):
        train(tmp_path, [GradualUnfreezing()], num_train_epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path, [GradualUnfreezing(0.5)], num_train_epochs=2)  # the stem opens with the seventh of 8 steps


def language_model(tied):
    config = hf.GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=16, tie_word_embeddings=tied)
    return hf.GPT2LMHeadModel(config)


def test_a_tied_output_layer_opens_with_the_stem_and_a_warning_says_so(tmp_path):
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 32
    settings = {"data": rows, "num_train_epochs": 4}
    with pytest.warns(UserWarning, match=r"output layer of GPT2LMHeadModel is tied to 'transformer.wte.weight'"):
        train(tmp_path, [GradualUnfreezing()], model=language_model(tied=True), **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path, [GradualUnfreezing()], model=language_model(tied=False), **settings)
        named = [{"opens": ["head", "transformer.wte.weight"], "epochs": 1}, {"opens": ["*"]}]
        train(tmp_path, [GradualUnfreezing(schedule=named)], model=language_model(tied=True), **settings)


def test_reentrant_checkpointing_that_would_lose_gradients_is_refused(tmp_path):
    config = hf.ViTConfig(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                          intermediate_size=16, num_labels=3)  # fmt: skip
    settings = {"data": images(), "activation_checkpointing": True, "num_train_epochs": 4}
    model = hf.ViTForImageClassification(config)
    with pytest.raises(UnsupportedSetupError, match="'use_reentrant': False"):
        train(tmp_path, [GradualUnfreezing()], model=model, activation_checkpointing_kwargs={"use_reentrant": True},
              **settings)  # fmt: skip

    opened = []

    class Look(TrainerCallback):
        def on_optimizer_step(self, args, state, control, model, **kwargs):
            opened.append(model.vit.layers[1].attention.q_proj.weight.grad is not None)

    model = hf.ViTForImageClassification(config)
    model.accepts_loss_kwargs = False
    train(tmp_path, [GradualUnfreezing(), Look()], model=model,
          activation_checkpointing_kwargs={"use_reentrant": False}, **settings)  # fmt: skip
    assert opened == [False] * 4 + [True] * 12


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_of_a_text_model_changes_nothing(reentrant, tmp_path):
    plain = train(tmp_path, [GradualUnfreezing(0.5)])
    settings = {"activation_checkpointing": True, "activation_checkpointing_kwargs": {"use_reentrant": reentrant}}
    checkpointed = train(tmp_path, [GradualUnfreezing(0.5)], **settings)

    assert_same_bits(weights(checkpointed.model), weights(plain.model))


def test_compiling_more_phases_than_torch_allows_is_warned_about(tmp_path):
    unfreezing = GradualUnfreezing(0.25)
    with pytest.warns(UserWarning, match="each of 9 phases"), pytest.raises(StopIteration):
        model = make_model(layers=7)
        model.forward = lambda **_: next(iter(()))  # the warning comes before the first step
        train(tmp_path, [unfreezing], model=model, torch_compile=True, torch_compile_backend="eager")


def test_a_plateau_of_what_is_never_measured_is_refused(tmp_path):
    with pytest.raises(PlanError, match="eval_strategy='epoch'"):
        train(tmp_path, [GradualUnfreezing(plateau="eval_loss")])


def test_a_metric_that_no_evaluation_logs_ends_the_training_with_its_name(tmp_path):
    with pytest.raises(PlanError, match="did you mean 'eval_score'"):
        scripted(tmp_path, [0.1] * 6, plateau="eval_scores")


def test_two_of_them_are_refused(tmp_path):
    with pytest.raises(PlanError, match="two callbacks GradualUnfreezing"):
        train(tmp_path, [GradualUnfreezing(), GradualUnfreezing()])


def test_a_model_without_blocks_asks_for_them(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

    with pytest.raises(ModelError, match=r"pass blocks=\["):
        GradualUnfreezing().plan(model)
    assert [p.opens for p in GradualUnfreezing(blocks=["0"]).plan(model).phases] == [("block 0",)]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"epochs_per_block": 0}, PlanError, "must be > 0"),
        ({"epochs_per_block": math.nan}, PlanError, "must be > 0"),
        ({"order": "topdown"}, PlanError, "did you mean 'top_down'"),
        ({"start_blocks": 0}, PlanError, "would train nothing"),
        ({"warmup_steps": -1}, PlanError, "is negative"),
        ({"schedule": []}, PlanError, "trains nothing"),
        ({"schedule": [{"opens": ["a"]}, {"opens": ["b"]}]}, PlanError, "only the last phase"),
        ({"schedule": "nowhere.yaml"}, FormatError, "nowhere.yaml"),
    ],
)
def test_wrong_settings_are_refused_at_once(wrong, error, message):
    with pytest.raises(error, match=message):
        GradualUnfreezing(**wrong)


def test_nothing_trainable_is_an_error():
    with pytest.raises(PlanError, match="no parameter of the model trains"):
        GradualUnfreezing().plan(make_model().requires_grad_(False))


def test_hooks_called_without_a_training_do_nothing():
    unfreezing, control = GradualUnfreezing(), SimpleNamespace(should_log=True)

    unfreezing.on_step_begin(None, None, control)
    unfreezing.on_step_end(None, None, control)
    unfreezing.on_train_end(None, None, control)
