"""Text classification: one text in, one label out."""

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.models import check_kind, load_backbone, load_classifier, load_tokenizer
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks.task import Row, Task, Vocabulary

if TYPE_CHECKING:
    import datasets
    import torch

    from hf_transfer_kit.duplicates import Pair

TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
WORDS_AND_SIGNS = r"\w+|[^\w\s]"  # signs count as words, so that a text of signs alone still has features


class TextClassification(Task):
    """One text in, one label out: a sequence classifier of transformers.

    Example:
        >>> task = TextClassification()
        >>> task.problem("  "), task.problem("hello")
        ('is empty', None)
    """

    name: ClassVar[str] = "text-classification"
    input_noun: ClassVar[str] = "text"
    shallow_name: ClassVar[str] = "TF-IDF"
    learning_rate: ClassVar[float] = 5e-5
    pads: ClassVar[bool] = True
    inference_batch: ClassVar[int] = 32
    scratch_learning_rate: ClassVar[float] = 5e-4
    usual_input_columns: ClassVar[tuple[str, ...]] = (
        "text", "sentence", "content", "review", "utterance", "query", "question", "message", "tweet", "comment",
        "document", "body", "headline", "title", "input",
    )  # fmt: skip

    # --- the data ---------------------------------------------------------------------------------------------------

    def input_columns(self, features: "datasets.Features") -> list[str]:
        from datasets import Value

        text = [name for name, kind in features.items() if isinstance(kind, Value) and "string" in kind.dtype]
        return self.usual_first(text)

    def problem(self, value: Any) -> str | None:
        if value is None or (isinstance(value, float) and value != value):
            return "is missing"
        if not isinstance(value, str):
            return f"is {value!r}, not a text"
        if not value.strip():
            return "is empty"
        # What str(float("nan")) leaves in a file; "none" and "NA" are words and codes that people do use.
        return "is a missing value written as text" if value.strip() in ("nan", "NaN") else None

    def key(self, value: Any) -> Hashable:
        from hf_transfer_kit.duplicates import normalise_text

        return normalise_text(value)

    def digest(self, value: Any) -> bytes:
        return str(value).encode("utf-8", errors="surrogatepass")

    def near_duplicates(self, queries: Sequence[Any], corpus: Sequence[Any] | None = None) -> "list[Pair]":
        from hf_transfer_kit.duplicates import near_duplicate_texts

        return near_duplicate_texts(queries, corpus)

    def show(self, value: Any) -> str:
        line = "" if value is None else " ".join(str(value).split())
        return line if len(line) <= 80 else line[:79].rstrip() + "…"

    def read_inputs(self, arguments: Sequence[str]) -> list[Any]:
        texts = [text for argument in arguments for text in _texts_of(argument)]
        if not texts:
            raise DataError(f"no text in {', '.join(map(repr, arguments)) or 'the arguments'}; give at least one.")
        return texts

    def shallow_features(self, inputs: Sequence[Any], vocabulary: Vocabulary | None) -> tuple[Any, Vocabulary]:
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        settings = {"ngram_range": (1, 2), "sublinear_tf": True, "token_pattern": WORDS_AND_SIGNS}
        if vocabulary is None:
            vectorizer = TfidfVectorizer(**settings)
            matrix = vectorizer.fit_transform(inputs)
            terms = tuple(str(term) for term in vectorizer.get_feature_names_out())
            return matrix, Vocabulary(terms=terms, weights=tuple(vectorizer.idf_.tolist()))
        vectorizer = TfidfVectorizer(**settings, vocabulary={term: i for i, term in enumerate(vocabulary.terms)})
        vectorizer.idf_ = np.asarray(vocabulary.weights)
        return vectorizer.transform(inputs), vocabulary

    # --- the model --------------------------------------------------------------------------------------------------

    def check_model(self, model: ModelSpec) -> None:
        from transformers import AutoModelForSequenceClassification

        check_kind(AutoModelForSequenceClassification, model)
        self.load_processor(model)

    def load_processor(self, model: ModelSpec) -> Any:
        return load_tokenizer(model)

    def load_backbone(self, model: ModelSpec) -> Any:
        from transformers import AutoModel

        return load_backbone(AutoModel, model)

    def load_classifier(
        self, model: ModelSpec, label_names: Sequence[str], processor: Any, *, pretrained: bool = True
    ) -> tuple[Any, list[str]]:
        from transformers import AutoModelForSequenceClassification

        auto_class = AutoModelForSequenceClassification
        classifier, new = load_classifier(auto_class, model, label_names, pretrained=pretrained)
        config = classifier.config.get_text_config()
        if config.pad_token_id is None:  # GPT-2 and Llama look for the last token that is no padding
            config.pad_token_id = processor.pad_token_id
        return classifier, new

    def encode(self, processor: Any, inputs: Sequence[Any], max_length: int) -> list[Row]:
        if not len(inputs):
            return []
        longest = min(max_length, processor.model_max_length)
        encoded = processor(list(inputs), truncation=True, max_length=longest)
        return [{name: column[i] for name, column in encoded.items()} for i in range(len(inputs))]

    def length(self, row: Row) -> int:
        return len(row["input_ids"])

    def collate(self, processor: Any, rows: Sequence[Row]) -> "dict[str, torch.Tensor]":
        return dict(processor.pad(list(rows), return_tensors="pt"))

    def pool(self, hidden: "torch.Tensor", batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        weights = batch["attention_mask"].to(hidden.dtype)  # (batch, tokens)
        return (hidden * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True).clamp(min=1)


def _texts_of(argument: str) -> list[str]:
    """The lines of a text file, or the argument itself."""
    path = Path(argument)
    is_one_word = not any(letter.isspace() for letter in argument)
    if path.suffix.lower() in TABLE_SUFFIXES and is_one_word:
        raise DataError(f"'{argument}' is a table; write its texts into a .txt file, one a line, and give that file.")
    if is_one_word and os.path.isdir(path):  # unlike Path.is_dir, False for a text too long for a file name
        raise DataError(f"'{argument}' is a folder; give a text, or a .txt file with one text a line.")
    if is_one_word and path.suffix.lower() == ".txt" and not os.path.exists(path):
        raise DataError(f"file '{argument}' does not exist; give a text, or a .txt file with one text a line.")
    if not os.path.isfile(path):
        return [argument] if argument.strip() else []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"'{argument}' is not UTF-8 text at byte {error.start}; save it as UTF-8.") from error
    return [line for line in lines if line.strip()]
