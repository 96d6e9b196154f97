"""What each phase of an approach holds in memory, found by running its shadow."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy

from hf_transfer_kit.errors import TransferKitError, UnsupportedSetupError
from hf_transfer_kit.memory.estimate import MIB, MemoryEstimate
from hf_transfer_kit.memory.live import LiveMemory
from hf_transfer_kit.memory.shadow import Setup, Shadow, asked, body, classifier, onto_fake_tensors
from hf_transfer_kit.plan import TRAINED, Features, TopLayers

EVALUATION_BATCH = 64  # of the kit's training loop
PASS_BATCH = {False: 32, True: 16}  # of the kit where nothing trains: texts, images
MOMENTS = 2  # of AdamW, for each trained weight
STEP_COPIES = 2  # of one parameter, which AdamW's step makes on its way
AHEAD = 1  # batches that accelerate's loader reads before they are used


def phases(model: Any, setup: Setup) -> list[MemoryEstimate]:
    """An estimate for each phase of `setup.approach`; arguments and errors as of `estimate_memory`."""
    trains, is_features = isinstance(setup.approach, TRAINED), isinstance(setup.approach, Features)
    with _named_errors(model):
        shadow = (classifier if trains else body if is_features else asked)(model, setup)
        with FakeTensorMode(allow_non_fake_inputs=True):
            onto_fake_tensors(shadow.model)
            return _trained(shadow, setup) if trains else [_pass(shadow, setup, every_layer=is_features)]


@contextmanager
def _named_errors(model: Any) -> Iterator[None]:
    """Turns what torch raises where a model asks for the numbers in its tensors into one line."""
    log = logging.getLogger("torch._subclasses.fake_tensor")  # which prints what it then raises
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    except TransferKitError:
        raise
    except (RuntimeError, NotImplementedError, ValueError, TypeError, AttributeError) as error:
        name = getattr(model, "name", None) or type(model).__name__
        reason = " ".join(str(error).split())[:200]
        raise UnsupportedSetupError(
            f"the memory of '{name}' cannot be estimated from its configuration ({type(error).__name__}: {reason}); "
            "measure it: the record of a short run holds its peak."
        ) from error
    finally:
        log.setLevel(level)


def _trained(shadow: Shadow, setup: Setup) -> list[MemoryEstimate]:
    """Storing what reaches the trained blocks, the training step, and the evaluation between steps."""
    if setup.gradient_checkpointing:
        _recompute(shadow.model)
    pixels, stored = _pixels(shadow), _stored(shadow, setup)
    trained = shadow.bytes_of(trained=True) + _soft_prompt(shadow)
    model = {"model": shadow.name, "approach": setup.approach.name, "frozen": shadow.bytes_of(trained=False)}
    ahead = setup.batch // setup.accumulation * AHEAD
    data = 0 if setup.gpu else pixels * (setup.rows + ahead) + stored * setup.rows
    common = model | {
        "trained": trained, "optimizer": MOMENTS * trained, "best": 0 if setup.gpu else trained, "data": data,
    }  # fmt: skip
    activations, workspace = _step(shadow, setup, short_cut=stored > 0)
    found = [
        MemoryEstimate(**common, phase="training", gradients=trained, activations=activations, workspace=workspace)
    ]
    if batch := EVALUATION_BATCH if setup.evaluation_batch is None else setup.evaluation_batch:
        held, workspace = _forward(shadow, batch, setup, short_cut=stored > 0)
        found.append(MemoryEstimate(**common, phase="evaluation", activations=held, workspace=workspace))
    if stored:  # before there is an optimizer
        held, workspace = _forward(shadow, PASS_BATCH[shadow.reads_images], setup, until_boundary=True)
        data = stored * setup.rows + pixels * PASS_BATCH[shadow.reads_images]
        found.append(
            MemoryEstimate(
                **model, phase="storing", trained=trained, data=data, activations=held, workspace=workspace
            )
        )  # fmt: skip
    return found


def _step(shadow: Shadow, setup: Setup, *, short_cut: bool) -> tuple[int, int]:
    """(bytes kept for the backward pass, most bytes beyond them and the gradients) of one micro-batch."""
    model, gradients = shadow.model.train(), [0]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def note(parameter: torch.Tensor) -> None:
        gradients[0] += parameter.nbytes

    for parameter in trained:
        parameter.register_post_accumulate_grad_hook(note)
    size = -(-setup.batch // setup.accumulation)
    memory = LiveMemory(kept=lambda: gradients[0], on_cpu=not setup.gpu)
    with memory, _from_boundary(shadow, memory, short_cut):
        inputs, labels = shadow.inputs(size), torch.zeros(size, dtype=torch.long)
        with _autocast(setup.precision):
            logits = model(**inputs).logits
        loss = cross_entropy(logits.float(), labels, reduction="sum")
        kept = memory.live
        loss.backward()
    model.zero_grad(set_to_none=True)
    largest = max(parameter.nbytes for parameter in trained)
    return kept, max(memory.peak, STEP_COPIES * largest) - kept


@torch.no_grad()
def _forward(
    shadow: Shadow, batch: int, setup: Setup, *, short_cut: bool = False, until_boundary: bool = False, **settings: Any
) -> tuple[int, int]:
    """(bytes alive at the end, most bytes beyond them) of one pass without a backward one."""
    model = shadow.model.eval()
    with LiveMemory(on_cpu=not setup.gpu) as memory, _from_boundary(shadow, memory, short_cut):
        inputs = shadow.inputs(batch)
        with _autocast(setup.precision):
            output = _activations(shadow, inputs) if until_boundary else model(**inputs, **settings)
        held = memory.live
    del output
    return held, memory.peak - held


@contextmanager
def _from_boundary(shadow: Shadow, memory: LiveMemory, short_cut: bool) -> Iterator[None]:
    """Where a short cut takes the place of the lower blocks, what they need for a moment does not count."""
    if not short_cut or shadow.boundary is None:
        yield
        return
    block = shadow.model.get_submodule(shadow.boundary)
    hook = block.register_forward_pre_hook(lambda *_: memory.forget_peak())
    try:
        yield
    finally:
        hook.remove()


def _pass(shadow: Shadow, setup: Setup, *, every_layer: bool) -> MemoryEstimate:
    """One pass through a model that does not train: for the features of every layer, or for answers to prompts."""
    settings = {"output_hidden_states": True} if every_layer else {}
    held, workspace = _forward(shadow, setup.batch, setup, **settings)
    cache = 0 if every_layer else _cache(shadow, setup.batch)
    return MemoryEstimate(
        model=shadow.name, approach=setup.approach.name, phase="pass", frozen=shadow.bytes_of(trained=False),
        activations=held - cache, workspace=workspace, cache=cache,
        data=0 if setup.gpu else _pixels(shadow) * setup.batch,  # rows, of which the model reads a copy
    )  # fmt: skip


@torch.no_grad()
def _cache(shadow: Shadow, batch: int) -> int:
    """Bytes of the keys and values that a language model returns; 0 for other models."""
    output = shadow.model(**shadow.inputs(batch))
    layers = getattr(getattr(output, "past_key_values", None), "layers", None) or []
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)


def _stored(shadow: Shadow, setup: Setup) -> int:
    """Bytes of one row's activation at the boundary, where those of all rows stay in memory; else 0."""
    if not isinstance(setup.approach, TopLayers) or shadow.boundary is None or not setup.rows:
        return 0
    with torch.no_grad():
        shadow.model.eval()
        each = int(_activations(shadow, shadow.inputs(1)).nbytes)
    return each if each * setup.rows <= setup.approach.cache_limit_mib * MIB else 0


class _ReachedError(Exception):
    """Ends a forward pass at the boundary."""


def _activations(shadow: Shadow, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """What reaches the lowest trained block."""
    caught: list[torch.Tensor] = []

    def catch(module: Any, args: Any, kwargs: Any) -> None:
        caught.append(args[0] if args else kwargs["hidden_states"])
        raise _ReachedError

    hook = shadow.model.get_submodule(shadow.boundary).register_forward_pre_hook(catch, with_kwargs=True)
    try:
        shadow.model(**inputs)
    except _ReachedError:
        return caught[0]
    finally:
        hook.remove()
    raise UnsupportedSetupError(f"{shadow.name} never reaches its block '{shadow.boundary}'.")


def _pixels(shadow: Shadow) -> int:
    """Bytes of one image; 0 for texts."""
    return shadow.inputs(1)["pixel_values"].nbytes if shadow.reads_images else 0


def _soft_prompt(shadow: Shadow) -> int:
    """Bytes of a soft prompt."""
    return shadow.virtual_tokens * shadow.model.get_input_embeddings().weight[0].nbytes if shadow.virtual_tokens else 0


def _recompute(model: Any) -> None:
    """Makes blocks compute their activations again in the backward pass, as the Trainer does."""
    if not model.supports_gradient_checkpointing:
        raise UnsupportedSetupError(
            f"{type(model).__name__} cannot recompute its activations; leave gradient_checkpointing out."
        )
    settings = {"use_reentrant": False, "preserve_rng_state": False}  # dropout is 0, and fakes have no random state
    enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)  # new in 5.23
    enable(settings)


def _autocast(precision: str) -> Any:
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
