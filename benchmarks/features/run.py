"""How much faster are cached features than a Trainer with a frozen backbone, and are they as accurate?

    python -m benchmarks.features.run                                        # the demo sentences
    python -m benchmarks.features.run --data clinc150 --label-column intent --name clinc150

Both sides run in one process and get the same training and test rows. They start with texts in memory, load the model
and end with the answers on test. Writes results/<date>-<name>.json.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.against_trainer import Times, draw, options, report, run_kit, train_plainly  # sets one thread

# isort: split
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hf_transfer_kit import models
from hf_transfer_kit.plan import DataSpec, Features, ModelSpec, TransferPlan

SHORT, LONG = 3, 10  # epochs
LEARNING_RATE = 1e-2


class FrozenWithHead(nn.Module):
    """A frozen model, the mean of its last layer over the tokens, and a linear head."""

    def __init__(self, source: str, classes: int):
        super().__init__()
        self.backbone = AutoModel.from_pretrained(source).requires_grad_(False)
        self.head = nn.Linear(self.backbone.config.hidden_size, classes)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:  # fmt: skip
        hidden = self.backbone(input_ids, attention_mask, token_type_ids).last_hidden_state
        weights = attention_mask[:, :, None].to(hidden.dtype)
        logits = self.head((hidden * weights).sum(dim=1) / weights.sum(dim=1))
        return SequenceClassifierOutput(loss=None if labels is None else cross_entropy(logits, labels), logits=logits)


def main() -> None:
    asked = options(__doc__.split("\n")[0])
    short, long, first, second, half, whole_first, whole_second = (Times() for _ in range(7))
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(asked, ["train", "test"], Path(folder))
        model = ModelSpec(name=asked.model)
        plan = TransferPlan(data=DataSpec(path=folder), model=model, approach=Features(), seed=asked.seed)
        half_plan = replace(plan, data=DataSpec(path=folder, train_size=len(drawn.texts["train"]) // 2))
        for _ in range(asked.repeats):
            train_plainly(FrozenWithHead, drawn, asked, short, epochs=SHORT, learning_rate=LEARNING_RATE)
            with tempfile.TemporaryDirectory() as cache:
                os.environ["HF_TRANSFER_KIT_CACHE"] = cache
                runs = ((plan, first, whole_first), (plan, second, whole_second), (half_plan, half, Times()))
                for each, fit, whole in runs:
                    models._file_sha256.cache_clear()  # the next process would hash the weights again
                    record = run_kit(each, fit, whole)
        train_plainly(FrozenWithHead, drawn, asked, long, epochs=LONG, learning_rate=LEARNING_RATE)
        times = {
            f"Trainer, {SHORT} epochs": short,
            f"Trainer, {LONG} epochs": long,
            "features, first run": first,
            "features, second run": second,
            "features, another head: half the rows": half,
            "  with files and record, first run": whole_first,
            "  with files and record, second run": whole_second,
        }
        numbers = {
            f"first_run_against_{SHORT}_epochs": round(short.middle / first.middle, 1),
            f"first_run_against_{LONG}_epochs": round(long.middle / first.middle, 1),
            f"second_run_against_{SHORT}_epochs": round(short.middle / second.middle),
            f"another_head_against_{SHORT}_epochs": round(short.middle / half.middle),
            "rows_of_the_other_head": record.data.rows["train"],
        }
        question = "CPU seconds from texts to answers on test: Trainer with a frozen backbone, cached features"
        report(Path(__file__).parent, asked, drawn, question, times, numbers)


if __name__ == "__main__":
    main()
