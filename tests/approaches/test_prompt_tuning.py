"""Soft prompts: where they start, what moves, padding, saving and loading, accumulation, resuming, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as hf
from architectures import BERT_LIKE, TEXT_MODELS
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback

from hf_transfer_kit.approaches.build import build
from hf_transfer_kit.approaches.loop import history, train
from hf_transfer_kit.approaches.prompt_tuning import start_tokens, with_soft_prompt
from hf_transfer_kit.approaches.rows import BatchOrder, Rows
from hf_transfer_kit.approaches.trained import TrainedFit
from hf_transfer_kit.errors import PlanError, UnsupportedSetupError
from hf_transfer_kit.measure import flop_counter
from hf_transfer_kit.plan import PromptTuning
from hf_transfer_kit.records import Cost, DataIdentity, ItemScores, RunRecord

APPROACH = PromptTuning(virtual_tokens=5, learning_rate=3e-2, head_learning_rate=1e-2)


@pytest.fixture
def prompt_job(make_job):
    """A job whose texts and soft prompt fit all the tiny models."""

    def make(architecture: str, approach: PromptTuning = APPROACH, **settings):
        job = make_job(architecture, approach, **settings)
        return replace(job, plan=replace(job.plan, data=replace(job.plan.data, max_length=20)))

    return make


def record_of(job) -> RunRecord:
    return RunRecord(
        plan=job.plan, task=job.task.name, label_names=job.data.label_names, model=None,
        data=DataIdentity(hashes={}, rows={}),
        test=ItemScores(labels=(), predictions=(), confidence=(), calibrated_confidence=(), log_likelihood=()),
        validation_accuracy=0.0, temperature=1.0,
        cost=Cost(
            train_seconds=0.0, train_cpu_seconds=0.0, train_flops=0.0, peak_memory_mib=0.0, trainable_parameters=0,
            total_parameters=0, disk_mib=0.0, ms_per_prediction=0.0,
        ),
    )  # fmt: skip


def batch_of(job, built, texts) -> dict[str, torch.Tensor]:
    return job.task.collate(built.processor, job.task.encode(built.processor, texts, 20))


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def prompt_of(model: nn.Module) -> torch.Tensor:
    return model.get_submodule("prompt_encoder.default.embedding").weight


def train_built(job, built, optimizer=None, callbacks=(), validate_on="validation"):
    rows = (Rows(job.task, built.processor, job.inputs(p), job.labels(p), 20) for p in ("train", validate_on))
    return train(
        built.model, optimizer or built.optimizer, *rows, job.plan.training, seed=job.plan.seed,
        folder=job.folder / "checkpoints", events=job.events, callbacks=tuple(callbacks),
    )  # fmt: skip


# --- the prompt -----------------------------------------------------------------------------------------------------


def test_the_prompt_starts_as_the_embedded_words_of_a_prompt_that_names_the_labels(prompt_job):
    job = prompt_job("bert", PromptTuning(virtual_tokens=30))
    built = build(job)
    tokenizer = built.processor
    tokens = start_tokens(tokenizer, ["good_film", "bad"], 30)
    sentence = tokenizer("Classify the text as one of: good film, bad.", add_special_tokens=False)["input_ids"]
    assert tokens == (sentence * 30)[:30] and len(sentence) < 30
    assert start_tokens(tokenizer, ["good_film", "bad"], 3) == sentence[:3]
    assert tokenizer.convert_tokens_to_ids("film") in tokens
    words = built.model.get_base_model().get_input_embeddings().weight
    ours = torch.tensor(start_tokens(tokenizer, job.data.label_names, 30))
    assert torch.equal(prompt_of(built.model), words[ours])


@pytest.mark.parametrize("architecture", [name for name in TEXT_MODELS if name != "mpnet"])  # reads [UNK] as padding
def test_a_prompt_that_has_not_learned_answers_as_the_model_does_for_its_words(architecture, prompt_job):
    job = prompt_job(architecture)
    built = build(job)
    text = built.processor(job.inputs("test")[0])["input_ids"]
    start = start_tokens(built.processor, job.data.label_names, 5)
    written = torch.tensor([start + text])
    with torch.no_grad():
        answer = built.model.eval()(**batch_of(job, built, job.inputs("test")[:1])).logits
        expected = built.model.get_base_model()(input_ids=written, attention_mask=torch.ones_like(written)).logits
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("architecture", TEXT_MODELS)
def test_a_text_alone_is_answered_as_in_a_batch_of_any_order(architecture, prompt_job):
    job = prompt_job(architecture)
    built = build(job)
    texts = ["good", *job.inputs("test")[:6]]
    assert len({len(row["input_ids"]) for row in job.task.encode(built.processor, texts, 20)}) > 3
    with torch.no_grad():
        built.model.eval()
        together = built.model(**batch_of(job, built, texts)).logits
        reverse = built.model(**batch_of(job, built, texts[::-1])).logits.flip(0)
        alone = torch.cat([built.model(**batch_of(job, built, [text])).logits for text in texts])
    assert together.std(dim=0).min() > 1e-3
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)
    torch.testing.assert_close(reverse, together, atol=1e-5, rtol=0)


# --- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "albert", "llama"])
def test_prompt_and_head_move_each_at_its_rate_and_nothing_else_does(architecture, prompt_job):
    job = prompt_job(architecture)
    built = build(job)
    rates = {id(p): group["lr"] for group in built.optimizer.param_groups for p in group["params"]}
    trained = {name: p for name, p in built.model.named_parameters() if p.requires_grad}
    assert set(rates) == {id(p) for p in trained.values()}
    before = weights_of(built.model)
    train_built(job, built)
    moved = {name for name, value in weights_of(built.model).items() if not torch.equal(before[name], value)}
    assert moved == set(trained)
    for name, parameter in trained.items():
        is_prompt = name.startswith("prompt_encoder.")
        assert is_prompt or ".modules_to_save.default." in name
        assert job.plan.approach.learning_rate * is_prompt + 1e-2 * (not is_prompt) == pytest.approx(
            rates_at_start(job)[name]
        ), parameter.shape


def rates_at_start(job) -> dict[str, float]:
    built = build(job)
    names = {id(p): name for name, p in built.model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in built.optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_one_times_sixteen_equals_four_times_four(architecture, prompt_job):
    results = []
    for accumulation in (1, 4):
        settings = {"train_size": 21, "epochs": 3, "batch_size": 16, "accumulation": accumulation}
        job = prompt_job(architecture, **settings)
        built = build(job)
        before = prompt_of(built.model).detach().clone()
        groups = [group["params"] for group in built.optimizer.param_groups]
        trainer = train_built(job, built, torch.optim.SGD([p for group in groups for p in group], lr=0.5))
        assert trainer.state.global_step == 6
        assert (prompt_of(built.model) - before).abs().max() > 1e-3
        results.append(weights_of(built.model))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, atol=2e-5, rtol=0)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_a_few_texts_are_learned_and_the_prompt_alone_lowers_their_loss(architecture, prompt_job):
    settings = {"train_size": 6, "epochs": 60, "patience": 60}
    jobs = [
        prompt_job(
            architecture, PromptTuning(virtual_tokens=5, learning_rate=3e-2, head_learning_rate=rate), **settings
        )
        for rate in (0.1, 1e-12)
    ]
    learned, lowered = (history(train_built(job, build(job), validate_on="train").state) for job in jobs)
    assert learned["validation_accuracy"][-1] > 0.9  # half of the texts are of each class
    assert lowered["validation_nll"][-1] < 0.98 * lowered["validation_nll"][0]


class Break(TrainerCallback):
    """Ends a run at a step as an error would."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 8:
            raise RuntimeError("broken off")


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_a_broken_run_ends_where_an_unbroken_one_does_bit_for_bit(architecture, prompt_job):
    settings = {"train_size": 39, "epochs": 4, "min_steps": 0, "checkpoint_seconds": 0.0, "dropout": 0.1}
    jobs = [prompt_job(architecture, **settings) for _ in range(2)]
    whole = build(jobs[0])
    trainer = train_built(jobs[0], whole)
    with pytest.raises(RuntimeError, match="broken off"):
        train_built(jobs[1], build(jobs[1]), callbacks=[Break()])
    assert [path.name for path in (jobs[1].folder / "checkpoints").iterdir()] == ["checkpoint-5"]
    resumed = build(jobs[1])
    resumed_trainer = train_built(jobs[1], resumed)
    assert history(resumed_trainer.state) == history(trainer.state)
    last, expected = weights_of(resumed.model), weights_of(whole.model)
    assert all(torch.equal(last[name], value) for name, value in expected.items())


# --- from start to end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "roberta", "albert", "gpt2", "llama"])
def test_what_was_trained_is_saved_alone_and_loads_again_with_the_same_answers(architecture, prompt_job):
    job = prompt_job(architecture)
    outcome = TrainedFit().fit(job)
    folder = job.folder / "model"
    saved = load_file(folder / "adapter_model.safetensors")
    assert saved["prompt_embeddings"].shape[0] == 5
    assert all(name == "prompt_embeddings" or "classifier" in name or "score" in name for name in saved)
    assert not (folder / "model.safetensors").exists()
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == job.plan.model.name and not settings["tokenizer_name_or_path"]
    loaded = TrainedFit().load(record_of(job), folder)
    np.testing.assert_allclose(loaded.logits(job.inputs("test")), outcome.test_logits, atol=1e-5)
    one_by_one = np.concatenate([loaded.logits([text]) for text in job.inputs("test")[:5]])
    np.testing.assert_allclose(one_by_one, outcome.test_logits[:5], atol=1e-5)
    assert sum(value.numel() for value in saved.values()) == outcome.trainable_parameters


def test_operations_count_the_prompt_before_every_text(prompt_job):
    job = prompt_job("bert", PromptTuning(virtual_tokens=40), epochs=1, min_steps=0)
    job = replace(
        job, train_rows=np.array(sorted(job.train_rows, key=lambda row: -len(job.data.train[int(row)]["input"])))
    )
    outcome = TrainedFit().fit(job)  # the first texts, which it counts on, are the longest
    built = build(job)
    rows = Rows(job.task, built.processor, job.inputs("train"), job.labels("train"), 20)
    with flop_counter() as counter:
        for numbers in BatchOrder(rows.lengths, 8, fill=False, seed=0).batches(0):
            batch = rows.collate([rows[int(i)] for i in numbers])
            cross_entropy(built.model(**batch).logits, batch["labels"]).backward()
    assert outcome.train_flops == pytest.approx(counter.get_total_flops(), rel=0.06)  # attention is not linear


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_prompt_that_leaves_the_longest_text_no_room_is_refused_with_what_fits(make_job):
    job = make_job("bert", PromptTuning(virtual_tokens=30))  # the tokenizer cuts at 64 tokens, the model reads 72
    with pytest.raises(PlanError, match=r"virtual_tokens=30.*max_length=64.*reads 72.*at most 42, or.*at most 8"):
        build(job)
    build(replace(job, plan=replace(job.plan, data=replace(job.plan.data, max_length=42))))


def test_positions_that_start_after_the_padding_number_are_not_counted(make_job):
    job = make_job("mpnet", PromptTuning(virtual_tokens=7))  # 72 positions, of which the first two are never used
    with pytest.raises(PlanError, match=r"reads 70.*max_length to at most 63"):
        build(job)
    assert build(make_job("mpnet", PromptTuning(virtual_tokens=6))).virtual_tokens == 6


def test_the_longest_text_that_fits_is_read(prompt_job):
    for architecture in ("bert", "roberta", "mpnet", "gpt2", "llama"):
        job = prompt_job(architecture)
        limit = {"roberta": 71, "mpnet": 70, "gpt2": 64}.get(architecture, 72)
        built = build(replace(job, plan=replace(job.plan, data=replace(job.plan.data, max_length=limit - 5))))
        ids = torch.full((1, min(limit - 5, 64)), 6)
        assert built.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()


def test_images_are_refused(make_job):
    with pytest.raises(UnsupportedSetupError, match="prompt_tuning needs a text model"):
        build(make_job("vit", PromptTuning()))


def test_models_that_take_no_vectors_are_refused(prompt_job):
    tokenizer = build(prompt_job("bert")).processor
    config = hf.T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, num_labels=2)
    model = hf.AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(UnsupportedSetupError, match="T5ForSequenceClassification takes no soft prompt"):
        with_soft_prompt(model, tokenizer, APPROACH, ["a", "b"], ["classification_head"], 20)


def test_a_model_that_reads_padding_is_refused(prompt_job, monkeypatch):
    tokenizer = build(prompt_job("bert")).processor
    model = hf.LlamaForSequenceClassification(hf.LlamaConfig(**BERT_LIKE, num_labels=2))
    monkeypatch.setattr("hf_transfer_kit.approaches.prompt_tuning.skip_padding", lambda adapted: None)
    with pytest.raises(UnsupportedSetupError, match="answers differently when a text is padded"):
        with_soft_prompt(model, tokenizer, APPROACH, ["a", "b"], ["score"], 20)
