"""CLINC150 as a sequence of its ten domains, 15 intents each (Larson et al. 2019, CC BY 3.0)."""

import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_transfer_kit.errors import DataError

COLUMNS = ("text", "intent", "domain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows of one part of one domain.

    Fields:
        texts: in an order drawn by the seed.
        labels: of the intents of all domains, from 0.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One task of the sequence.

    Fields:
        name: as in the data.
        labels: its own intents, ascending.
        train: what it is learned from.
        held_out: what it is scored on.
    """

    name: str
    labels: tuple[int, ...]
    train: Part
    held_out: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinc150:
    """All rows of train, validation and test.

    Fields:
        texts: by part and intent.
        intents: their names, sorted within each domain, the domains sorted; the position is the label.
        domain_of: each intent's domain.
        sha256: of each file.
    """

    texts: dict[tuple[str, str], list[str]]
    intents: tuple[str, ...]
    domain_of: dict[str, str]
    sha256: dict[str, str]

    def sequence(self, *, train: int, held_out: int, part: str, seed: int) -> tuple[Domain, ...]:
        """The domains in an order, and with rows, that `seed` draws.

        Args:
            train: rows of each intent to learn from.
            held_out: rows of each intent to score on.
            part: where these are from, "validation" or "test".

        Raises:
            DataError: an intent has fewer rows.
        """
        random = np.random.default_rng(seed)
        names = sorted(set(self.domain_of.values()))
        found = []
        for name in (names[place] for place in random.permutation(len(names))):
            labels = tuple(label for label, intent in enumerate(self.intents) if self.domain_of[intent] == name)
            learned, scored = self._draw("train", labels, train, random), self._draw(part, labels, held_out, random)
            found.append(Domain(name=name, labels=labels, train=learned, held_out=scored))
        return tuple(found)

    def _draw(self, part: str, labels: tuple[int, ...], count: int, random: np.random.Generator) -> Part:
        rows = []
        for label in labels:
            texts = self.texts[part, self.intents[label]]
            if len(texts) < count:
                raise DataError(
                    f"{part}.csv has {len(texts)} rows of '{self.intents[label]}', fewer than {count}; ask for fewer."
                )
            rows += [(texts[place], label) for place in random.permutation(len(texts))[:count]]
        chosen = [rows[place] for place in random.permutation(len(rows))]
        return Part(texts=tuple(text for text, _ in chosen), labels=tuple(label for _, label in chosen))


def load_clinc150(folder: Path) -> Clinc150:
    """The rows of train.csv, validation.csv and test.csv in `folder`.

    Raises:
        DataError: a file or a column is missing.
    """
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    domain_of, sha256 = {}, {}
    for part in ("train", "validation", "test"):
        path = folder / f"{part}.csv"
        if not path.is_file():
            raise DataError(f"there is no {part}.csv in the data folder; it needs the columns {', '.join(COLUMNS)}.")
        sha256[part] = hashlib.sha256(path.read_bytes()).hexdigest()
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if missing := [column for column in COLUMNS if column not in row]:
                    raise DataError(f"{part}.csv lacks the column '{missing[0]}'; it needs {', '.join(COLUMNS)}.")
                texts[part, row["intent"]].append(row["text"])
                domain_of[row["intent"]] = row["domain"]
    intents = tuple(sorted(domain_of, key=lambda intent: (domain_of[intent], intent)))
    return Clinc150(texts=dict(texts), intents=intents, domain_of=domain_of, sha256=sha256)
