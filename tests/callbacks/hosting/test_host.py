"""What the callbacks share: the training they sit in, what they refuse, what they keep."""

import json
import warnings
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from tiny_training import make_data, make_model, train
from torch.nn.parallel import DistributedDataParallel

from hf_transfer_kit.callbacks.hosting.host import HostedCallback
from hf_transfer_kit.callbacks.hosting.kept import find_again, keep, note
from hf_transfer_kit.errors import FormatError, OutputError, PlanError, UnsupportedSetupError


class Probe(HostedCallback):
    """Remembers the host, keeps a tensor, logs a number."""

    def __init__(self, content=1.0):
        self.content, self.found = torch.tensor(content), None

    def on_train_begin(self, args, state, control, model, optimizer, train_dataloader, **kwargs):
        self.host = self.enter(args, state, model, optimizer, train_dataloader)
        if state.global_step == 0:
            keep(self.host, "probe", {"content": self.content})
        else:
            self.found = find_again(self.host, "probe")["content"]

    def on_step_end(self, args, state, control, **kwargs):
        if control.should_log:
            self.host.log({"probe": float(state.global_step)}, control)

    def on_save(self, args, state, control, **kwargs):
        note(self.host, "probe")


def test_a_callback_finds_the_trainer_around_it_and_not_another_one(tmp_path):
    class Nested(Probe):
        def on_train_begin(self, *args, **kwargs):
            self.inner = Probe()
            train(tmp_path / "inner", [self.inner], max_steps=1)
            super().on_train_begin(*args, **kwargs)

    callback = Nested()
    trainer = train(tmp_path / "outer", [callback], max_steps=1)

    assert callback.host.trainer is trainer
    assert callback.inner.host.trainer is not trainer
    assert callback.host.resumed_from is None


def test_trainable_is_what_the_optimizer_was_given_even_if_frozen_since(tmp_path):
    model, callback = make_model(), Probe()
    model.bert.embeddings.requires_grad_(False)
    train(tmp_path, [callback], model=model, max_steps=1)
    expected = {name for name, _ in model.named_parameters() if "embeddings" not in name}
    model.classifier.requires_grad_(False)

    assert callback.host.trainable().keys() == expected


def test_a_logged_number_stands_beside_the_loss_and_does_not_replace_it(tmp_path):
    trainer = train(tmp_path, [Probe()], max_steps=4, logging_strategy="steps", logging_steps=2)
    history = trainer.state.log_history

    assert [entry["step"] for entry in history if "loss" in entry] == [2, 4]
    assert [entry["probe"] for entry in history if "probe" in entry] == [2.0, 4.0]


def test_without_a_trainer_everything_is_still_there(tmp_path):
    trainer, callback = train(tmp_path, max_steps=1), Probe()
    state = SimpleNamespace(global_step=3, epoch=0.5, log_history=[], is_world_process_zero=True)
    host = callback.enter(trainer.args, state, trainer.model, trainer.optimizer, trainer.get_train_dataloader())
    host.log({"probe": 1.0}, SimpleNamespace(should_log=True))

    assert host.trainer is None and host.ddp() is None
    assert host.resumed_from == tmp_path / "checkpoint-3"
    assert state.log_history == [{"probe": 1.0, "epoch": 0.5, "step": 3}]
    assert callback.attach(trainer).enter(
        trainer.args, state, trainer.model, trainer.optimizer, trainer.get_train_dataloader()
    ).trainer is trainer  # fmt: skip


def test_the_wrapper_over_processes_is_found_without_a_trainer(tmp_path, monkeypatch):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        trainer = train(tmp_path, max_steps=1)
        wrapped = DistributedDataParallel(trainer.model)
        state = SimpleNamespace(global_step=0, is_world_process_zero=True)
        host = Probe().enter(trainer.args, state, trainer.model, trainer.optimizer, trainer.get_train_dataloader())

        assert host.ddp() is wrapped
    finally:
        torch.distributed.destroy_process_group()


def test_two_of_a_kind_are_refused(tmp_path):
    with pytest.raises(PlanError, match="two callbacks Probe"):
        train(tmp_path, [Probe(), Probe()], max_steps=1)


@pytest.mark.parametrize(
    ("kind", "plugin", "message"),
    [
        (DistributedType.DEEPSPEED, None, "Probe cannot work under DeepSpeed"),
        (DistributedType.FSDP, SimpleNamespace(fsdp_version=1), "set fsdp_version: 2"),
        (DistributedType.MEGATRON_LM, None, "Probe cannot work under Megatron-LM"),
    ],
)
def test_setups_that_own_the_weights_are_refused_before_the_first_step(kind, plugin, message, tmp_path, monkeypatch):
    class Pretend(HostedCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            for shared in (PartialState._shared_state, AcceleratorState._shared_state):
                monkeypatch.setitem(shared, "distributed_type", kind)
            monkeypatch.setitem(AcceleratorState._shared_state, "fsdp_plugin", plugin)

    model = make_model()
    with pytest.raises(UnsupportedSetupError, match=message):
        train(tmp_path, [Pretend(), Probe()], model=model)


def test_what_is_kept_is_found_by_a_resumed_run_also_from_another_folder(tmp_path):
    train(tmp_path / "a", [Probe(2.0)], max_steps=4, save_strategy="steps", save_steps=2)
    checkpoint = tmp_path / "a" / "checkpoint-2"
    here, elsewhere = Probe(9.0), Probe(9.0)
    train(tmp_path / "a", [here], max_steps=4, resume=str(checkpoint))
    train(tmp_path / "b", [elsewhere], max_steps=4, resume=str(checkpoint))

    assert here.found == elsewhere.found == 2.0
    assert json.loads((checkpoint / "hf_transfer_kit.json").read_text()).keys() == {"probe"}


def test_a_resumed_run_without_its_file_stops(tmp_path):
    train(tmp_path, [Probe()], max_steps=4, save_strategy="steps", save_steps=2)
    (tmp_path / "hf_transfer_kit" / "probe.safetensors").unlink()

    with pytest.raises(OutputError, match=r"resumes at step 2.*probe.safetensors' is missing"):
        train(tmp_path, [Probe()], max_steps=4, resume=str(tmp_path / "checkpoint-2"))


def test_a_file_that_a_later_run_has_written_over_is_not_taken_for_the_right_one(tmp_path):
    train(tmp_path, [Probe(1.0)], max_steps=4, save_strategy="steps", save_steps=2)
    train(tmp_path, [Probe(2.0)], max_steps=1)

    with pytest.raises(OutputError, match="another training has written to the same output_dir since"):
        train(tmp_path, [Probe()], max_steps=4, resume=str(tmp_path / "checkpoint-2"))


def test_a_broken_file_is_one_line(tmp_path):
    train(tmp_path, [Probe()], max_steps=4, save_strategy="steps", save_steps=2)
    (tmp_path / "hf_transfer_kit" / "probe.safetensors").write_bytes(b"nothing")

    with pytest.raises(FormatError, match="cannot be read as safetensors"):
        train(tmp_path, [Probe()], max_steps=4, resume=str(tmp_path / "checkpoint-2"))


def bert_as_it_comes():
    model = make_model()
    del model.accepts_loss_kwargs
    return model


def test_a_model_that_scales_its_loss_wrongly_is_said_once_with_the_line_that_mends_it(tmp_path):
    with pytest.warns(UserWarning, match="2 times too large .*model.accepts_loss_kwargs = False") as caught:
        train(tmp_path, [Probe()], model=bert_as_it_comes(), gradient_accumulation_steps=2, max_steps=2)

    assert len([warning for warning in caught if "num_items_in_batch" in str(warning.message)]) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "mended", "gradient_accumulation_steps": 2},
        {"model": "as it comes"},
        {"model": "as it comes", "gradient_accumulation_steps": 2, "label_smoothing_factor": 0.1},
    ],
)
def test_right_losses_are_not_warned_about(settings, tmp_path):
    model = make_model() if settings.pop("model") == "mended" else bert_as_it_comes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path, [Probe()], model=model, max_steps=2, **settings)


def test_the_trial_of_the_loss_leaves_no_trace(tmp_path):
    results = []
    for callbacks in ([], [Probe()]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = bert_as_it_comes()
            model.train()
            torch.manual_seed(0)
            train(tmp_path, callbacks, model=model, gradient_accumulation_steps=2, max_steps=3)
        results.append(model.classifier.weight.detach().clone())

    assert torch.equal(*results)


def test_the_collator_is_the_trainers_own_with_its_removal_of_columns(tmp_path):
    callback = Probe()
    rows = [row | {"text": "not for the model"} for row in make_data(8)]
    train(tmp_path, [callback], data=rows, max_steps=1)

    assert callback.host.collate(rows[:2]).keys() == {"input_ids", "attention_mask", "labels"}
