"""How a prompted run chooses, counts labels, corrects and loads again; its model is a stand-in that counts words."""

import dataclasses

import numpy as np
import pytest
from conftest import BAD, GOOD

from hf_transfer_kit.approaches import prompt_choice, prompted
from hf_transfer_kit.approaches.prompted import PromptedFit
from hf_transfer_kit.data.labelled import subset_rows
from hf_transfer_kit.errors import FormatError
from hf_transfer_kit.plan import FewShot, Prototype, ZeroShot
from hf_transfer_kit.prompting.classifier import PromptClassifier
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.scores import Scores, Usage
from hf_transfer_kit.run import run
from hf_transfer_kit.scoring import item_scores

BIAS = np.array([3.0, 0.0])  # the stand-in's liking for "neg", which calibration must take out again


class WordCounter(PromptClassifier):
    """Knows good and bad words if its prompt says "right", and the other way round else; likes "neg" in any case."""

    def __init__(self, prompt):
        self.prompt, self.fits, self.asked = prompt, [], []

    def fit(self, labels, demonstrations=None):
        self.labels = list(labels)
        self.fits.append((self.prompt.name, demonstrations))

    def _score(self, inputs, on_progress=None):
        self.asked.append(list(inputs))
        sign = -1 if self.prompt.name == "wrong" else 1
        good = np.array([sum(w in GOOD for w in x.split()) - sum(w in BAD for w in x.split()) for x in inputs])
        log_scores = np.stack([-sign * good, sign * good], axis=1) + BIAS
        unreadable = np.array(["unreadable" in x for x in inputs])
        usage = Usage(tokens_in=len(inputs), tokens_cached=10 * len(inputs), seconds=0.5)
        return Scores(log_scores=log_scores, label_tokens=np.ones(2), unreadable=unreadable, usage=usage)


@pytest.fixture
def stand_in(monkeypatch, text_csv):
    """Puts the stand-in in the place of every model; gives the list of those that were made."""
    made = []

    def make(model, prompt, **settings):
        made.append(WordCounter(prompt))
        return made[-1]

    monkeypatch.chdir(text_csv.parent)
    monkeypatch.setattr(prompted, "make_classifier", make)
    monkeypatch.setattr(prompted, "kind_of", lambda model, task, asked="auto": "causal")
    prompts = (Prompt(name="right", template="{{ input }}"), Prompt(name="wrong", template="{{ input }}?"))
    monkeypatch.setattr(prompt_choice, "prompts_for", lambda kind, model, task: prompts)
    return made


def reached(job, outcome):
    answers = item_scores(outcome.test_logits, job.labels("test"), 1.0, outcome.unreadable).predictions
    return float(np.mean(np.array(answers) == job.labels("test")))


def test_calibration_takes_out_what_the_prompt_favours_and_is_shown_with_and_without(make_job, stand_in):
    plain = PromptedFit().fit(make_job("bert", ZeroShot(calibration="none")))
    job = make_job("bert", ZeroShot(calibration="batch"))
    batch = PromptedFit().fit(job)

    accuracies = batch.details["calibration"]["accuracy"]

    assert reached(job, plain) == 0.5  # every answer is "neg"
    assert reached(job, batch) == 1.0
    assert accuracies == {"none": 0.5, "batch": 1.0, "contextual": 1.0}
    assert plain.details["calibration"] == {"used": "none", "accuracy": {"none": 0.5}}
    asked = {text for each in stand_in[0].asked for text in each}
    assert asked == set(job.inputs("test"))  # without calibration nothing else is asked


@pytest.mark.parametrize(
    ("approach", "shown", "validation"),
    [
        (ZeroShot(), 0, False),
        (ZeroShot(search=True), 0, True),
        (FewShot(shots=4), 4, False),
        (FewShot(shots=4, choose="nearest"), 20, False),
        (FewShot(shots=4, orders=2), 4, True),
        (FewShot(shots=400), 20, False),
        (Prototype(), 20, False),
    ],
)
def test_labels_count_where_they_are_shown_chosen_from_or_searched_with(
    make_job, stand_in, approach, shown, validation
):
    job = make_job("bert", approach, train_size=20)

    assert PromptedFit().fit(job).labels == shown + (len(job.rows("validation")) if validation else 0)


def test_the_search_takes_the_prompt_that_is_best_on_validation_and_never_sees_the_test_part(make_job, stand_in):
    job = make_job("bert", FewShot(shots=2, search=True))
    validation, test = set(job.inputs("validation")), set(job.inputs("test"))

    outcome = PromptedFit().fit(job)

    (classifier,) = stand_in
    tried = outcome.details["search"]["validation_accuracy"]
    assert outcome.details["prompt"] == "right"
    assert {name.partition(",")[0] for name in tried} == {"right", "wrong"}
    assert len(tried) == 2 * prompt_choice.SEARCH_DRAWS
    assert all((value == 1.0) == name.startswith("right") for name, value in tried.items())
    during_search = classifier.asked[: len(tried)]
    assert all(set(asked) <= validation and not set(asked) & test for asked in during_search)
    shown = [tuple(each.input for each in demonstrations) for _, demonstrations in classifier.fits]
    assert all(set(each) <= set(job.inputs("train")) for each in shown)


def test_the_demonstrations_depend_on_the_seed_and_on_nothing_else(make_job, stand_in):
    for seed in (0, 0, 1):
        PromptedFit().fit(make_job("bert", FewShot(shots=6), seed=seed, train_size=40))

    first, again, other = (classifier.fits[-1][1] for classifier in stand_in)

    assert first == again
    assert first != other
    assert sorted(each.label for each in first) == ["neg"] * 3 + ["pos"] * 3


def test_several_orders_are_tried_on_validation_and_the_worst_is_shown(make_job, stand_in, monkeypatch):
    outcome = PromptedFit().fit(make_job("bert", FewShot(shots=4, orders=3)))

    tried = [demonstrations for _, demonstrations in stand_in[0].fits]
    orders = outcome.details["orders"]
    assert len(set(tried)) == 3
    assert {frozenset(each.input for each in order) for order in tried} == {frozenset(e.input for e in tried[0])}
    assert tried[-1] == tried[0]  # the test part is answered with the first order, whatever validation says
    assert (orders["worst"], len(orders["validation_accuracy"])) == (min(orders["validation_accuracy"]), 3)


def test_an_unreadable_answer_is_wrong_even_where_the_first_label_would_be_right():
    scores = item_scores(np.zeros((2, 2)), np.array([0, 0]), 1.0, np.array([True, False]))

    assert scores.predictions == (-1, 0)


@pytest.mark.parametrize("approach", [ZeroShot(), FewShot(shots=4), FewShot(shots=4, choose="nearest"), Prototype()])
def test_a_loaded_run_asks_and_answers_as_before(make_job, stand_in, approach):
    job = make_job("bert", approach)

    record = run(job.plan, job.folder)
    before = stand_in[0].fits[-1]
    again = PromptedFit().load(record, job.folder / "model")

    name, shown = stand_in[-1].fits[-1]
    texts = list(job.inputs("test"))
    assert name == before[0] == "right"
    if isinstance(approach, FewShot) and approach.choose == "nearest":
        assert shown.demonstrations_for(texts) == before[1].demonstrations_for(texts)
    else:
        assert (list(shown) if shown else None) == (list(before[1]) if before[1] else None)
    assert tuple(again.logits(texts).argmax(axis=1).tolist()) == record.test.predictions
    assert (job.folder / "model" / "prompt.txt").read_text().strip()


def test_the_record_says_what_a_thousand_predictions_cost_with_and_without_what_is_kept(make_job, stand_in):
    job = make_job("bert", ZeroShot())

    record = run(job.plan, job.folder)

    assert record.data.labels_used == 0
    assert (record.validation_accuracy, record.temperature) == (None, 1.0)
    assert record.cost.thousand.tokens_in == pytest.approx(1000)
    assert record.cost.thousand.tokens_cached == pytest.approx(10_000)
    assert dataclasses.asdict(type(record).load(job.folder / "record.json")) == dataclasses.asdict(record)


def test_pictures_to_answer_with_are_read_again_and_must_be_what_they_were(make_job, stand_in, pictures, monkeypatch):
    from hf_transfer_kit.approaches import answering

    job = make_job("vit", Prototype(), train_size=8)
    monkeypatch.setattr(WordCounter, "_score", lambda self, inputs, on_progress=None: Scores(
        log_scores=np.zeros((len(inputs), 2)), label_tokens=np.ones(2), unreadable=np.zeros(len(inputs), bool),
        usage=Usage(),
    ))  # fmt: skip
    plan = dataclasses.replace(job.plan, data=dataclasses.replace(job.plan.data, path=str(_folder_of(pictures))))
    record = run(plan, job.folder)

    _, chosen, _ = answering.load_answering(record, job.folder / "model")
    rows = pictures.train.select(subset_rows(pictures, 8, 0)["train"])
    assert [each.label for each in chosen.demonstrations] == [pictures.label_names[k] for k in rows["label"]]

    changed = dataclasses.replace(record, data=dataclasses.replace(record.data, hashes={"train": "other"}))
    with pytest.raises(FormatError, match="has changed since this run"):
        answering.load_answering(changed, job.folder / "model")


def _folder_of(pictures):
    from pathlib import Path

    return Path(pictures.train[0]["input"]["path"]).parents[1]
