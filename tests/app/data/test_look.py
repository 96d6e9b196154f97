import io

import pytest
from PIL import Image

from hf_transfer_kit.app.data import look as looking
from hf_transfer_kit.app.data.chosen import Reading, demo, uploaded
from hf_transfer_kit.app.data.data_card import data_card
from hf_transfer_kit.app.data.look import loaded, look_at, shown
from hf_transfer_kit.app.data.uploads import Upload
from hf_transfer_kit.errors import DataError

SCRIPT = "<script>alert(1)</script>"


def as_upload(file):
    return uploaded(Upload(id="0" * 32, path=file))


def csv(tmp_path, text):
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    return as_upload(file)


def test_columns_are_guessed_and_checks_made(tmp_path):
    look = look_at(csv(tmp_path, "note,text,label\n" + "".join(f"n{i},hello {i},{i % 2}\n" for i in range(60))))

    assert (look.input_column, look.label_column, look.task) == ("text", "label", "text-classification")
    assert look.problem == ""
    assert len(look.rows) == 5
    assert look.checks.classes == 2


def test_columns_that_cannot_be_guessed_are_shown_to_be_chosen(tmp_path):
    look = look_at(csv(tmp_path, "a,b\n" + "".join(f"hello {i},bye {i}\n" for i in range(60))))

    assert look.columns == ("a", "b")
    assert "“Label column”" in look.problem
    assert "--" not in look.problem


def test_columns_can_be_corrected(tmp_path):
    chosen = csv(tmp_path, "one,two,label\n" + "".join(f"hi {i},{i % 3},{i % 2}\n" for i in range(60)))

    assert look_at(chosen.read_as(Reading(input_column="one", label_column="two"))).checks.classes == 3


def test_empty_rows_and_rare_classes_are_left_out_where_that_is_asked_for(tmp_path):
    rows = "".join(f"hi {i},{i % 2}\n" for i in range(60))
    chosen = csv(tmp_path, f"text,label\n{rows}once,rare\n,1\n")

    assert "“Leave out empty rows”" in look_at(chosen).problem
    assert "“Leave out rare classes”" in look_at(chosen.read_as(Reading(drop_empty=True))).problem
    look = look_at(chosen.read_as(Reading(drop_empty=True, drop_rare=True, test_share=0.5)))
    assert (look.problem, look.checks.classes, look.checks.rows["test"]) == ("", 2, 30)


def test_a_script_in_a_text_is_shown_as_text(tmp_path):
    chosen = csv(tmp_path, f"{SCRIPT},label\n" + "".join(f"{SCRIPT} {i},{SCRIPT}{i % 2}\n" for i in range(60)))
    page = data_card(chosen, look_at(chosen))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_broken_file_is_refused_without_its_place(tmp_path):
    with pytest.raises(DataError) as error:
        look_at(csv(tmp_path, '"a,b\n'))
    assert str(tmp_path) not in str(error.value)
    assert "mine.csv" in str(error.value)


def test_data_is_read_once_until_it_changes_and_only_the_last_few_are_kept(tmp_path, monkeypatch):
    from hf_transfer_kit.data import labelled

    reads = []
    whole = labelled.load_data
    monkeypatch.setattr(labelled, "load_data", lambda spec: reads.append(spec) or whole(spec))
    text = "text,label\n" + "".join(f"hi {i},{i % 2}\n" for i in range(60))
    chosen = csv(tmp_path, text)

    assert loaded(chosen) is loaded(chosen)
    assert len(reads) == 1
    look_at(csv(tmp_path, text + "more,1\n"))
    assert len(reads) == 2
    for seed in range(10):
        look_at(chosen.read_as(Reading(split_seed=seed)))
    assert looking._loaded.cache_info().currsize <= looking.KEPT
    assert looking._look.cache_info().currsize <= looking.KEPT


def test_very_many_rows_are_not_checked_while_somebody_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "MOST_CHECKED", 59)
    chosen = csv(tmp_path, "text,label\n" + "".join(f"hi {i},{i % 2}\n" for i in range(60)))
    look = look_at(chosen)

    assert (look.checks, look.classes, look.problem) == (None, 2, "")
    assert "when the baseline runs" in data_card(chosen, look)
    assert "nothing wrong" not in data_card(chosen, look)


def test_images_are_shown_small_with_their_labels(tmp_path):
    import pyarrow
    import pyarrow.parquet

    def photo(shade):
        content = io.BytesIO()
        Image.effect_noise((800, 600), shade + 1).save(content, "PNG")
        return {"bytes": content.getvalue(), "path": None}

    rows = {"image": [photo(i) for i in range(12)], "label": ["<b>cat", "dog"] * 6}
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "x.parquet")
    chosen = as_upload(tmp_path / "x.parquet")
    look = look_at(chosen)
    page = data_card(chosen, look)

    assert look.task == "image-classification"
    assert page.count("<img ") == 5
    assert all(len(each.source) < 6000 for each in look.pictures)
    assert "&lt;b&gt;cat" in page
    assert "<b>" not in page


def test_cells_are_short_text():
    assert len(shown("x" * 5000)) == 160
    assert shown({"bytes": b"x" * 2000, "path": None}) == "image (2 kB)"
    assert shown(None) == ""


def test_the_demo_data_is_without_fault():
    assert "nothing wrong" in data_card(demo(), look_at(demo()))
