import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hf_transfer_kit.callbacks.unfreezing import reducer
from hf_transfer_kit.callbacks.unfreezing.reducer import check_reducer, rebuild_reducer
from hf_transfer_kit.errors import UnsupportedSetupError


@pytest.fixture
def wrap(tmp_path):
    """Wraps a model for a group of this one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield DistributedDataParallel
    dist.destroy_process_group()


def layers():
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))  # 9 and 16 numbers


def count(sent, bucket):
    sent.append(bucket.buffer().numel())
    return torch.futures.collect_all([]).then(lambda _: bucket.buffer())


def test_it_averages_what_requires_gradients_now(wrap):
    ddp, sent = wrap(layers()), []
    ddp.register_comm_hook(sent, count)  # kept by every new reducer
    for opened in ([1], [0, 1], [0]):
        for index, layer in enumerate(ddp.module):
            layer.requires_grad_(index in opened)
        ddp.zero_grad()
        rebuild_reducer(ddp)
        for _ in range(2):
            ddp(torch.ones(1, 2)).sum().backward()

    assert sent == [16, 16, 25, 25, 9, 9]


def test_gradients_are_those_of_the_bare_model(wrap):
    model = layers()
    ddp = wrap(model)
    model[0].requires_grad_(False)
    rebuild_reducer(ddp)
    model[0].requires_grad_(True)
    rebuild_reducer(ddp)

    ddp(torch.ones(1, 2)).sum().backward()

    expected = torch.autograd.grad(model(torch.ones(1, 2)).sum(), list(model.parameters()))
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), expected, strict=True))


def test_a_static_graph_is_refused(wrap):
    with pytest.raises(UnsupportedSetupError, match="ddp_static_graph=False"):
        check_reducer(wrap(layers(), static_graph=True))


@pytest.mark.parametrize("missing", ["the private calls", "the hooks"])
def test_without_the_private_calls_ddp_must_search_for_unused_parameters(missing, wrap, monkeypatch):
    searching, not_searching = wrap(layers(), find_unused_parameters=True), wrap(layers())
    if missing == "the private calls":
        monkeypatch.setattr(reducer, "_NEEDED", ("gone",))
    else:
        searching._use_python_reducer = not_searching._use_python_reducer = True
    before = searching.reducer

    check_reducer(searching)
    rebuild_reducer(searching)
    assert searching.reducer is before
    with pytest.raises(UnsupportedSetupError, match="ddp_find_unused_parameters=True"):
        check_reducer(not_searching)


def test_with_them_it_need_not_search(wrap):
    check_reducer(wrap(layers()))
