import pytest
import torch
from datasets import Dataset
from safetensors.torch import save_file
from tiny_training import (
    CLASSES,
    LENGTH,
    VOCABULARY,
    assert_same_bits,
    make_args,
    make_data,
    make_model,
    train,
    weights,
)
from torch.utils.data import DataLoader
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    default_data_collator,
)

from hf_transfer_kit.callbacks.ewc import EWC
from hf_transfer_kit.callbacks.hosting.kept import load_tensors
from hf_transfer_kit.errors import DataError, ModelError, OutputError, PlanError

OLD = make_data(24, seed=5)
ONE_STEP = {"optim": "sgd", "learning_rate": 0.01, "lr_scheduler_type": "constant", "max_steps": 1}
BODY = "bert."


def one_by_one(model, rows, names=None):
    """The mean over rows of the squared gradient of each row's own loss, scaled to a mean of 1."""
    model.eval()
    squares = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for row in rows:
        model.zero_grad()
        model(**default_data_collator([row])).loss.backward()
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                squares[name] += weight.grad.square() / len(rows)
    model.zero_grad()
    squares = {name: square for name, square in squares.items() if names is None or name in names}
    return to_mean_one(squares)


def to_mean_one(importance):
    mean = torch.cat([tensor.flatten() for tensor in importance.values()]).mean()
    return {name: tensor / mean for name, tensor in importance.items()}


def kept(folder):
    tensors = load_tensors(folder / "hf_transfer_kit" / "ewc.safetensors")
    parts = [{n.removeprefix(k): t for n, t in tensors.items() if n.startswith(k)} for k in ("anchor.", "fisher.")]
    return tuple(parts)


def assert_close(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def make_language_model(seed=3):
    """A masked-language model whose body has the shapes of `make_model`."""
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=LENGTH, initializer_range=0.2, hidden_dropout_prob=0.0,
        architectures=["BertForMaskedLM"],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BertForMaskedLM(config)


def masked(rows):
    """A collator of language models: the first token of each row is to be predicted."""
    batch = default_data_collator([{key: value for key, value in row.items() if key != "labels"} for row in rows])
    labels = torch.full_like(batch["input_ids"], -100)
    labels[:, 0] = batch["input_ids"][:, 0]
    return {**batch, "labels": labels}


class Freeze(TrainerCallback):
    def __init__(self, prefix):
        self.prefix = prefix

    def on_train_begin(self, args, state, control, model, **kwargs):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(self.prefix))


# The pull


def test_one_step_is_the_trainers_step_and_the_closed_form(tmp_path):
    start, fisher = weights(make_model()), one_by_one(make_model(), OLD)
    plain = weights(train(tmp_path, **ONE_STEP).model)

    pulled = weights(train(tmp_path, [EWC(OLD, strength=200.0)], **ONE_STEP).model)

    pull = {name: 0.01 * 200.0 * importance for name, importance in fisher.items()}
    expected = {name: (plain[name] + c * start[name]) / (1 + c) for name, c in pull.items()}
    assert_close(pulled, expected, rtol=1e-4, atol=1e-6)


def test_anchor_and_importance_are_kept(tmp_path):
    train(tmp_path, [EWC(OLD)], max_steps=2)
    start, fisher = kept(tmp_path)
    assert_same_bits(start, weights(make_model()))
    assert_close(fisher, one_by_one(make_model(), OLD), rtol=1e-3, atol=1e-4)


def test_zero_strength_changes_nothing_and_does_nothing(tmp_path):
    plain = train(tmp_path / "a", model=make_model(dropout=0.1))
    off = train(tmp_path / "b", [EWC(OLD, 0)], model=make_model(dropout=0.1))
    assert_same_bits(weights(off.model), weights(plain.model))
    assert not (tmp_path / "b" / "hf_transfer_kit").exists()


@pytest.mark.parametrize("importance", ["fisher", "sampled", "exact", "mas", "reversed"])
def test_estimating_leaves_the_training_as_it_was(tmp_path, importance):
    plain = train(tmp_path / "a", model=make_model(dropout=0.1), max_steps=4)
    weak = train(tmp_path / "b", [EWC(OLD, 1e-35, importance)], model=make_model(dropout=0.1), max_steps=4)
    assert_same_bits(weights(weak.model), weights(plain.model))


def test_accumulation_does_not_change_the_result(tmp_path):
    settings = {"max_steps": 4, "optim": "sgd", "learning_rate": 0.05}
    results = [
        weights(
            train(
                tmp_path / str(steps), [EWC(OLD, 100.0)], data=make_data(64), per_device_train_batch_size=16 // steps,
                gradient_accumulation_steps=steps, **settings,
            ).model
        )
        for steps in (1, 2)
    ]  # fmt: skip
    assert_close(*results, rtol=1e-4, atol=1e-6)


def test_importance_does_not_depend_on_the_batch_size(tmp_path):
    for size in (3, 16):
        train(tmp_path / str(size), [EWC(OLD)], per_device_train_batch_size=size, max_steps=1)
    assert_close(kept(tmp_path / "3")[1], kept(tmp_path / "16")[1], rtol=1e-3, atol=1e-4)


def test_frozen_parameters_stay_and_their_order_in_the_list_does_not_matter(tmp_path):
    start = weights(make_model())
    freeze = Freeze("bert.encoder.layer.0")
    first = train(tmp_path / "a", [EWC(OLD, 100.0), freeze], max_steps=3)
    second = train(tmp_path / "b", [freeze, EWC(OLD, 100.0)], max_steps=3)
    assert_same_bits(weights(first.model), weights(second.model))
    assert_same_bits(kept(tmp_path / "a")[1], kept(tmp_path / "b")[1])
    for name, weight in weights(first.model).items():
        assert torch.equal(weight, start[name]) == name.startswith(freeze.prefix)


def test_the_penalty_is_logged(tmp_path):
    trainer = train(tmp_path, [EWC(OLD, 50.0)], logging_strategy="steps", logging_steps=12)
    (start, fisher), now = kept(tmp_path), weights(trainer.model)
    expected = 50 / 2 * sum((fisher[name] * (now[name] - start[name]).square()).sum().item() for name in start)
    logged = [entry["ewc_penalty"] for entry in trainer.state.log_history if "ewc_penalty" in entry]
    assert logged == [pytest.approx(expected, rel=1e-4)]


def test_a_protected_model_forgets_less(tmp_path):
    """New rows with other labels; the old loss is what EWC bounds."""
    old_rows = make_data(64, seed=5)
    expert = train(tmp_path / "old", data=old_rows, num_train_epochs=15).model
    new_rows = [{**row, "labels": (row["labels"] + 1) % CLASSES} for row in make_data(32, seed=6)]
    losses = []
    for strength in (0.0, 1e4):
        model = make_model()
        model.load_state_dict(expert.state_dict())
        train(tmp_path / str(strength), [EWC(old_rows, strength)], model=model, data=new_rows, max_steps=8)
        with torch.no_grad():
            losses.append(model.eval()(**default_data_collator(old_rows)).loss.item())
    assert losses[1] < losses[0] / 2


# Resumption


@pytest.mark.parametrize("mode", ["decoupled", "exact"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path, mode):
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 12}
    whole = train(tmp_path, [EWC(OLD, 100.0, mode=mode)], model=make_model(dropout=0.1), **settings)
    resumed = train(
        tmp_path, [EWC(OLD, 100.0, mode=mode)], model=make_model(seed=7, dropout=0.1),
        resume=str(tmp_path / "checkpoint-5"), **settings,
    )  # fmt: skip
    assert_same_bits(weights(resumed.model), weights(whole.model))


def test_a_resumed_run_neither_estimates_nor_anchors_again(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 8}
    train(tmp_path, [EWC(OLD, 100.0)], **settings)
    (tmp_path / "hf_transfer_kit" / "ewc.safetensors").unlink()
    with pytest.raises(OutputError, match=r"ewc\.safetensors' is missing"):
        train(tmp_path, [EWC(OLD, 100.0)], resume=str(tmp_path / "checkpoint-5"), **settings)


def test_a_resumed_run_notices_that_another_run_wrote_over_its_file(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 5, "max_steps": 8}
    train(tmp_path, [EWC(OLD, 100.0)], **settings)
    train(tmp_path, [EWC(make_data(8, seed=9), 100.0)], max_steps=1)
    with pytest.raises(OutputError, match="another training"):
        train(tmp_path, [EWC(OLD, 100.0)], resume=str(tmp_path / "checkpoint-5"), **settings)


# Another model that knows the old task


def test_another_head_over_the_same_body_gives_anchor_and_importance(tmp_path):
    old_model, old_rows = make_model(seed=4, classes=7), make_data(24, seed=5, classes=7)
    body = {name for name, _ in old_model.named_parameters() if name.startswith(BODY)}

    train(tmp_path, [EWC(old_rows, reference_model=old_model)], max_steps=1)

    start, fisher = kept(tmp_path)
    assert_same_bits(start, {name: weight for name, weight in weights(old_model).items() if name in body})
    assert_close(fisher, one_by_one(old_model, old_rows, body), rtol=1e-3, atol=1e-4)


def test_an_old_head_of_the_same_shape_is_free_as_well(tmp_path):
    train(tmp_path, [EWC(OLD, reference_model=make_model(seed=4))], max_steps=1)
    assert not any(name.startswith("classifier") for name in kept(tmp_path)[0])


def test_a_reference_with_more_tokens_leaves_the_embeddings_free(tmp_path):
    reference = make_model(seed=4)
    reference.resize_token_embeddings(VOCABULARY + 5)
    train(tmp_path, [EWC(OLD, reference_model=reference)], max_steps=1)
    start = kept(tmp_path)[0]
    assert "bert.embeddings.word_embeddings.weight" not in start
    assert "bert.embeddings.position_embeddings.weight" in start


@pytest.mark.parametrize("from_a_folder", [True, False])
def test_the_language_model_of_a_checkpoint_protects_what_pretraining_taught(tmp_path, from_a_folder):
    reference = make_language_model()
    reference.save_pretrained(tmp_path / "checkpoint")
    given = str(tmp_path / "checkpoint") if from_a_folder else reference

    train(tmp_path / "out", [EWC(OLD, reference_model=given, collate_fn=masked)], max_steps=1)

    start, fisher = kept(tmp_path / "out")
    shared = {name for name, _ in make_model().named_parameters() if name.startswith(BODY) and "pooler" not in name}
    assert start.keys() == shared  # the pooler is the classifier's own
    assert_same_bits(start, {name: weights(reference)[name] for name in shared})
    loss_on = [{key: value[0] for key, value in masked([row]).items()} for row in OLD]
    assert_close(fisher, one_by_one(reference, loss_on, shared), rtol=1e-3, atol=1e-4)


def test_a_reference_without_a_common_body_is_an_error(tmp_path):
    other = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=16, n_layer=1, n_head=2))
    with pytest.raises(ModelError, match="GPT2LMHeadModel has no parameter in common"):
        train(tmp_path, [EWC(OLD, reference_model=other)])


def test_a_reference_without_weights_for_its_own_head_is_an_error(tmp_path):
    reference = make_language_model()
    body = reference.bert
    body.config.architectures = ["BertForMaskedLM"]
    save_file({f"bert.{name}": tensor for name, tensor in body.state_dict().items()}, tmp_path / "model.safetensors")
    body.config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"lacks .* weights of a BertForMaskedLM"):
        train(tmp_path / "out", [EWC(OLD, reference_model=str(tmp_path))])


def test_a_reference_of_an_unknown_class_is_an_error(tmp_path):
    reference = make_language_model()
    reference.save_pretrained(tmp_path / "checkpoint")
    file = tmp_path / "checkpoint" / "config.json"
    file.write_text(file.read_text().replace("BertForMaskedLM", "MyOwnBert"))
    with pytest.raises(ModelError, match="names the class MyOwnBert"):
        train(tmp_path / "out", [EWC(OLD, reference_model=str(tmp_path / "checkpoint"))])


# Saved estimates and sequences of tasks


def test_a_mapping_is_scaled_and_anchors_the_weights_now(tmp_path):
    fisher = one_by_one(make_model(seed=8), OLD)
    train(tmp_path, [EWC(fisher={name: 7 * tensor for name, tensor in fisher.items()})], max_steps=1)
    start, importance = kept(tmp_path)
    assert_same_bits(start, weights(make_model()))
    assert_close(importance, fisher, rtol=1e-4, atol=1e-6)


def test_a_mapping_may_come_from_a_file(tmp_path):
    fisher = one_by_one(make_model(seed=8), OLD)
    save_file(fisher, tmp_path / "fisher.safetensors")
    train(tmp_path / "out", [EWC(fisher=tmp_path / "fisher.safetensors")], max_steps=1)
    assert_close(kept(tmp_path / "out")[1], fisher, rtol=1e-4, atol=1e-6)


def test_the_file_of_an_earlier_run_brings_its_own_anchor(tmp_path):
    train(tmp_path / "a", [EWC(OLD)], max_steps=1)
    train(
        tmp_path / "b", [EWC(fisher=tmp_path / "a/hf_transfer_kit/ewc.safetensors")], model=make_model(9), max_steps=1
    )
    for first, second in zip(kept(tmp_path / "a"), kept(tmp_path / "b"), strict=True):
        assert_same_bits(first, second)


def test_what_an_estimate_does_not_name_is_free(tmp_path):
    train(tmp_path, [EWC(fisher={"classifier.weight": torch.ones(CLASSES, 16), "gone": torch.ones(2)})], max_steps=1)
    assert kept(tmp_path)[0].keys() == {"classifier.weight"}
    with pytest.raises(DataError, match="fits none of the"):
        train(tmp_path, [EWC(fisher={"gone": torch.ones(2)})])


@pytest.mark.parametrize("from_a_file", [True, False])
def test_a_sequence_of_tasks_sums_importance_with_decay(tmp_path, from_a_file):
    second_task, third_task = make_data(16, seed=6), make_data(16, seed=7)
    first = EWC(OLD, 30.0)
    model = train(tmp_path / "a", [first], data=second_task, max_steps=3).model
    if from_a_file:
        first = EWC(strength=30.0, fisher=tmp_path / "a/hf_transfer_kit/ewc.safetensors")

    second = first.after_task(model, second_task, gamma=0.5)

    fisher = one_by_one(make_model(), OLD)
    after_two = weights(model)
    importance = {
        name: 0.5 * fisher[name] + tensor for name, tensor in one_by_one(model, second_task).items()
    }  # fmt: skip
    train(tmp_path / "b", [second], model=model, data=third_task, max_steps=3)
    start, summed = kept(tmp_path / "b")
    assert second.strength == 30.0
    assert_same_bits(start, after_two)
    assert_close(summed, importance, rtol=1e-3, atol=1e-3)

    third = second.after_task(model, third_task)

    importance = {name: summed[name] + tensor for name, tensor in one_by_one(model, third_task).items()}
    assert_close(third.fisher.importance, importance, rtol=1e-3, atol=1e-3)


def test_there_is_no_next_task_before_the_first(tmp_path):
    with pytest.raises(PlanError, match="call it after trainer"):
        EWC(OLD).after_task(make_model(), OLD)
    with pytest.raises(PlanError, match=r"gamma=-1 must be 0 or more"):
        EWC(OLD).after_task(make_model(), OLD, gamma=-1)


# Data


def test_old_labels_that_the_head_cannot_express_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"label 6, .* 3 classes, 0 to 2; .*num_labels of 7.*reference_model"):
        train(tmp_path, [EWC([{**OLD[0], "labels": 6}])])


def test_importance_of_outputs_needs_no_labels(tmp_path):
    train(tmp_path, [EWC([{**row, "labels": 6} for row in OLD], importance="mas")], max_steps=1)
    assert kept(tmp_path)[1].keys() == weights(make_model()).keys()


def test_old_tokens_that_the_model_has_not_are_an_error(tmp_path):
    row = {**OLD[0], "input_ids": OLD[0]["input_ids"] + VOCABULARY}
    with pytest.raises(DataError, match=f"{VOCABULARY} embeddings; tokenise the old data"):
        train(tmp_path, [EWC([row])])


def test_labels_of_language_models_are_tokens(tmp_path):
    row = {**OLD[0], "labels": OLD[0]["input_ids"] + VOCABULARY}
    with pytest.raises(
        DataError, match=f"which the head of BertForMaskedLM cannot express: it has {VOCABULARY} classes"
    ):
        train(tmp_path, [EWC([row], reference_model=make_language_model())])


def test_old_data_may_be_anything_that_the_trainer_takes(tmp_path):
    table = [{"text": "unused", **{k: torch.as_tensor(v).tolist() for k, v in row.items()}} for row in OLD]
    given = {
        "rows": OLD, "table": Dataset.from_list(table), "stream": Dataset.from_list(table).to_iterable_dataset(),
        "loader": DataLoader(OLD, batch_size=5, collate_fn=default_data_collator),
    }  # fmt: skip
    for name, data in given.items():
        train(tmp_path / name, [EWC(data)], data=Dataset.from_list(table), max_steps=1)
        assert_close(kept(tmp_path / name)[1], kept(tmp_path / "rows")[1], rtol=1e-4, atol=1e-5)


def test_old_data_that_says_nothing_is_an_error(tmp_path):
    def blind(rows):
        return {**default_data_collator(rows), "labels": torch.full((len(rows),), -100)}

    with pytest.raises(DataError, match="the importance"):
        train(tmp_path, [EWC(OLD, collate_fn=blind)])
    with pytest.raises(DataError, match="no examples"):
        train(tmp_path, [EWC([])])


# Setups


def test_the_loss_is_not_touched(tmp_path):
    """The pull works where penalties in the loss are lost: with label smoothing and a loss function of the user's."""

    def loss_function(outputs, labels, num_items_in_batch=None):
        return torch.nn.functional.cross_entropy(outputs.logits, labels)

    for number, settings in enumerate([{"label_smoothing_factor": 0.1}, {"torch_compile_backend": "eager"}]):
        held = train(tmp_path / str(number), [EWC(OLD, 1e6)], max_steps=3, **settings)
        free = train(tmp_path / str(number), max_steps=3, **settings)
        assert far(free.model) > 3 * far(held.model)
    held = Trainer(
        make_model(), make_args(tmp_path, max_steps=3), train_dataset=make_data(), compute_loss_func=loss_function,
        callbacks=[EWC(OLD, 1e6)],
    )  # fmt: skip
    held.train()
    assert far(free.model) > 3 * far(held.model)


def far(model):
    """How far the weights are from the start."""
    start = weights(make_model())
    return sum((weight - start[name]).square().sum().item() for name, weight in weights(model).items())


def test_half_precision_models_are_pulled(tmp_path):
    for strength in (0.0, 1e6):
        trainer = train(tmp_path, [EWC(OLD, strength)], model=make_model().bfloat16(), max_steps=2)
    assert trainer.model.dtype == torch.bfloat16
    assert kept(tmp_path)[1]["classifier.weight"].dtype == torch.float32


def test_adapters_are_protected_alone(tmp_path):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(make_model(), LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"]))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    frozen = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if name not in trained}

    ewc = EWC(OLD, 10.0)
    train(tmp_path, [ewc], model=model, max_steps=3)

    assert kept(tmp_path)[0].keys() == trained
    assert_same_bits({name: model.get_parameter(name).detach() for name in frozen}, frozen)
    assert ewc.after_task(model, OLD).fisher.start.keys() == trained


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "either the old task's data or a saved estimate"),
        ({"data": OLD, "fisher": {}}, "either the old task's data or a saved estimate"),
        ({"fisher": {}, "reference_model": "x"}, "pass one of them"),
        ({"data": OLD, "importance": "fischer"}, "did you mean 'fisher'"),
        ({"data": OLD, "n_examples": 0}, "n_examples=0 must be 1 or more"),
        ({"data": OLD, "strength": -1}, "use 0 to switch the pull off"),
    ],
)
def test_wrong_settings_say_what_to_do(settings, said):
    with pytest.raises(PlanError, match=said):
        EWC(**settings)
