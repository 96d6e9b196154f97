"""An embedder whose vectors are written down, for arithmetic by hand."""

import numpy as np

from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.embeddings.vectors import TEMPERATURE, Embedded, Embedder, unit
from hf_transfer_kit.prompting.prompts import Prompt

MINILM = ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2")
NAMES = Prompt(name="names", label_templates=("{{ label }}",))
SIDES = ["good", "bad"]


class OnPaper(Embedder):
    """Vectors written down for every text; counts what it is asked."""

    def __init__(self, **vectors):
        self.vectors, self.calls, self.seen = vectors, 0, []

    def load(self):
        pass

    def embed(self, inputs, on_progress=None):
        self.calls += 1
        self.seen.extend(inputs)
        return Embedded(
            vectors=unit(np.array([self.vectors[each] for each in inputs], np.float32)), tokens=len(inputs)
        )

    def embed_texts(self, texts):
        return self.embed(texts)


class Wordless(OnPaper):
    """One that reads no words."""

    knows_words = False

    def embed_texts(self, texts):
        raise ModelError("knows no words")


def shown(*pairs):
    """Demonstrations of (input, label) pairs."""
    return [Demonstration(input=text, label=label) for text, label in pairs]


def cosines(classifier, inputs):
    """(inputs, labels): the scores without their temperature."""
    return classifier.score(inputs).log_scores * TEMPERATURE
