"""The short cut past frozen blocks, on a model small enough to follow by hand."""

import pytest
import torch
import transformers as hf
from torch import nn

from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.boundary import KEY, Boundary, NoShortCutError, pad_activations
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks import get_task

TASK = get_task("text-classification")
TEXTS = ["good film", "the story was very bad and boring", "fine", "the music of the film was lovely and great"] * 20


@pytest.fixture
def model(tiny_bert) -> nn.Module:
    torch.manual_seed(0)
    return hf.AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=2).eval()


@pytest.fixture
def processor(tiny_bert):
    return TASK.load_processor(ModelSpec(name=str(tiny_bert)))


def stored(boundary: Boundary, processor, limit_mib: float = 10.0):
    return boundary.store(TASK, processor, TEXTS, max_length=64, limit_mib=limit_mib)


def batch_of(processor, numbers) -> dict[str, torch.Tensor]:
    return TASK.collate(processor, TASK.encode(processor, [TEXTS[i] for i in numbers], 64))


def test_what_is_stored_is_the_hidden_state_below_the_boundary_without_padding(model, processor):
    activations = stored(Boundary(model, find_blocks(model), 1), processor)
    with torch.no_grad():
        for i in range(4):
            expected = model.bert(**batch_of(processor, [i]), output_hidden_states=True).hidden_states[2][0]
            torch.testing.assert_close(activations.rows[i], expected, atol=1e-5, rtol=0)
    assert activations.mib * 2**20 == sum(row.nbytes for row in activations.rows)


def test_progress_is_told_up_to_the_last_row(model, processor):
    seen = []
    boundary = Boundary(model, find_blocks(model), 1)
    boundary.store(
        TASK, processor, TEXTS, max_length=64, limit_mib=10.0, on_progress=lambda *numbers: seen.append(numbers)
    )
    assert seen == [(32, 80), (64, 80), (80, 80)]


def test_the_short_cut_gives_the_same_logits_and_gradients_and_skips_the_lower_blocks(model, processor):
    blocks = find_blocks(model)
    for unit in blocks.below(1):
        for parameter in unit.parameters(model):
            parameter.requires_grad_(False)
    batch = batch_of(processor, [0, 1, 3])
    model(**batch).logits.square().sum().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    plain = model(**batch).logits.detach()
    model.zero_grad()

    boundary = Boundary(model, blocks, 1)
    rows = stored(boundary, processor).rows
    boundary.install()
    calls = []
    model.bert.encoder.layer[0].attention.register_forward_hook(lambda *_: calls.append(0))
    activations = pad_activations([rows[i] for i in (0, 1, 3)], batch["input_ids"].shape[1])
    logits = model(**batch, **{KEY: activations}).logits
    logits.square().sum().backward()
    assert not calls
    torch.testing.assert_close(logits.detach(), plain)
    assert expected.keys() == {name for name, p in model.named_parameters() if p.grad is not None}
    for name, gradient in expected.items():
        torch.testing.assert_close(model.get_parameter(name).grad, gradient, atol=1e-5, rtol=1e-4)
    model(**batch)
    assert calls  # a batch without stored activations goes the whole way


def test_stored_activations_decide_the_answer(model, processor):
    boundary = Boundary(model, find_blocks(model), 1)
    rows = stored(boundary, processor).rows
    boundary.install()
    batch = batch_of(processor, [0])
    first, other = (model(**batch, **{KEY: value}).logits for value in (rows[0][None], rows[0][None] + 1))
    assert not torch.allclose(first, other)
    boundary.check(batch, rows[0][None])
    with pytest.raises(NoShortCutError, match="answers otherwise"):
        boundary.check(batch, rows[0][None] + 1)
    assert not model.training


def test_remove_leaves_the_model_as_it_was(model, processor):
    batch = batch_of(processor, [0, 1])
    before = model(**batch).logits
    hooks = {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()}
    boundary = Boundary(model, find_blocks(model), 1)
    stored(boundary, processor)
    boundary.install()
    boundary.remove()
    assert hooks == {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in model.named_modules()}
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(model(**batch).logits, before)


def test_activations_over_the_limit_are_not_stored(model, processor):
    size = stored(Boundary(model, find_blocks(model), 1), processor).mib
    stored(Boundary(model, find_blocks(model), 1), processor, limit_mib=size * 1.01)
    with pytest.raises(NoShortCutError, match="would take over"):
        stored(Boundary(model, find_blocks(model), 1), processor, limit_mib=size * 0.99)


def test_a_model_that_changes_the_number_of_tokens_is_recognised(model, processor):
    layer = model.bert.encoder.layer[0]
    plain = layer.forward
    layer.forward = lambda hidden, *args, **kwargs: plain(hidden, *args, **kwargs)[:, ::2]
    boundary = Boundary(model, find_blocks(model), 2)
    with pytest.raises(NoShortCutError, match="rearranges its tokens"):
        stored(boundary, processor)


def test_a_boundary_under_the_head_alone_is_refused(model):
    with pytest.raises(ValueError, match="use `features`"):
        Boundary(model, find_blocks(model), 0)


def test_the_operations_of_the_pass_are_those_of_the_lower_blocks(model, processor):
    flops = [stored(Boundary(model, find_blocks(model), k), processor).flops for k in (2, 1)]
    assert 0 < flops[0] < flops[1] < 3 * flops[0]


def test_padding_of_activations_is_zero_and_rows_of_one_shape_are_stacked():
    rows = [torch.ones(2, 3), torch.ones(1, 3)]
    assert pad_activations(rows, 4).sum(dim=2).tolist() == [[3, 3, 0, 0], [3, 0, 0, 0]]
    assert pad_activations([torch.ones(2, 3, 3)] * 2, None).shape == (2, 2, 3, 3)
