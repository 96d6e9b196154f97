"""How long does the near-duplicate check of texts take, and does it miss anything?

    python benchmarks/near_duplicates/run.py                                     # 4500 x 15000 made-up sentences
    python benchmarks/near_duplicates/run.py test.csv train.csv --column text --label intent

Both sides run in one process: the kit's filter, and the plain product of the two whole gram matrices, which counts
every pair of texts that share one gram. Their pairs must be equal. Writes results/<date>-<name>.json.
"""

import argparse
import csv
import json
import os
import platform
import random
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np
import scipy.sparse  # noqa: F401 - loaded here, so that neither side pays for the import

from hf_transfer_kit.duplicates import _gram_matrix, _gram_sets, near_duplicate_texts, normalise_text

THRESHOLD = 0.8
WORDS = """a about account add again all am an and any app are at balance bank be bill book buy can card cash change
check city cost credit day do does done due find flight for forecast from get give go good have help hotel how i if
in is it late learn left like list long lost make many me meeting menu miles money month more much music my near
need new next no not now of off on one open or order out pay phone pin place plan play please price rate remind
report restaurant room say set show song spend take tell that the there they thing time tire to today tomorrow
transfer travel trip turn until use want was weather week what when where which who why will with work would year
you your""".split()


def made_up_sentences(rows: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(5, 12))) for _ in range(rows)]


def made_up_data() -> tuple[list[str], list[str]]:
    """4500 and 15000 sentences; one query in ten is a corpus row with a word added."""
    queries, corpus = made_up_sentences(4500, seed=1), made_up_sentences(15000, seed=2)
    for row in range(0, 4500, 10):
        queries[row] = f"{corpus[row]} {queries[row].split()[0]}"
    return queries, corpus


def read_column(path: Path, column: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def whole_product(queries: list[str], corpus: list[str]) -> set[tuple[int, int]]:
    """The other side: every pair of texts that share a gram, counted."""
    grams = _gram_matrix(chain(_gram_sets("queries", queries), _gram_sets("corpus", corpus))).astype(np.int32)
    left, right = grams[: len(queries)], grams[len(queries) :]
    shared = (left @ right.T).tocoo()
    union = left.getnnz(axis=1)[shared.row] + right.getnnz(axis=1)[shared.col] - shared.data
    near = shared.data / union >= THRESHOLD
    return set(zip(shared.row[near].tolist(), shared.col[near].tolist(), strict=True))


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each call."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(round(time.process_time() - start, 3))
    return seconds


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="two CSV files: queries (test), corpus (train)")
    parser.add_argument("--column", default="text")
    parser.add_argument("--label", help="column of the labels, to count pairs of rows with different ones")
    parser.add_argument("--name", default="made-up", help="of the data, for the record's file name")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    options = parser.parse_args()

    if options.files:
        queries, corpus = (read_column(path, options.column) for path in options.files)
        data = f"column {options.column!r} of {' and '.join(path.name for path in options.files)}"
    else:
        queries, corpus = made_up_data()
        data = "made-up sentences of 5 to 12 words out of a list; every tenth query is a corpus row with a word added"

    pairs = near_duplicate_texts(queries, corpus, THRESHOLD)
    known = {normalise_text(text) for text in corpus}
    record = {
        "question": "CPU seconds to find all near duplicates of queries in corpus",
        "date": date.today().isoformat(),
        "data": data,
        "queries": len(queries),
        "corpus": len(corpus),
        "mean_characters": round(float(np.mean([len(text) for text in [*queries, *corpus]])), 1),
        "threshold": THRESHOLD,
        "pairs": len(pairs),
        "queries_with_a_near_copy": len({pair.query for pair in pairs}),
        "queries_with_an_exact_copy": sum(normalise_text(text) in known for text in queries),
        "same_pairs_as_the_whole_product": {(p.query, p.corpus) for p in pairs} == whole_product(queries, corpus),
        "cpu_seconds": timed(lambda: near_duplicate_texts(queries, corpus, THRESHOLD), repeats=5),
        "cpu_seconds_whole_product": timed(lambda: whole_product(queries, corpus), repeats=3),
        "versions": {"python": platform.python_version(), "numpy": version("numpy"), "scipy": version("scipy")},
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS")},
    }
    if options.label and options.files:
        of_query, of_corpus = (read_column(path, options.label) for path in options.files)
        other = {pair.query for pair in pairs if of_query[pair.query] != of_corpus[pair.corpus]}
        record["queries_with_a_near_copy_of_another_label"] = len(other)

    text = json.dumps(record, indent=2)
    print(text)
    path = options.record or Path(__file__).parent / "results" / f"{record['date']}-{options.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
