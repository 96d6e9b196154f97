"""Data sets of the Hub, with a stand-in for the Hub."""

import datasets
import pytest

from hf_transfer_kit.data import hub as data_hub
from hf_transfer_kit.data.sources import read_source
from hf_transfer_kit.errors import DataError


def message_of(name):
    with pytest.raises(DataError) as error:
        read_source(name)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def hub(monkeypatch):
    """Puts a stand-in for the Hub in place: what its two calls return or raise."""

    def answer(result):
        if isinstance(result, Exception):
            raise result
        return result

    def set_up(info, rows=None):
        client = type("Client", (), {"dataset_info": lambda self, name, revision, timeout: answer(info)})
        asked = []
        monkeypatch.setattr(data_hub, "HfApi", client)
        monkeypatch.setattr(
            data_hub.datasets,
            "load_dataset",
            lambda *names, revision: asked.append((*names, revision)) or answer(rows),
        )
        return asked

    return set_up


INFO = type("Info", (), {"sha": "c0ffee"})
ROWS = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["x"], "label": [0]})})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("no route"), ["'nobody/reviews'", "cannot be reached", "no route", "connect to the network"]),
        (
            data_hub.errors.HFValidationError("odd"),
            ["'nobody/reviews'", "nor a data set on the Hub", "check the name"],
        ),
    ],
)
def test_a_name_that_cannot_be_had_is_one_line(hub, error, words):
    hub(error)
    message = message_of("nobody/reviews")
    assert [word for word in words if word not in message] == [], message


def test_a_set_is_loaded_with_its_config_and_revision_and_its_commit_is_noted(hub):
    asked = hub(INFO, ROWS)
    source = read_source("glue", config="sst2", revision="main")
    assert asked == [("glue", "sst2", "main")]
    assert source.notes == ("Hub commit c0ffee",)
    assert [part.split for part in source.parts] == ["train"]


def test_a_set_in_the_cache_is_loaded_without_network(hub, monkeypatch, tmp_path):
    (tmp_path / "Nobody___film_reviews").mkdir()
    monkeypatch.setattr(data_hub.datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    hub(ConnectionError("no route"), ROWS)
    assert read_source("Nobody/FilmReviews").notes == ()


def test_what_cannot_be_loaded_is_said_in_one_line(hub):
    hub(INFO, ValueError("Config name is missing.\nPlease pick one of ['cola', 'sst2']"))
    assert "'glue' cannot be loaded from the Hub: Config name is missing. Please pick one" in message_of("glue")
