import pytest
from torch.utils.data import DataLoader, IterableDataset

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.examples import dataset_of, is_map_style, some_examples


class Endless(IterableDataset):
    def __iter__(self):
        number = 0
        while True:
            yield {"labels": number}
            number += 1


def test_a_map_style_set_gives_a_draw_without_repeats_in_its_own_order():
    rows = list(range(100))
    drawn = some_examples(rows, most=10, seed=3)

    assert len(set(drawn)) == 10 and drawn == sorted(drawn)
    assert some_examples(rows, most=10, seed=3) == drawn != some_examples(rows, most=10, seed=4)
    assert some_examples(rows, most=1000) == rows


def test_an_endless_stream_gives_its_first_examples():
    assert some_examples(Endless(), most=3) == [{"labels": 0}, {"labels": 1}, {"labels": 2}]


def test_a_loader_gives_examples_and_not_batches():
    loader = DataLoader([1, 2, 3], batch_size=2)

    assert dataset_of(loader) == [1, 2, 3]
    assert some_examples(loader, most=2, seed=0) in ([1, 2], [1, 3], [2, 3])


@pytest.mark.parametrize("nothing", [[], iter(())])
def test_no_examples_are_an_error(nothing):
    with pytest.raises(DataError, match="holds no examples"):
        some_examples(nothing, most=3)


def test_a_number_is_no_data():
    with pytest.raises(DataError, match="int gives no examples; pass what the Trainer would take as train_dataset"):
        dataset_of(3)


def test_a_dict_of_columns_is_not_read_by_position():
    assert not is_map_style({"a": [1]})
