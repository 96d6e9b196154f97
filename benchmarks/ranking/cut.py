"""The first layers of a text model as models of their own: candidates that differ in depth alone.

    python -m benchmarks.ranking.cut sentence-transformers/all-MiniLM-L6-v2 --layers 1,2,4 --out cut

Writes a folder cut/<model>-<layers> with weights, configuration and tokenizer for each.
"""

import argparse
from pathlib import Path

from transformers import AutoModel

from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.models import load_backbone, load_tokenizer
from hf_transfer_kit.plan import ModelSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", default=MODEL)
    parser.add_argument("--layers", default="1,2,3,4,5,6")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    spec = ModelSpec(name=asked.model)
    for count in map(int, asked.layers.split(",")):
        model = load_backbone(AutoModel, spec)
        model.encoder.layer = model.encoder.layer[:count]
        model.config.num_hidden_layers = count
        folder = asked.out / f"{Path(asked.model).name}-{count}"
        model.save_pretrained(folder)
        load_tokenizer(spec).save_pretrained(folder)


if __name__ == "__main__":
    main()
