"""The rows of an output layer follow their labels, in every architecture."""

import pytest
import torch
from architectures import ARCHITECTURES

from hf_transfer_kit.approaches.build import build
from hf_transfer_kit.approaches.head import load_with_labels, output_parameters, own_labels
from hf_transfer_kit.plan import Full, ModelSpec


@pytest.fixture
def classifier(make_job, tmp_path):
    """Folder of a classifier of an architecture that answers "neg" and "pos" (or "blue" and "red")."""

    def folder_of(architecture: str):
        job = make_job(architecture, Full())
        built = build(job)
        for part in (built.model, built.processor):
            part.save_pretrained(tmp_path / "classifier")
        return job, built, ModelSpec(name=str(tmp_path / "classifier"))

    return folder_of


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_known_labels_are_answered_as_before_wherever_their_row_comes_to_lie(architecture, classifier):
    job, built, spec = classifier(architecture)
    first, second = own_labels(spec)
    assert (first, second) == job.data.label_names
    outputs = output_parameters(built.model)
    assert outputs and {built.model.get_parameter(name).shape[0] for name in outputs} == {2}
    assert {name.partition(".")[0] for name in outputs} != {built.model.base_model_prefix}

    torch.manual_seed(1)
    for names in ((second, "other", first), (second, first), ("other", second)):
        wide = load_with_labels(job.task, spec, names, built.processor)
        batch = job.task.collate(built.processor, job.task.encode(built.processor, job.inputs("test")[:3], 16))
        with torch.no_grad():
            before, after = (job.task.logits(model.eval(), batch) for model in (built.model, wide))
        places = {first: 0, second: 1}
        for number, name in enumerate(names):
            if name in places:
                torch.testing.assert_close(after[:, number], before[:, places[name]])
            else:
                assert not any(torch.equal(after[:, number], before[:, place]) for place in (0, 1))
        assert [wide.config.id2label[number] for number in range(len(names))] == list(names)


def test_a_checkpoint_without_a_classifier_answers_no_label(tiny_bert):
    assert own_labels(ModelSpec(name=str(tiny_bert))) == ()


def test_the_task_of_a_classifier_of_tokens_is_another_one(tiny_bert, tmp_path):
    from transformers import BertForTokenClassification

    BertForTokenClassification.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    assert own_labels(ModelSpec(name=str(tmp_path))) == ()
