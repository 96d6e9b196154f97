import json
from pathlib import Path

import pytest
import torch
from tiny_training import make_model, torchrun, train

from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing

SCRIPT = Path(__file__).parent / "unfreezing_two.py"
TRAINED = ["default", "no search", "accumulated", "reentrant", "not reentrant", "not rebuilt", "then without"]
PHASES = [0] * 2 + [1] * 2 + [2] * 2 + [3] * 6  # four steps per epoch, half an epoch each


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    done = torchrun(str(SCRIPT), str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("way", TRAINED)
def test_both_processes_have_the_same_bits_after_every_step(way, ranks):
    first, second = (rank[way]["digests"] for rank in ranks)

    assert len(first) == (3 + 12 if way == "then without" else 12)
    assert first == second


@pytest.mark.parametrize("way", ["default", "no search", "accumulated", "reentrant", "not reentrant"])
def test_what_is_frozen_costs_no_communication(way, ranks):
    open_now = GradualUnfreezing(0.5).plan(make_model()).trainable

    for rank in ranks:
        assert rank[way]["bytes"] == [4 * open_now[phase] for phase in PHASES]  # four bytes a number


def test_where_ddp_cannot_be_told_it_sends_zeros(ranks):
    everything = 4 * sum(parameter.numel() for parameter in make_model().parameters())

    assert ranks[0]["not rebuilt"]["bytes"] == [everything] * 12


def test_afterwards_ddp_averages_everything_again(ranks):
    everything = 4 * sum(parameter.numel() for parameter in make_model().parameters())

    assert ranks[0]["then without"]["bytes"][3:] == [everything] * 12


@pytest.mark.parametrize("way", ["no search", "not rebuilt", "reentrant", "not reentrant"])
def test_all_ways_end_in_the_same_bits(way, ranks):
    assert ranks[0][way]["digests"] == ranks[0]["default"]["digests"]


@pytest.mark.parametrize("way", ["default", "accumulated"])
def test_two_processes_end_where_one_does_with_the_same_global_batch(way, ranks, tmp_path):
    alone = train(tmp_path, [GradualUnfreezing(0.5)], optim="sgd", learning_rate=0.1).model.state_dict()

    for name, values in ranks[0][way]["weights"].items():
        torch.testing.assert_close(torch.tensor(values), alone[name], atol=1e-6, rtol=1e-5)


def test_setups_that_cannot_follow_are_refused_with_the_setting(ranks):
    for rank in ranks:
        assert "ddp_static_graph=False" in rank["static graph"]["error"]
        assert "ddp_find_unused_parameters=True" in rank["not rebuilt, no search"]["error"]
