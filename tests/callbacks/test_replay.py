import random
import warnings

import numpy as np
import pytest
import torch
from datasets import Dataset
from replay_witness import NEW, OLD, Recording, marked
from safetensors.torch import load_file
from tiny_training import VOCABULARY, assert_same_bits, make_args, make_data, make_model, train, weights
from torch.utils.data import IterableDataset
from transformers import DataCollatorWithPadding, Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainerCallback

from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.hosting.host import base_dataloader
from hf_transfer_kit.callbacks.replay import Replay
from hf_transfer_kit.callbacks.replaying.memory import Memory, herd
from hf_transfer_kit.callbacks.replaying.mixing import Mixing
from hf_transfer_kit.errors import DataError, OutputError, PlanError


class Stream(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def draws(folder, callbacks, *, data=None, **settings):
    """The marks of every batch of a training, as (origin, position); workers would record them out of sight."""
    collator = Recording()
    trainer = Trainer(
        model=make_model(), args=make_args(folder, remove_unused_columns=False, **settings), callbacks=callbacks,
        train_dataset=data if data is not None else marked(make_data(), NEW), data_collator=collator,
    )  # fmt: skip
    trainer.train()
    return collator.calls


def old_of(call):
    return [position for origin, position in call if origin == OLD]


def old_data(rows=50):
    return make_data(rows, seed=9)


@pytest.fixture
def quiet_about_repeats(caplog):
    caplog.set_level("ERROR", logger="hf_transfer_kit")


def test_ratio_zero_changes_nothing_and_reads_nothing(tmp_path):
    class Unread:
        def __len__(self):
            raise AssertionError("the old data was looked at")

        __getitem__ = __iter__ = __len__

    plain, zero = train(tmp_path / "a", model=make_model(dropout=0.1)), make_model(dropout=0.1)
    train(tmp_path / "b", [Replay(Unread(), ratio=0)], model=zero)

    assert_same_bits(weights(plain.model), weights(zero))
    assert not (tmp_path / "b" / "hf_transfer_kit").exists()


@pytest.mark.parametrize("ratio, size", [(0.1, 16), (0.2, 16), (0.5, 7), (0.35, 3), (0.9, 2)])
def test_old_rows_have_their_share_of_the_final_batch_and_no_batch_costs_a_row_more(ratio, size):
    sizes, memory = [], Memory(rows=list(range(1000)), positions=range(1000))
    mixing = Mixing(len, memory, ratio=ratio, seed=0, rank=0)
    for first in range(4000):
        sizes.append(mixing([first * size + i for i in range(size)]) - size)
    expected = ratio / (1 - ratio) * size

    assert {int(np.floor(expected)), int(np.ceil(expected))} >= set(sizes)
    error = np.std(sizes) / np.sqrt(len(sizes))
    assert abs(np.mean(sizes) - expected) <= 4 * error + 1e-9
    assert size / (size + np.mean(sizes)) == pytest.approx(1 - ratio, abs=0.01)


def test_new_rows_come_as_without_replay_and_old_ones_from_the_memory_once(tmp_path):
    plain = draws(tmp_path / "a", [])
    mixed = draws(tmp_path / "b", [Replay(marked(old_data(), OLD), ratio=0.3)])

    assert [[mark for mark in call if mark[0] == NEW] for call in mixed] == plain
    for call in mixed:
        old = old_of(call)
        assert len(old) == len(set(old)) and len(old) in (3, 4) and set(old) <= set(range(50))
    assert len({row for call in mixed for row in old_of(call)}) > 25


def test_a_fixed_order_of_batches_gets_other_old_rows_in_each_epoch(tmp_path):
    calls = draws(
        tmp_path,
        [Replay(marked(old_data(), OLD), ratio=0.3)],
        num_train_epochs=3,
        train_sampling_strategy="sequential",
    )
    by_epoch = [[tuple(old_of(call)) for call in calls[start : start + 4]] for start in (0, 4, 8)]

    assert [[m for m in call if m[0] == NEW] for call in calls[:4]] == [
        [m for m in c if m[0] == NEW] for c in calls[4:8]
    ]
    assert not set(by_epoch[0]) & set(by_epoch[1]) and not set(by_epoch[1]) & set(by_epoch[2])


def test_the_draw_is_a_function_of_seed_rank_epoch_and_content_alone():
    def collated(seed=0, rank=0, epoch=0, rows=(1, 2, 3)):
        mixing = Mixing(tuple, Memory(rows=list(range(1000)), positions=range(1000)), ratio=0.9, seed=seed, rank=rank)
        mixing.epoch.fill_(epoch)
        return mixing(list(rows))[3:]

    state = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    usual = collated()
    torch.rand(1), np.random.rand(1)
    assert collated() == usual
    assert len({usual, collated(seed=1), collated(rank=1), collated(epoch=1), collated(rows=(1, 2, 4))}) == 5
    torch.random.set_rng_state(state[0])


@pytest.mark.parametrize("persistent", [False, True])
def test_loader_workers_draw_what_the_main_process_draws_in_every_epoch(tmp_path, persistent):
    def after(name, **settings):
        replay = Replay(old_data(), ratio=0.3)
        return weights(train(tmp_path / name, [replay], train_sampling_strategy="sequential", **settings).model)

    alone = after("a")
    helped = after("b", dataloader_num_workers=2, dataloader_persistent_workers=persistent)

    assert_same_bits(alone, helped)


BOTH = {"sampler": "herding", "memory": 12, "distill": 0.5}


@pytest.mark.parametrize("workers, settings", [(0, {}), (0, BOTH), (2, {}), (2, BOTH)], ids=str)
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path, workers, settings, quiet_about_repeats):
    def run(resume=None, save_steps=2):
        model = make_model(dropout=0.1)
        train(
            tmp_path, [Replay(old_data(), ratio=0.3, **settings)], model=model, resume=resume, save_strategy="steps",
            save_steps=save_steps, dataloader_num_workers=workers, train_sampling_strategy="sequential",
            gradient_accumulation_steps=1,
        )  # fmt: skip
        return weights(model)

    unbroken = run()
    for step in (6, 8):  # an epoch has 4 steps
        assert_same_bits(unbroken, run(resume=str(tmp_path / f"checkpoint-{step}"), save_steps=100))


@pytest.mark.parametrize("workers", [0, 2])
def test_data_that_can_only_be_iterated_over_is_replayed_and_resumed(tmp_path, workers, quiet_about_repeats):
    def run(old, resume=None, save_steps=4):
        model = make_model(dropout=0.1)
        train(
            tmp_path, [Replay(Stream(old), ratio=0.3, memory=10)], model=model, data=Stream(make_data(200)),
            max_steps=8, dataloader_num_workers=workers, save_strategy="steps", save_steps=save_steps, resume=resume,
        )  # fmt: skip
        return weights(model)

    unbroken, checkpoint = run(old_data()), str(tmp_path / "checkpoint-4")
    assert_same_bits(unbroken, run(old_data(), resume=checkpoint, save_steps=100))
    with pytest.raises(OutputError, match="fixed order"):
        run(old_data()[::-1], resume=checkpoint)


def test_a_resumed_run_may_write_to_another_folder(tmp_path, quiet_about_repeats):
    settings = {"save_strategy": "steps", "save_steps": 4, "num_train_epochs": 2}
    replay = Replay(old_data(), ratio=0.3, distill=0.5)
    unbroken = train(tmp_path / "a", [replay], **settings)
    moved = train(tmp_path / "b", [replay], resume=str(tmp_path / "a" / "checkpoint-4"), **settings)

    assert_same_bits(weights(unbroken.model), weights(moved.model))


def test_the_loader_has_its_own_collator_before_and_after(tmp_path):
    seen = []

    class Look(GradualUnfreezing):
        def on_train_begin(self, args, state, control, train_dataloader, **kwargs):
            seen.append(base_dataloader(train_dataloader).collate_fn)

        def on_train_end(self, args, state, control, train_dataloader=None, **kwargs):
            seen.append(base_dataloader(train_dataloader).collate_fn)

    draws(tmp_path, [Replay(marked(old_data(), OLD), ratio=0.3), Look()])

    assert [type(collate) for collate in seen] == [Recording, Recording]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_old_and_new_rows_of_unequal_length_are_padded_together(tmp_path, tiny_bert, accumulation):
    from transformers import AutoTokenizer

    def rows(length, count):
        ids = np.random.default_rng(length).integers(1, VOCABULARY - 12, (count, length)).tolist()
        return [{"input_ids": row, "attention_mask": [1] * length, "labels": i % 3} for i, row in enumerate(ids)]

    shapes = []

    class Watched(Trainer):
        def compute_loss(self, model, inputs, **kwargs):
            shapes.append((tuple(inputs["input_ids"].shape), inputs["attention_mask"].sum(1).tolist()))
            return super().compute_loss(model, inputs, **kwargs)

    Watched(
        model=make_model(), args=make_args(tmp_path, num_train_epochs=1, gradient_accumulation_steps=accumulation),
        train_dataset=Dataset.from_list(rows(4, 32)), callbacks=[Replay(rows(8, 30), ratio=0.2)],
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(tiny_bert)),
    ).train()  # fmt: skip

    assert shapes == [((10, 8), [4] * 8 + [8] * 2)] * 4


@pytest.mark.parametrize(
    "settings", [{"label_smoothing_factor": 0.1}, {"train_sampling_strategy": "group_by_length"}], ids=str
)
def test_other_losses_and_orders_train_with_old_rows(tmp_path, settings):
    data = [{**row, "length": int(row["attention_mask"].sum())} for row in make_data()]
    args = Seq2SeqTrainingArguments(**make_args(tmp_path, **settings).to_dict() | {"num_train_epochs": 1})
    Seq2SeqTrainer(
        model=make_model(), args=args, train_dataset=data, callbacks=[Replay(old_data(), ratio=0.3)]
    ).train()


def test_a_custom_loss_counts_old_rows_among_its_items(tmp_path):
    counted = []

    def loss(outputs, labels, num_items_in_batch=None):
        counted.append((len(labels), int(num_items_in_batch)))
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    Trainer(
        model=make_model(), args=make_args(tmp_path, gradient_accumulation_steps=2, num_train_epochs=1),
        train_dataset=make_data(), compute_loss_func=loss, callbacks=[Replay(old_data(), ratio=0.5)],
    ).train()  # fmt: skip

    assert counted == [(16, 32)] * 4


def test_a_column_that_old_rows_lack_is_named_before_the_first_step(tmp_path):
    old = [{"input_ids": row["input_ids"], "labels": row["labels"], "extra": 1} for row in old_data()]

    with pytest.raises(DataError, match="no column attention_mask; it has input_ids, labels, extra, while"):
        train(tmp_path, [Replay(old)])
    with pytest.raises(DataError, match="no column attention_mask"):
        train(tmp_path, [Replay(old)], data=Stream(make_data()), max_steps=2)


def test_columns_that_only_one_side_has_do_not_matter_where_the_trainer_drops_them(tmp_path):
    def after(new_extra, old_extra, kind):
        new = kind([{**row, **new_extra} for row in make_data()])
        old = kind([{**row, **old_extra} for row in old_data()])
        return weights(train(tmp_path, [Replay(old, ratio=0.3)], data=new).model)

    assert_same_bits(after({}, {}, list), after({}, {"source": "old"}, list))
    after({"text": "new"}, {"source": "old"}, list)
    after({"text": "new"}, {"source": "old"}, Dataset.from_list)


def test_old_rows_reach_the_collator_with_the_columns_of_the_new_ones(tmp_path):
    class Strict(Recording):
        def __call__(self, rows):
            assert all(row.keys() == rows[0].keys() for row in rows)
            return super().__call__(rows)

    old = [{**row, "source": "old"} for row in marked(old_data(), OLD)]
    args = make_args(tmp_path, remove_unused_columns=False, num_train_epochs=1)
    Trainer(
        model=make_model(), args=args, train_dataset=marked(make_data(), NEW), data_collator=Strict(),
        callbacks=[Replay(old, ratio=0.3)],
    ).train()  # fmt: skip


@pytest.mark.parametrize("named", [False, True])
def test_rows_of_the_evaluation_set_are_refused_whatever_their_label_and_container(tmp_path, named):
    new, old = make_data(), old_data()
    held_out = Dataset.from_list([{**row, "labels": 0} for row in make_data(10, seed=3) + old[4:7]])
    trainer = Trainer(
        model=make_model(), args=make_args(tmp_path), train_dataset=new, callbacks=[Replay(old)],
        eval_dataset={"banking": held_out} if named else held_out,
    )  # fmt: skip

    with pytest.raises(
        DataError, match=r"3 rows of the old data are also in the evaluation set" + " 'banking'" * named
    ):
        trainer.train()


def test_an_evaluation_set_of_other_rows_is_fine(tmp_path):
    Trainer(
        model=make_model(), args=make_args(tmp_path, num_train_epochs=1), train_dataset=make_data(),
        eval_dataset=make_data(10, seed=3), callbacks=[Replay(old_data())],
    ).train()  # fmt: skip


def test_a_label_that_the_head_lacks_is_named(tmp_path):
    with pytest.raises(DataError, match=r"label [345], which the head of"):
        train(tmp_path, [Replay(make_data(60, seed=9, classes=6))])


def test_a_memory_that_is_smaller_than_a_batch_needs_says_what_share_is_left(tmp_path):
    with pytest.warns(
        UserWarning, match=r"ratio=0.5 needs 8 old rows for each batch of 8, but the memory holds 2.* 0.2,"
    ):
        calls = draws(tmp_path, [Replay(marked(old_data(2), OLD), ratio=0.5)])

    assert all(sorted(old_of(call)) == [0, 1] for call in calls)


def test_rows_that_come_back_within_an_epoch_are_announced_with_how_often(tmp_path, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls = draws(tmp_path, [Replay(marked(old_data(16), OLD), ratio=0.5)], num_train_epochs=1)

    assert sum(len(old_of(call)) for call in calls) == 32
    assert "each of 16 old rows is seen about 2.0 times in an epoch" in caplog.text


def test_two_trainings_with_one_callback_do_not_mix(tmp_path):
    replay = Replay(old_data(), ratio=0.3)
    first, second = (weights(train(tmp_path / name, [replay]).model) for name in "ab")

    assert_same_bits(first, second)


def test_what_replay_reads_before_training_disturbs_no_random_numbers(tmp_path):
    class Augmented(list):
        def __getitem__(self, position):
            torch.rand(3), np.random.rand(3)
            return super().__getitem__(position)

    def new_rows(old):
        calls = draws(tmp_path, [Replay(old, ratio=0.01, sampler="herding", memory=9)])
        return [[mark for mark in call if mark[0] == NEW] for call in calls[-12:]]

    old = marked(old_data(), OLD)
    assert new_rows(Augmented(old)) == new_rows(old)


@pytest.mark.parametrize("settings", [{}, BOTH], ids=str)
def test_random_numbers_are_where_they_were_when_training_begins(tmp_path, settings, quiet_about_repeats):
    states = []

    class Note(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            states.append((torch.random.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()))

        on_epoch_begin = on_train_begin

    train(tmp_path, [Note(), Replay(old_data(), ratio=0.3, **settings)], num_train_epochs=1)

    assert len(states) == 2 and states[0] == states[1]


def test_herding_takes_the_features_below_the_head(tmp_path, quiet_about_repeats):
    model, old = make_model(dropout=0.1), old_data(30)
    with torch.no_grad():
        features = (
            model.eval()
            .bert(
                input_ids=torch.stack([row["input_ids"] for row in old]),
                attention_mask=torch.stack([row["attention_mask"] for row in old]),
            )
            .pooler_output.numpy()
        )
    labels = np.array([row["labels"] for row in old])
    train(tmp_path, [Replay(old, sampler="herding", memory=9)], model=model.train())

    expected = [np.flatnonzero(labels == c)[herd(features[labels == c], 3)] for c in range(3)]
    positions = load_file(tmp_path / "hf_transfer_kit" / "replay.safetensors")["positions"]
    assert positions.tolist() == np.concatenate(expected).tolist()


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"ratio": 1.0}, "< 1"), ({"ratio": -0.1}, ">= 0"), ({"distill": -1}, ">= 0"), ({"memory": 0}, "ratio=0"),
        ({"ratio": 0, "distill": 1}, "ratio is 0"), ({"sampler": "herdin"}, "did you mean 'herding'"),
    ],
)  # fmt: skip
def test_wrong_settings_say_what_to_do(settings, words):
    with pytest.raises(PlanError, match=words):
        Replay([], **settings)
