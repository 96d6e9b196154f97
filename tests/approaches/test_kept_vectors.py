"""Embeddings are made once per part of the data, whatever asks for them; a stand-in counts what is embedded."""

import numpy as np
import pytest

from hf_transfer_kit.approaches.kept_vectors import COUNTED_ROWS, KeptVectors
from hf_transfer_kit.plan import Prototype
from hf_transfer_kit.prompting.embeddings.vectors import Embedded, Embedder


class Lengths(Embedder):
    """Embeds a text as (its length, 1)."""

    def __init__(self):
        self.asked = []

    def load(self):
        pass

    def embed(self, inputs, on_progress=None):
        self.asked.append(len(inputs))
        return Embedded(vectors=np.array([[len(each), 1.0] for each in inputs], dtype=np.float32))

    def embed_texts(self, texts):
        return self.embed(texts)


def on_paper(inputs):
    return [[len(each), 1.0] for each in inputs]


def test_vectors_are_those_of_the_embedder_and_a_part_is_embedded_once_for_all_runs(make_job):
    job = make_job("bert", Prototype(), train_size=20)
    train, test = job.inputs("train"), job.inputs("test")
    embedder = Lengths()
    kept = KeptVectors(job, embedder)

    assert kept(train[:3]).tolist() == on_paper(train[:3])
    assert kept([*test, *train, "never seen"]).tolist() == on_paper([*test, *train, "never seen"])
    assert sorted(embedder.asked) == sorted([len(job.data.train), len(job.data.test), COUNTED_ROWS, COUNTED_ROWS, 1])
    assert not kept.cached

    later = Lengths()
    again = KeptVectors(make_job("bert", Prototype(), train_size=40, seed=1), later)
    assert again(train).tolist() == on_paper(train)
    assert (later.asked, again.cached) == ([], True)


def test_a_subset_pays_for_its_share_of_the_pass_cached_or_not(make_job):
    job = make_job("bert", Prototype(), train_size=20)
    first = KeptVectors(job, Lengths())
    first(job.inputs("train"))
    second = KeptVectors(job, Lengths())
    second(job.inputs("train"))
    half = KeptVectors(job, Lengths())
    half(job.inputs("train")[:10])

    paid = [each.learning_cost().seconds + each._spent.seconds for each in (first, second, half)]

    assert first._spent.seconds > 0
    assert paid[0] == pytest.approx(paid[1])
    assert paid[2] == pytest.approx(paid[1] / 2)


def test_other_weights_or_pooling_are_other_vectors(make_job):
    class Other(Lengths):  # embeds the same way, and says otherwise
        @property
        def details(self):
            return {"pooling": "cls"}

    job = make_job("bert", Prototype(), train_size=20)
    KeptVectors(job, Lengths())(job.inputs("train"))
    other = Other()
    KeptVectors(job, other)(job.inputs("train"))

    assert other.asked  # not taken from those of another pooling
