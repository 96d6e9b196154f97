"""Replay in two processes started by torchrun, on the CPU (gloo)."""

from pathlib import Path

import pytest
import torch
from replay_witness import NEW, OLD, expected_gradient, marked
from tiny_training import assert_same_bits, make_data, make_model, torchrun

STRENGTH, STEP = 3.0, 2  # as in replay_two.py


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    result = torchrun(str(Path(__file__).with_name("replay_two.py")), str(folder))
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def of_both(folder, name):
    return [torch.load(folder / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)]


def old_rows(calls):
    return [[position for origin, position in call if origin == OLD] for call in calls if call[0][0] == NEW]


@pytest.mark.parametrize("name", ["True-1", "True-2", "False-1", "False-2"])  # find_unused_parameters, accumulation
def test_processes_draw_other_rows_and_keep_the_same_weights(folder, name):
    first, second = of_both(folder, name)

    assert first["processes"] == second["processes"] == 2
    assert all(one != other for one, other in zip(old_rows(first["calls"]), old_rows(second["calls"]), strict=True))
    assert_same_bits(first["weights"], second["weights"])


@pytest.mark.parametrize("name", ["True-1", "True-2", "False-1", "False-2"])
def test_the_gradient_is_the_mean_over_processes_of_both_losses(folder, name):
    accumulation, both = int(name[-1]), of_both(folder, name)
    new, old = marked(make_data(32), NEW), marked(make_data(20, seed=9), OLD)
    model = make_model().eval()
    with torch.no_grad():
        batch = {column: torch.stack([row[column] for row in old]) for column in ("input_ids", "attention_mask")}
        start = model(**batch).logits
    model.load_state_dict(both[0]["before"])
    gradients = []
    for process in both:
        mixed = [call for call in process["calls"] if call[0][0] == NEW]
        alone = [call for call in process["calls"] if call[0][0] == OLD][-4:]
        micro_batches = mixed[STEP * accumulation : (STEP + 1) * accumulation]
        gradients.append(expected_gradient(model, micro_batches, alone[STEP], start, old, new, STRENGTH))

    for process in both:
        assert process["gradient"].keys() == gradients[0].keys()
        for parameter, gradient in process["gradient"].items():
            mean = (gradients[0][parameter] + gradients[1][parameter]) / 2
            torch.testing.assert_close(gradient, mean, atol=1e-6, rtol=1e-4)


def test_streams_are_refused_while_one_process_hands_out_the_batches_and_replayed_otherwise(folder):
    first, second = of_both(folder, "stream")

    for process in (first, second):
        assert 'accelerator_config={"dispatch_batches": False}' in process["said"]
        assert all(len(rows) in (2, 3) for rows in old_rows(process["calls"]))
    assert old_rows(first["calls"]) != old_rows(second["calls"])
    assert_same_bits(first["weights"], second["weights"])
