"""What cannot be estimated is refused with the thing, the value and the way out."""

import pytest
import torch
import transformers as hf
from tiny_training import make_data, make_model
from torch import nn

from hf_transfer_kit.errors import DataError, ModelError, PlanError
from hf_transfer_kit.fisher import estimate_fisher


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "empirial"}, "kind='empirial' is unknown; did you mean 'empirical'"),
        ({"n_examples": 0}, "n_examples=0 leaves nothing to measure"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"parameters": ["classifier.wieght"]}, "no parameter 'classifier.wieght'; did you mean 'classifier.weight'"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(PlanError, match=message):
        estimate_fisher(make_model(), make_data(), **settings)


def test_examples_without_labels():
    rows = [{"input_ids": row["input_ids"]} for row in make_data(4)]
    with pytest.raises(DataError, match="no 'labels', so there is no loss; add them, or use importance='mas'"):
        estimate_fisher(make_model(), rows)
    assert estimate_fisher(make_model(), rows, "exact").keys() == estimate_fisher(make_model(), rows, "mas").keys()


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x, labels=None):
        return {"logits": self.layer(x)}


def test_a_model_without_a_loss():
    rows = [{"x": [1.0, 2.0], "labels": 0}]
    with pytest.raises(ModelError, match="Encoder gives no loss for labels; use importance='mas'"):
        estimate_fisher(Encoder(), rows)
    assert estimate_fisher(Encoder(), rows, "mas")["layer.weight"].abs().sum() > 0


def test_exact_is_for_a_few_classes_and_one_label_each():
    with pytest.raises(ModelError, match="there are 1001, more than 1000; use 'sampled'"):
        estimate_fisher(make_model(classes=1001), make_data(), "exact")
    config = hf.GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=8)
    rows = [{"input_ids": row["input_ids"], "labels": row["input_ids"]} for row in make_data(4)]
    with pytest.raises(ModelError, match="every token has one; use 'sampled'"):
        estimate_fisher(hf.GPT2LMHeadModel(config), rows, "exact")


def test_collators_that_make_no_row_of_each_example():
    def packed(rows):
        return {"input_ids": torch.cat([row["input_ids"] for row in rows])[None], "labels": torch.tensor([0])}

    with pytest.raises(DataError, match=r"made \[1\] rows of 16 examples; pass a collate_fn"):
        estimate_fisher(make_model(), make_data(), collate_fn=packed)
    with pytest.raises(DataError, match="made a list; pass a collate_fn"):
        estimate_fisher(make_model(), make_data(), collate_fn=lambda rows: rows)


def test_inputs_that_the_model_does_not_take():
    def renamed(rows):
        return {"sentences": torch.stack([row["input_ids"] for row in rows])}

    for kind in ("empirical", "mas"):
        with pytest.raises(ModelError, match=r"Encoder does not take what the collator makes \(sentences\)"):
            estimate_fisher(Encoder(), make_data(), kind, collate_fn=renamed)


def test_no_examples():
    with pytest.raises(DataError, match="holds no examples"):
        estimate_fisher(make_model(), [])
