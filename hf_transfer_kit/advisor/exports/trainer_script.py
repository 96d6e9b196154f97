"""The script of a plan that trains: one frame, and in it the lines that the plan asks for."""

from typing import Any

from hf_transfer_kit.advisor.exports.scripts import code
from hf_transfer_kit.plan import Gradual, Lora, TopLayers, TransferPlan

BF16 = {"auto": "torch.cuda.is_available() and torch.cuda.is_bf16_supported()", "fp32": "False", "bf16": "True"}


def trainer_script(plan: TransferPlan, approach: Any, folder: str) -> str:
    """The text of the script; `approach` is one of top_layers, full, gradual, lora."""
    training, has_old = plan.training, plan.old_data is not None
    rate = "task.learning_rate" if approach.learning_rate is None else repr(approach.learning_rate)
    head_rate = rate if has_old else repr(approach.head_learning_rate)
    callbacks, names = _callbacks(plan, approach)
    names |= {"DataSpec", "ModelSpec", "Training", "discriminative_lr", "load_data"}
    own_blocks = plan.model is not None and plan.model.blocks is not None and not isinstance(approach, Lora)
    names |= {"find_blocks"} if own_blocks or isinstance(approach, TopLayers) else set()
    lines = [
        _IMPORTS.format(names=", ".join(sorted(names, key=lambda name: (not name.isupper(), name)))),
        *(["from peft import LoraConfig, get_peft_model\n"] if isinstance(approach, Lora) else []),
        f"FOLDER, SEED, LONGEST = {folder!r}, {plan.seed}, {plan.data.max_length}",
        f"TRAINING = {code(training)}",
        f"start = {code(plan.model)}",
        *_data(plan),
        _FUNCTIONS.format(bf16=BF16[training.precision]),
        *([_LEARN_OLD.format(size=plan.old_data.train_size)] if plan.old_data is not None else []),
        "processor, model, new = load(start, SEED)",
        *(["new = output_parameters(model)  # its rows for old labels have learned"] if has_old else []),
        *_prepared(plan, approach),
        f"train, validation = (rows(data, part, {plan.data.train_size}, SEED) for part in ('train', 'validation'))",
        f"optimizer = discriminative_lr(\n    model, lr={rate}, head_lr={head_rate}, "
        f"decay={getattr(approach, 'decay', 1.0)}, weight_decay=TRAINING.weight_decay, new_parameters=new,"
        + ("\n    blocks=find_blocks(model, start.blocks),\n)" if own_blocks else "\n)"),
        f"trainer = trained(model, optimizer, train, validation, SEED, FOLDER, [{', '.join(callbacks)}])",
        _END,
    ]  # fmt: skip
    return "\n".join(lines)


def _data(plan: TransferPlan) -> list[str]:
    if plan.old_data is None:
        return [f"data = load_data({code(plan.data)})"]
    return [f"old_data = load_data({code(plan.old_data)})",
            f"data = load_data({code(plan.data)}, after=old_data.label_names)"]  # fmt: skip


def _callbacks(plan: TransferPlan, approach: Any) -> tuple[list[str], set[str]]:
    """(expressions that make them, names that they need)."""
    names: set[str] = set()
    made, protection = ["EarlyStoppingCallback(TRAINING.patience)"], plan.protection
    if isinstance(approach, Gradual):
        names.add("GradualUnfreezing")
        made = ["unfreezing"]
    if protection.ewc is not None:
        made.append(f"EWC(rows(old_data, 'train', {_old_size(plan)}, 0){_settings(protection.ewc)})")
        names.add("EWC")
    if protection.l2sp is not None:
        made.append(f"L2SP({_settings(protection.l2sp).removeprefix(', ')})")
        names.add("L2SP")
    if protection.replay is not None:
        settings = _settings(protection.replay)
        made.append(f"Replay(rows(old_data, 'train', {_old_size(plan)}, 0){settings}, seed=SEED)")
        names.add("Replay")
    return made, names


def _old_size(plan: TransferPlan) -> int | None:
    return None if plan.old_data is None else plan.old_data.train_size


def _settings(protection: Any) -> str:
    """ ", strength=1.0": what differs from the defaults, which callback and plan share."""
    inner = code(protection).partition("(")[2].removesuffix(")")
    return f", {inner}" if inner else ""


def _prepared(plan: TransferPlan, approach: Any) -> list[str]:
    """What stands between loading the model and its optimizer."""
    norms = "keep_in_eval(model, [part for part in model.modules() if isinstance(part, _BatchNorm)])"
    blocks = plan.model.blocks if plan.model is not None else None
    if isinstance(approach, TopLayers):
        return [_TOP_LAYERS.format(blocks=blocks, count=approach.blocks), norms]
    if isinstance(approach, Lora):
        return [_LORA.format(rank=approach.rank, alpha=approach.alpha), norms]
    if isinstance(approach, Gradual):
        return [
            norms,
            _GRADUAL.format(
                order=approach.order, blocks=blocks, share=approach.opening_share, size=plan.data.train_size
            ),
        ]
    return [norms]


_IMPORTS = '''"""A plan as a script: the callbacks of hf-transfer-kit around the plain Trainer."""

import os

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments, set_seed

from hf_transfer_kit import {names}
from hf_transfer_kit.approaches.build import lora_targets, set_dropout, show_geometry
from hf_transfer_kit.approaches.head import output_parameters
from hf_transfer_kit.approaches.loop import loss_per_labelled_row, most_epochs
from hf_transfer_kit.approaches.rows import Rows
from hf_transfer_kit.data.labelled import subset_rows
from hf_transfer_kit.freezing import keep_in_eval
from hf_transfer_kit.tasks import get_task
'''

_FUNCTIONS = '''task = get_task(data.task)


def load(spec, seed):
    """Processor, classifier of `spec` with a head over all labels, and the names of what is new in it."""
    set_seed(seed)
    processor = task.load_processor(spec)
    model, new = task.load_classifier(spec, data.label_names, processor)
    if TRAINING.dropout is not None:
        set_dropout(model, TRAINING.dropout)
    return processor, model, new


def rows(data, part, train_size, seed):
    """Encoded rows of a part; of the training part, `train_size` at most."""
    table = data.test if part == "test" else data.part(part).select(subset_rows(data, train_size, seed)[part])
    return Rows(task, processor, table["input"], table["label"][:], LONGEST)


def trained(model, optimizer, train, validation, seed, folder, callbacks):
    """The Trainer after training; the model has its best weights on validation."""
    shares = TRAINING.accumulation * int(os.environ.get("WORLD_SIZE", 1))
    each, epochs = -(-len(train) // TRAINING.batch_size), most_epochs(TRAINING, len(train))
    interval = min(max(each, -(-epochs * each // 10)), 1000)  # steps between two evaluations
    args = TrainingArguments(
        output_dir=folder, seed=seed, num_train_epochs=epochs, bf16={bf16},
        per_device_train_batch_size=TRAINING.batch_size // shares, per_device_eval_batch_size=64,
        gradient_accumulation_steps=TRAINING.accumulation, warmup_steps=TRAINING.warmup_share,
        gradient_checkpointing=TRAINING.gradient_checkpointing or None, weight_decay=TRAINING.weight_decay,
        eval_strategy="steps", eval_steps=interval, save_strategy="steps", save_steps=interval, save_total_limit=1,
        load_best_model_at_end=True, metric_for_best_model="eval_loss", remove_unused_columns=False,
        label_names=["labels"], report_to=list(TRAINING.report_to) or "none", use_cpu=not torch.cuda.is_available(),
    )
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    inner.accepts_loss_kwargs = False  # the loss below counts the rows of the whole step
    trainer = Trainer(
        model=model, args=args, train_dataset=train, eval_dataset=validation, data_collator=train.collate,
        compute_loss_func=loss_per_labelled_row, optimizers=(optimizer, None), callbacks=callbacks,
    )
    trainer.train()
    return trainer

'''

_LEARN_OLD = """# The model learns the old data first, with a head over old and new labels.
processor, model, new = load(start, 0)
keep_in_eval(model, [part for part in model.modules() if isinstance(part, _BatchNorm)])
train, validation = (rows(old_data, part, {size}, 0) for part in ("train", "validation"))
optimizer = discriminative_lr(
    model, lr=task.learning_rate, head_lr=1e-3, decay=0.95, weight_decay=TRAINING.weight_decay, new_parameters=new,
)
knowing = trained(model, optimizer, train, validation, 0, FOLDER + "/old", [EarlyStoppingCallback(TRAINING.patience)])
knowing.save_model(FOLDER + "/knows-old")
if knowing.is_world_process_zero():
    processor.save_pretrained(FOLDER + "/knows-old")
knowing.accelerator.wait_for_everyone()
start = ModelSpec(name=FOLDER + "/knows-old", blocks=start.blocks)
"""

_TOP_LAYERS = """blocks = find_blocks(model, {blocks})
for unit in blocks.below(min({count}, len(blocks))):  # everything below the trained blocks is frozen
    for parameter in unit.parameters(model):
        parameter.requires_grad_(False)
    keep_in_eval(model, unit.modules(model))"""

_LORA = """heads = sorted({{name.partition(".")[0] if not name.startswith(model.base_model_prefix + ".")
                else name.rpartition(".")[0] for name in new}})
model = get_peft_model(model, LoraConfig(
    r={rank}, lora_alpha={alpha}, lora_dropout=0.0, modules_to_save=heads, target_modules=lora_targets(model, heads),
    task_type="SEQ_CLS" if model.main_input_name == "input_ids" else None,
))
show_geometry(model)
new = [name for name, p in model.named_parameters() if p.requires_grad and ".modules_to_save." in name]"""

_GRADUAL = """# The last block opens after {share} of the training; it is never stopped early, lest blocks stay closed.
order = {{"order": {order!r}, "blocks": {blocks}}}
phases = len(GradualUnfreezing(**order).plan(model).phases)
epochs = most_epochs(TRAINING, len(rows(data, "train", {size}, SEED)))
unfreezing = GradualUnfreezing(epochs * min({share} / max(phases - 1, 1), 1 / phases), **order)"""

_END = """test = rows(data, "test", None, SEED)
answers = trainer.predict(test)
print(f"test accuracy {(answers.predictions.argmax(-1) == answers.label_ids).mean():.4f}")
trainer.save_model(FOLDER + "/model")
processor.save_pretrained(FOLDER + "/model")
trainer.accelerator.end_training()  # of several processes: leave their group
"""
