"""Facts that the data tell by themselves: how many labels and classes, texts or pictures, language, length, size."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData

LOOKED_AT = 200  # training inputs
TEXTS_A_VOTE = 10  # short texts are told apart by language only together
SURE, SEVERAL = 0.8, 0.2  # shares of the votes: of one language from the first, of several where two have the second
TOKENS_A_WORD = 1.5  # about that many in word-piece vocabularies, names and numbers included
LENGTHS = (16, 32, 64, 128, 256, 512)  # tokens


def facts_from_data(data: "LabelledData", path: str) -> dict[str, Any]:
    """What `data` tell, as fields of `TaskFacts`.

    Labelled are the rows of train and validation, and those of test where the test part was split off them here. The
    length is that of the longest but one in a hundred of the texts, in tokens, estimated from words.

    Args:
        path: what the data were loaded from.

    Example:
        >>> import pathlib, tempfile
        >>> from hf_transfer_kit.data.labelled import load_data
        >>> from hf_transfer_kit.plan import DataSpec
        >>> file = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
        >>> _ = file.write_text("text,label\\n" + "this was very good,1\\nthat was so bad,0\\n" * 50)
        >>> facts = facts_from_data(load_data(DataSpec(path=str(file))), str(file))
        >>> facts["modality"], facts["n_labelled"], facts["n_classes"], facts["language"], facts["input_length"]
        ('text', 100, 2, 'en', 16)
    """
    modality = data.task.partition("-")[0]
    own_test = data.origins["test"] != data.origins["train"]
    labelled = len(data.train) + len(data.validation) + (0 if own_test else len(data.test))
    classes = len({int(label) for part in (data.train, data.validation, data.test) for label in part["label"][:]})
    facts: dict[str, Any] = {
        "modality": modality, "task": "classification", "n_labelled": labelled, "n_classes": classes, "data": path,
        "test_set": True if own_test else None,
    }  # fmt: skip
    rows = np.linspace(0, len(data.train) - 1, min(LOOKED_AT, len(data.train))).astype(int)
    inputs = data.train[rows.tolist()]["input"]
    if modality == "text":
        return facts | {"language": language_of(inputs), "input_length": length_of(inputs)}
    return facts | {"image_size": _side(inputs)}


def language_of(texts: Sequence[str]) -> str | None:
    """ISO 639-1 code of the language of `texts`; "mul" for several (ISO 639-2), None where it cannot be told.

    Example:
        >>> language_of(["wie viel Geld habe ich noch", "das ist nicht wahr"] * 10)
        'de'
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    groups = [" ".join(texts[start : start + TEXTS_A_VOTE]) for start in range(0, len(texts), TEXTS_A_VOTE)]
    votes = Counter(identifier.classify(group)[0] for group in groups if any(sign.isalpha() for sign in group))
    if not votes:
        return None
    shares = [(str(language), count / votes.total()) for language, count in votes.most_common(2)]
    if shares[0][1] >= SURE:
        return shares[0][0]
    return "mul" if shares[-1][1] >= SEVERAL else None


def length_of(texts: Sequence[str]) -> int:
    """Tokens that hold all but the longest hundredth of `texts`, rounded up to a usual length."""
    words = np.quantile([len(text.split()) for text in texts], 0.99, method="lower")
    return next((length for length in LENGTHS if words * TOKENS_A_WORD + 2 <= length), LENGTHS[-1])


def _side(images: Sequence[Any]) -> int:
    """Median of the shorter sides, in pixels."""
    from hf_transfer_kit.tasks.image_classification import to_rgb

    return int(np.median([min(to_rgb(image).size) for image in images]))
