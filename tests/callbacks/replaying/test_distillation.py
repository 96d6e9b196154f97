import pytest
import torch
from replay_witness import NEW, OLD, Recording, Witness, expected_gradient, marked
from safetensors.torch import load_file
from tiny_training import assert_same_bits, make_args, make_data, make_model, train, weights
from transformers import (
    DataCollatorForLanguageModeling,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
)

from hf_transfer_kit.callbacks.gradual_unfreezing import GradualUnfreezing
from hf_transfer_kit.callbacks.replay import Replay
from hf_transfer_kit.callbacks.replaying import distillation
from hf_transfer_kit.errors import ModelError, PlanError, ResourceError

OLD_ROWS = make_data(20, seed=9)


def logits_of(model, rows):
    model.eval()
    with torch.no_grad():
        batch = {name: torch.stack([row[name] for row in rows]) for name in ("input_ids", "attention_mask")}
        return model(**batch).logits


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_gradient_is_that_of_the_sum_of_both_losses(tmp_path, accumulation):
    strength, step = 3.0, 2
    new, old = marked(make_data(), NEW), marked(OLD_ROWS, OLD)
    collator, witness, replay = Recording(), Witness(step), Replay(old, 0.4, distill=strength)
    args = make_args(
        tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=accumulation, max_steps=4,
        max_grad_norm=0.0, remove_unused_columns=False,
    )  # fmt: skip
    Trainer(
        model=make_model(), args=args, train_dataset=new, data_collator=collator, callbacks=[replay, witness]
    ).train()
    mixed = [call for call in collator.calls if call[0][0] == NEW]
    alone = [call for call in collator.calls if call[0][0] == OLD][-4:]

    model = make_model()
    start = logits_of(model, old)
    model.load_state_dict(witness.weights)
    expected = expected_gradient(
        model.train(), mixed[step * accumulation : (step + 1) * accumulation], alone[step], start, old, new, strength
    )
    for name, gradient in expected.items():
        torch.testing.assert_close(witness.gradient[name], gradient, atol=1e-6, rtol=1e-4)
    task_alone = expected_gradient(model, mixed[step * accumulation :][:accumulation], alone[step], start, old, new, 0)
    assert any((task_alone[name] - gradient).abs().max() > 1e-3 for name, gradient in expected.items())


def test_stored_logits_are_those_of_the_start_in_eval_mode(tmp_path):
    model = make_model(dropout=0.3)
    expected = logits_of(model, OLD_ROWS)
    train(tmp_path, [Replay(OLD_ROWS, 0.3, distill=0.5)], model=model.train())
    kept = load_file(tmp_path / "hf_transfer_kit" / "replay.safetensors")

    torch.testing.assert_close(kept["logits"], expected)
    assert kept["starts"].tolist() == list(range(21))


def test_the_loss_is_logged_and_holds_the_logits_near_their_start(tmp_path):
    def moved(strength):
        model = make_model()
        before = logits_of(model, OLD_ROWS)
        trainer = train(
            tmp_path, [Replay(OLD_ROWS, 0.4, distill=strength)], model=model, logging_strategy="steps", logging_steps=4
        )
        return float((logits_of(model, OLD_ROWS) - before).pow(2).mean()), trainer.state.log_history

    (free, silent), (held, log) = moved(0.0), moved(20.0)
    assert held < free / 2
    logged = [entry["replay_distill"] for entry in log if "replay_distill" in entry]
    assert len(logged) == 3 and all(value > 0 for value in logged)
    assert not any("replay_distill" in entry for entry in silent)
    assert sum("loss" in entry for entry in log) == sum("loss" in entry for entry in silent) == 3


def test_blocks_open_the_same_in_either_order_of_the_callbacks(tmp_path):
    def after(callbacks):
        model = make_model()
        train(tmp_path, callbacks, model=model, num_train_epochs=2)
        return weights(model)

    one = after([GradualUnfreezing(0.5), Replay(OLD_ROWS, 0.3, distill=2.0)])
    other = after([Replay(OLD_ROWS, 0.3, distill=2.0), GradualUnfreezing(0.5)])

    assert_same_bits(one, other)


def test_frozen_blocks_stay_where_they_are(tmp_path):
    model, never = make_model(), GradualUnfreezing(schedule=[{"opens": ["head"]}])
    train(tmp_path, [Replay(OLD_ROWS, 0.3, distill=2.0), never], model=model)

    moved = {name for name, start in make_model().state_dict().items() if not torch.equal(start, weights(model)[name])}
    assert moved and not any("encoder" in name or "embeddings" in name for name in moved)


def test_the_step_after_an_evaluation_is_in_train_mode_too(tmp_path):
    passes, model = [], make_model(dropout=0.3)
    model.register_forward_pre_hook(lambda module, _: passes.append((torch.is_grad_enabled(), module.training)))
    Trainer(
        model=model, args=make_args(tmp_path, eval_strategy="steps", eval_steps=1, num_train_epochs=1),
        train_dataset=make_data(), eval_dataset=make_data(8, seed=3), callbacks=[Replay(OLD_ROWS, 0.3, distill=2.0)],
    ).train()  # fmt: skip

    assert set(passes) == {(True, True), (False, False)}
    assert sum(gradient for gradient, _ in passes) == 2 * 4  # of each step: the stored logits, the batch


def language_rows(rows, seed):
    """Token rows of unequal length, with the padding on the left in every other one."""
    found = []
    for position, row in enumerate(make_data(rows, seed=seed)):
        side = (0,) if position % 2 else ()
        ids, mask = (row[name].flip(side) if side else row[name] for name in ("input_ids", "attention_mask"))
        found.append({"input_ids": ids, "attention_mask": mask, "labels": torch.where(mask.bool(), ids, -100)})
    return found


def tiny_gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=8))


def test_a_language_model_is_held_at_every_token_but_padding(tmp_path):
    old, model = language_rows(12, 9), tiny_gpt2()
    expected = [logits[row["attention_mask"].bool()] for logits, row in zip(logits_of(model, old), old, strict=True)]
    train(tmp_path, [Replay(old, 0.3, distill=1.0)], model=model.train(), data=language_rows(16, 1), max_steps=2)
    kept = load_file(tmp_path / "hf_transfer_kit" / "replay.safetensors")

    torch.testing.assert_close(kept["logits"], torch.cat(expected))
    assert kept["starts"].tolist() == [0, *torch.tensor([len(row) for row in expected]).cumsum(0).tolist()]


def test_an_encoder_decoder_is_held_at_every_answered_token(tmp_path):
    torch.manual_seed(0)
    config = T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    old = [{**row, "labels": row["labels"][:5]} for row in language_rows(12, 9)]
    train(
        tmp_path, [Replay(old, 0.3, distill=1.0)], model=T5ForConditionalGeneration(config), data=old[:8], max_steps=2
    )
    kept = load_file(tmp_path / "hf_transfer_kit" / "replay.safetensors")

    assert len(kept["logits"]) == sum(int((row["labels"] != -100).sum()) for row in old)


def test_logits_that_need_too_much_memory_say_how_many_rows_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "MOST_MIB", 10 * 3 * 4 / 2**20)  # 10 rows of 3 classes in float32

    with pytest.raises(ResourceError, match="memory=10 fits"):
        train(tmp_path, [Replay(OLD_ROWS, 0.3, distill=1.0)])
    train(tmp_path, [Replay(OLD_ROWS, 0.3, distill=1.0, memory=10)])


def test_a_collator_that_masks_at_random_is_refused(tmp_path, tiny_bert):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    rows = [{"input_ids": [2, *row["input_ids"].tolist()[:6], 3]} for row in make_data(16)]
    trainer = Trainer(
        model=tiny_gpt2(), args=make_args(tmp_path), train_dataset=rows, callbacks=[Replay(rows, distill=1.0)],
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=True, mlm_probability=0.5),
    )  # fmt: skip

    with pytest.raises(PlanError, match="at random"):
        trainer.train()


def test_a_model_without_logits_is_refused(tmp_path):
    class NoLogits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, input_ids, attention_mask, labels):
            return {"loss": self.weight.sum()}

    with pytest.raises(ModelError, match="Use distill=0"):
        train(tmp_path, [Replay(OLD_ROWS, distill=1.0)], model=NoLogits())
