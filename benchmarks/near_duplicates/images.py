"""Does the near-copy check of pictures find changed copies, and leave different pictures alone?

    python benchmarks/near_duplicates/images.py test.parquet train.parquet --column image --name sign_digits
    python benchmarks/near_duplicates/images.py sets.npz:x_test sets.npz:x_train --name fashion_mnist

Compares two ways to tell: the 64-bit difference hash (at most d bits differ) and the kit's steps (cosine at least c).
Queries and corpus should share no picture: what is found between them are false alarms, or true leaks; look at them.
Writes results/<date>-images-<name>.json.
"""

import argparse
import io
import json
import platform
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageEnhance
from run import cpu_model

from hf_transfer_kit.duplicates import _steps, _thumbnails, near_duplicate_images

BITS = (0, 1, 2, 4, 6, 8, 10)
COSINES = (0.95, 0.97, 0.98, 0.985, 0.99, 0.995)
CHANGED = 300  # queries that are changed on purpose


def read_pictures(source: str, column: str) -> list[Image.Image]:
    """From FILE.parquet (encoded bytes in a column) or FILE.npz:ARRAY."""
    if ".npz:" in source:
        file, name = source.rsplit(":", 1)
        return [Image.fromarray(picture) for picture in np.load(file)[name]]
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(source, columns=[column]).column(column).to_pylist()
    return [Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in rows]


def difference_hash(picture: Image.Image) -> np.ndarray:
    """Krawetz 2013: is a pixel brighter than its left neighbour, in 8 rows of 9 pixels of grey; 8 bytes."""
    grey = np.asarray(picture.convert("L").resize((9, 8)), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1])


def bits_apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.bitwise_count(first[:, None].view(np.uint64) ^ second[None].view(np.uint64)).sum(axis=-1)


def recompressed(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=50)
    return Image.open(file)


def cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 20, height // 20, width - width // 20, height - height // 20)).resize(picture.size)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 50": recompressed,
    "half the size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "twice the size": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
    "brighter by 10 %": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "less contrast by 10 %": lambda picture: ImageEnhance.Contrast(picture).enhance(0.9),
    "noise of 3 levels": lambda picture: ImageChops.add(
        picture, Image.effect_noise(picture.size, 3).convert(picture.mode), offset=-128
    ),
    "cropped by 5 % a side": cropped,
    "moved by 1 pixel": lambda picture: ImageChops.offset(picture, 1, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("queries")
    parser.add_argument("corpus")
    parser.add_argument("--column", default="image")
    parser.add_argument("--name", required=True, help="of the data, for the record's file name")
    options = parser.parse_args()
    queries = read_pictures(options.queries, options.column)
    corpus = read_pictures(options.corpus, options.column)

    start = time.process_time()
    pairs = near_duplicate_images(queries, corpus)
    seconds = time.process_time() - start

    hashes, corpus_hashes = (np.stack([difference_hash(p) for p in some]) for some in (queries, corpus))
    steps, corpus_steps = _steps(_thumbnails(queries)), _steps(_thumbnails(corpus))
    nearest_bits = np.array([bits_apart(row[None], corpus_hashes).min() for row in hashes])
    nearest_cosine = np.array([(corpus_steps @ row).max() for row in steps])
    copies = {}
    for name, change in CHANGES.items():
        changed = [change(picture) for picture in queries[:CHANGED]]
        bits = np.array([bits_apart(difference_hash(p)[None], hashes[[i]])[0, 0] for i, p in enumerate(changed)])
        cosine = (_steps(_thumbnails(changed)) * steps[: len(changed)]).sum(axis=1)
        copies[name] = {
            "share_found_by_bits": {str(most): round(float((bits <= most).mean()), 3) for most in BITS},
            "share_found_by_cosine": {str(least): round(float((cosine >= least).mean()), 3) for least in COSINES},
        }
    record = {
        "question": "which changed copies are found, and how many queries are called a copy of some corpus picture",
        "date": date.today().isoformat(),
        "data": f"{Path(options.queries).name} against {Path(options.corpus).name}",
        "queries": len(queries),
        "corpus": len(corpus),
        "size": list(queries[0].size),
        "pairs_at_the_default_threshold": len(pairs),
        "cpu_seconds": round(seconds, 3),
        "queries_called_a_copy_by_bits": {str(most): int((nearest_bits <= most).sum()) for most in BITS},
        "queries_called_a_copy_by_cosine": {str(least): int((nearest_cosine >= least).sum()) for least in COSINES},
        "copies": copies,
        "versions": {"python": platform.python_version(), "numpy": version("numpy"), "pillow": version("pillow")},
        "machine": {"cpu": cpu_model()},
    }
    text = json.dumps(record, indent=2)
    print(text)
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{record['date']}-images-{options.name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
