"""The estimate against arithmetic by hand, and against what autograd really keeps."""

import doctest
from dataclasses import replace

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    MobileNetV2Config,
    ResNetConfig,
    ViTConfig,
)

from hf_transfer_kit.errors import ModelError, PlanError, UnsupportedSetupError
from hf_transfer_kit.memory import copies as copies_module
from hf_transfer_kit.memory import estimate as estimate_module
from hf_transfer_kit.memory import live as live_module
from hf_transfer_kit.memory import pilot as pilot_module
from hf_transfer_kit.memory.estimate import GIB, MemoryEstimate, estimate_memory, fits, refusal, size
from hf_transfer_kit.memory.phases import phases
from hf_transfer_kit.memory.shadow import Setup
from hf_transfer_kit.plan import Lora, ModelSpec, PromptTuning, TopLayers

BATCH, LENGTH, CLASSES = 6, 10, 3
RESNET = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", image_size=32)
BERT = BertConfig(
    vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
    max_position_embeddings=16, num_labels=CLASSES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


def estimate(approach, config=BERT, batch=BATCH, length=LENGTH, **settings):
    return estimate_memory(
        config, approach, batch, length, **({"n_classes": CLASSES, "evaluation_batch": 0} | settings)
    )


def parameters(model):
    return sum(parameter.nbytes for parameter in model.parameters())


def kept_by_autograd(model):
    """Bytes of the distinct storages that a real forward pass saves, but for weights and inputs."""
    inputs = {name: torch.ones(BATCH, LENGTH, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    known = {
        tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers(), *inputs.values()]
    }
    saved = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model.train()(**inputs)  # keeps them alive, so that no address is used twice
    del output
    return sum(saved.values())


def test_activations_are_what_a_real_forward_pass_saves():
    real = kept_by_autograd(BertForSequenceClassification(BERT))

    assert estimate("full").activations == pytest.approx(real, rel=0.1)  # also alive: logits, the last hidden state


def test_weights_gradients_and_moments_are_those_of_the_model():
    whole = parameters(BertForSequenceClassification(BERT))
    full = estimate("full", evaluation_batch=0)

    assert full.trained == full.gradients == full.best == full.optimizer / 2 == whole
    assert estimate("full", evaluation_batch=0, gpu=True).best == 0


def test_a_frozen_part_has_neither_gradients_nor_moments():
    model = BertForSequenceClassification(BERT)
    top = sum(parameters(part) for part in (model.bert.encoder.layer[2], model.bert.pooler, model.classifier))
    one = estimate(TopLayers(blocks=1), evaluation_batch=0)

    assert one.trained == one.gradients == top
    assert one.trained + one.frozen == pytest.approx(parameters(model), rel=0.01)  # and position numbers
    assert one.activations < estimate("full").activations / 2


def test_adapters_are_counted_and_the_rest_is_frozen():
    rank, width, inner = 2, 32, 64
    attention, dense = 4 * 2 * rank * width, 2 * rank * (width + inner)
    adapters = 3 * (attention + dense) + 2 * rank * width  # three layers, and the pooler
    head = CLASSES * width + CLASSES

    assert estimate(Lora(rank=rank), evaluation_batch=0).trained == 4 * (adapters + head)


def test_features_keep_nothing_for_a_backward_pass():
    found = estimate("features")

    assert found.phase == "pass" and found.trained == found.gradients == found.optimizer == 0
    assert found.activations >= 4 * BATCH * LENGTH * 32 * 4  # hidden states of the stem and three layers


def test_activations_grow_with_the_batch_and_shrink_with_accumulation_and_recomputation():
    once, twice = (estimate("full", batch=batch, evaluation_batch=0).activations for batch in (BATCH, 2 * BATCH))

    assert twice == pytest.approx(2 * once, rel=0.05)
    assert estimate("full", batch=2 * BATCH, accumulation=2, evaluation_batch=0).activations == once
    assert estimate("full", gradient_checkpointing=True, evaluation_batch=0).activations < once / 2
    assert estimate("full", precision="bf16", evaluation_batch=0).activations < once


def test_keys_and_values_of_a_language_model_by_hand():
    config = GPT2Config(
        vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=16, architectures=["GPT2LMHeadModel"]
    )
    asked = estimate("zero_shot", config)

    assert asked.cache == 2 * 2 * BATCH * LENGTH * 32 * 4  # layers, keys and values, rows, tokens, width, bytes
    assert asked.frozen >= 4 * (50 * 32)
    assert estimate("zero_shot", config, precision="bf16").cache == asked.cache / 2


def test_a_tied_weight_counts_once():
    from transformers import GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=500, n_embd=32, n_layer=1, n_head=4, n_positions=16, architectures=["GPT2LMHeadModel"]
    )

    assert estimate("zero_shot", config).frozen == pytest.approx(parameters(GPT2LMHeadModel(config)), rel=0.01)


def test_images_that_stay_in_memory_are_counted():
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8
    )

    image = 3 * 32 * 32 * 4  # bytes; beside the rows lies a batch that is read ahead
    assert estimate("full", config, length=None, rows=10).data == (10 + BATCH) * image
    assert estimate("full", config, length=None, rows=10, accumulation=3).data == (10 + BATCH / 3) * image
    assert estimate("full", config, length=None, rows=10, gpu=True).data == 0
    assert estimate("features", config, length=None).data == BATCH * image  # beside the batch that the model reads


def test_what_reaches_the_lowest_trained_block_is_cached_for_every_row():
    kept = estimate(TopLayers(blocks=1), rows=10)

    assert kept.data == 10 * LENGTH * 32 * 4
    assert estimate(TopLayers(blocks=1, cache_limit_mib=0), rows=10).data == 0


def by_phase(approach, config, rows):
    setup = Setup(
        approach=approach, batch=16, length=32, precision="fp32", n_classes=CLASSES, accumulation=1,
        gradient_checkpointing=False, rows=rows, evaluation_batch=None, gpu=False,
    )  # fmt: skip
    return {found.phase: found for found in phases(config, setup)}


def test_with_a_short_cut_the_lower_blocks_run_once_before_there_is_an_optimizer():
    short, plain = (by_phase(TopLayers(blocks=1), RESNET, rows) for rows in (2, 0))

    assert set(short) == {"training", "evaluation", "storing"} and set(plain) == {"training", "evaluation"}
    storing = short["storing"]
    assert storing.gradients == storing.optimizer == storing.best == 0 and storing.trained == plain["training"].trained
    assert storing.activations + storing.workspace > 4 * 16 * 8 * 16 * 16  # of the stem, for 16 images
    image, activation = 4 * 3 * 32 * 32, 4 * 8 * 8 * 8  # bytes of a row, and of what reaches the second stage
    assert short["training"].data == (2 + 16) * image + 2 * activation and plain["training"].data == 16 * image
    assert plain["evaluation"].activations >= 64 * image
    for phase in ("training", "evaluation"):  # the stem of 64 images is higher than all that follows
        assert short[phase].workspace < plain[phase].workspace
        assert short[phase].activations == plain[phase].activations


def test_the_copies_that_convolutions_make_are_counted_on_a_cpu_alone():
    cpu, gpu = (estimate("features", RESNET, batch=16, length=32, gpu=gpu) for gpu in (False, True))

    assert cpu.activations == gpu.activations and cpu.workspace > gpu.workspace


@pytest.mark.parametrize("approach", ["features", "top_layers", "full", "gradual", "lora", "scratch"])
def test_convolution_networks_have_an_estimate_too(approach):
    assert estimate(approach, RESNET, batch=2, length=32, evaluation_batch=2).total > 0


def test_a_soft_prompt_trains_with_the_head_alone():
    found = estimate(PromptTuning(virtual_tokens=4))

    assert found.trained == 4 * (4 * 32 + CLASSES * 32 + CLASSES)
    assert found.activations > 0


def test_the_largest_phase_is_the_answer_and_the_sum_adds_up():
    trained = estimate("full", evaluation_batch=1)
    evaluated = estimate(TopLayers(blocks=0), evaluation_batch=500)

    assert (trained.phase, evaluated.phase) == ("training", "evaluation")
    assert trained.total == sum(
        (trained.frozen, trained.trained, trained.gradients, trained.optimizer, trained.best, trained.activations,
         trained.workspace)
    )  # fmt: skip
    assert trained.as_sum.endswith(f"= {size(trained.total)}")


def test_what_does_not_fit_is_refused_with_the_sum():
    large = MemoryEstimate(model="big", approach="full", phase="training", trained=8 * GIB, optimizer=16 * GIB)

    assert fits(large, memory_gib=30) and refusal(large, memory_gib=30) == ""
    assert not fits(large, memory_gib=24)
    assert "trained weights 8.0 GiB + optimizer 16.0 GiB = 24.0 GiB, of 21.6 GiB usable" in refusal(large, 24)
    assert fits(replace(large, optimizer=0), memory_gib=24)


def test_no_weights_are_needed(tmp_path):
    BERT.save_pretrained(tmp_path)

    assert estimate("full", ModelSpec(name=str(tmp_path))).total == estimate("full").total


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: estimate("ful"), PlanError, "did you mean 'full'"),
        (lambda: estimate("majority"), PlanError, "uses no model"),
        (lambda: estimate("full", batch=0), PlanError, "batch=0"),
        (lambda: estimate("full", precision="fp16"), PlanError, "precision='fp16'"),
        (lambda: estimate("full", length=1), PlanError, "length=1"),
        (lambda: estimate_memory(ModelSpec(name="./nowhere"), "full"), ModelError, "does not exist"),
        (
            lambda: estimate("full", MobileNetV2Config(), length=32, gradient_checkpointing=True),
            UnsupportedSetupError,
            "cannot recompute",
        ),
    ],
)
def test_what_cannot_be_estimated_says_why(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("module", [estimate_module, live_module, copies_module, pilot_module])
def test_the_examples_of_the_documentation_run(module):
    tried = doctest.testmod(module)

    assert tried.attempted > 0 and tried.failed == 0
