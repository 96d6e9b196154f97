import pytest

from hf_transfer_kit.app.data.chosen import Reading, demo, on_the_hub, uploaded
from hf_transfer_kit.app.data.kept import chosen_again, kept
from hf_transfer_kit.app.data.uploads import Uploads


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path / "uploads")


@pytest.fixture
def upload(uploads, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("text,label\na,1\n")
    return uploads.keep(file)


READING = Reading(input_column="a", label_column="b", drop_rare=True, split_seed=3, test_share=0.3, max_length=64)


def test_what_a_browser_kept_is_the_same_data_again(uploads, upload):
    for data in (demo(), uploaded(upload), on_the_hub("org/name"), demo().read_as(READING)):
        assert chosen_again(kept(data), uploads) == data
    assert kept(None) is None


def test_nothing_that_a_browser_keeps_is_a_place_on_this_machine(uploads, upload, tmp_path):
    assert str(tmp_path) not in str(kept(uploaded(upload)))
    assert "/" not in str(kept(demo()))


def test_an_upload_that_is_gone_is_no_data(uploads, upload):
    value = kept(uploaded(upload))
    uploads.forget(upload.id)

    assert chosen_again(value, uploads) is None


@pytest.mark.parametrize(
    "change",
    [
        {"source": "hub", "name": "/etc/passwd"}, {"source": "hub", "name": "../x"},
        {"source": "upload", "name": ".."}, {"source": "upload", "name": "0" * 32},
        {"source": "file", "name": "/etc/passwd"}, {"source": 7},
        {"more": 1}, {"reading": None}, {"reading": {"path": "/etc/passwd"}}, {"reading": {"test_share": 7}},
        {"reading": {"test_share": "x"}}, {"reading": {"max_length": -1}}, {"reading": {"config": "../../x"}},
        {"reading": {"revision": "/etc"}}, {"reading": {"config": "a b"}},
        {"reading": {"revision": "a/../b"}},
    ],
)  # fmt: skip
def test_what_was_tampered_with_is_no_data(uploads, change):
    assert chosen_again(kept(on_the_hub("org/name")) | change, uploads) is None


@pytest.mark.parametrize("value", [None, "", 7, [], {}, "demo", {"source": "demo"}])
def test_what_is_no_such_value_is_no_data(uploads, value):
    assert chosen_again(value, uploads) is None
