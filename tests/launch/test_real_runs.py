"""SIGTERM ends a real run with a checkpoint; what continues from it ends where an unbroken one does, to the bit."""

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from hf_transfer_kit.approaches.loop import LoopCallback
from hf_transfer_kit.events import read_events
from hf_transfer_kit.launch.processes import Processes
from hf_transfer_kit.plan import DataSpec, Full, Majority, ModelSpec, Training, TransferPlan
from hf_transfer_kit.run import main, run
from hf_transfer_kit.termination import Terminated, a_checkpoint_first, ends_on_sigterm, termination_asked

TRAINING = Training(epochs=4, min_steps=0, batch_size=8, patience=9, checkpoint_seconds=1e6, dropout=0.1)


@pytest.fixture
def plan(text_csv, tiny_bert):
    return TransferPlan(
        data=DataSpec(path=str(text_csv)), model=ModelSpec(name=str(tiny_bert)), approach=Full(), training=TRAINING
    )


def terminate_at(step, monkeypatch):
    """Sends SIGTERM, twice, while step `step` is at work."""
    original = LoopCallback.on_step_begin

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == step:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        return original(self, args, state, control, **kwargs)

    monkeypatch.setattr(LoopCallback, "on_step_begin", on_step_begin)


@pytest.mark.parametrize("step", [4, 10, 23], ids=["before-validation", "at-an-evaluation", "in-an-epoch"])
def test_sigterm_saves_a_checkpoint_and_the_run_continues_bit_for_bit(plan, step, tmp_path, monkeypatch, capfd):
    folder, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    plan.save(tmp_path / "plan.yaml")
    with monkeypatch.context() as patched:
        terminate_at(step, patched)
        assert main([str(tmp_path / "plan.yaml"), "--out", str(folder)]) == 143
    assert "the same command continues" in capfd.readouterr().err
    assert [path.name for path in (folder / "checkpoints").glob("checkpoint-*")] == [f"checkpoint-{step}"]
    assert "interrupted" in list(read_events(folder / "events.jsonl"))[-1].message

    continued, whole = run(plan, folder), run(plan, unbroken)

    evaluated = [event.done for event in read_events(folder / "events.jsonl") if "eval_nll" in event.values]
    assert evaluated == [10, 20, 30, 40]  # each once: nothing was done again
    assert continued.details == whole.details and continued.test == whole.test
    first, second = (load_file(each / "scores.safetensors") for each in (folder, unbroken))
    assert np.array_equal(first["test_logits"], second["test_logits"])


def test_sigterm_outside_a_training_ends_at_once(text_csv, tmp_path, monkeypatch):
    from hf_transfer_kit.approaches import FITS

    class Asked(type(FITS[Majority])):
        def fit(self, job):
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("went on")

    monkeypatch.setitem(FITS, Majority, Asked())
    TransferPlan(data=DataSpec(path=str(text_csv)), approach=Majority()).save(tmp_path / "plan.yaml")
    before = signal.getsignal(signal.SIGTERM)

    assert main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")]) == 143
    assert signal.getsignal(signal.SIGTERM) is before and not termination_asked()


def test_sigterm_waits_for_the_checkpoint_and_no_longer():
    with pytest.raises(Terminated), ends_on_sigterm():
        with a_checkpoint_first():
            signal.raise_signal(signal.SIGTERM)
            assert termination_asked()
        raise AssertionError("went on")
    with ends_on_sigterm(), a_checkpoint_first():
        assert not termination_asked()  # of a request before


def test_threads_leave_the_signal_alone():
    before, inside = signal.getsignal(signal.SIGTERM), []

    def work():
        with ends_on_sigterm():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert inside == [before]


def test_a_plan_is_carried_out_as_a_job(plan, store, ended):
    status = ended(store.submit_plan(replace(plan, approach=Majority(), model=None), Processes()).job.id)

    assert (status.state, status.job.title) == ("finished", "majority"), (status.folder / "log.txt").read_text()
    assert (status.folder / "record.json").exists() and "test accuracy" in status.sentence
