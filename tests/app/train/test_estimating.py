"""What a plan will need, found out in a process of its own."""

import pytest

from hf_transfer_kit.app.train import estimating
from hf_transfer_kit.app.train.needs import Needs
from hf_transfer_kit.events import read_events
from hf_transfer_kit.memory.estimate import estimate_memory
from hf_transfer_kit.plan import DataSpec, Full, Majority, ModelSpec, Training, TransferPlan


@pytest.fixture
def estimated(tmp_path, text_csv):
    """estimated(approach, model): (exit code, needs or None)."""

    def run(plan, *options):
        estimating.command(plan, 1, False, tmp_path)
        code = estimating.main([str(tmp_path), *options])
        return code, Needs.load(tmp_path) if code == 0 else None

    return run


def test_memory_is_that_of_the_kit_on_the_batch_of_one_process(estimated, text_csv, tiny_bert, monkeypatch):
    monkeypatch.setattr(estimating, "_with_time", lambda found, plan, rows: found)  # has tests of its own
    plan = TransferPlan(
        data=DataSpec(path=str(text_csv), max_length=16), model=ModelSpec(name=str(tiny_bert)), approach=Full(),
        training=Training(batch_size=8),
    )  # fmt: skip
    code, needs = estimated(plan, "--processes", "2")

    assert code == 0
    assert needs.memory == estimate_memory(plan.model, plan.approach, 4, 16, n_classes=2, rows=96).total
    assert 0 < needs.free and needs.processes == 2


def test_a_control_needs_nothing_and_takes_no_steps(estimated, text_csv):
    code, needs = estimated(TransferPlan(data=DataSpec(path=str(text_csv)), approach=Majority()))

    assert code == 0
    assert (needs.memory, needs.epoch_seconds) == (0, 0.0)
    assert "no pre-trained model" in needs.notes[0]


def test_data_that_cannot_be_read_ends_it_with_a_sentence(estimated, tmp_path):
    (tmp_path / "bad.csv").write_text("a\n1\n")
    code, _ = estimated(TransferPlan(data=DataSpec(path=str(tmp_path / "bad.csv")), approach=Majority()))

    assert code == estimating.KIT_ERROR
    assert list(read_events(tmp_path / "events.jsonl"))[-1].kind == "error"
