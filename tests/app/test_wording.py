import re
from pathlib import Path

import hf_transfer_kit
from hf_transfer_kit.app.wording import FIELDS, in_page_words

APP = Path(hf_transfer_kit.__file__).parent / "app"


def test_options_become_the_fields_of_the_page():
    assert in_page_words("name it with --label-column.") == "name it with “Label column”."
    assert in_page_words("reads 9; 2 fit: --shots 2.") == "reads 9; 2 fit: “Examples in the prompt” 2."
    assert in_page_words("hf jobs --unknown-thing") == "hf jobs --unknown-thing"


def test_every_field_that_is_named_is_there():
    layouts = "".join((APP / tab / "layout.py").read_text(encoding="utf-8") for tab in ("baseline", "train"))

    assert not [label for label in FIELDS.values() if f'label="{label}"' not in layouts]


def test_whatever_the_data_may_be_blamed_for_is_said_without_an_option_of_the_terminal():
    kit = APP.parent
    files = [*(kit / "data").glob("*.py"), *(kit / "checking").glob("*.py")]
    said = {option for file in files for option in re.findall(r"[ (](--[a-z-]+[a-z])", file.read_text("utf-8"))}

    assert said - {"--data"} <= {*FIELDS, "--old-input-column", "--old-label-column", "--old-data"}


def test_a_place_becomes_a_name_the_longest_first():
    assert in_page_words("'/a/b/c.csv' in /a/b", {"/a/b": "here", "/a/b/c.csv": "mine.csv"}) == "'mine.csv' in here"


def test_an_unreachable_hub_is_said_without_the_words_of_the_library():
    text = (
        "'org/x' is no file or folder here, and the Hub cannot be reached to look there (Cannot reach https://hf.co "
        "(offline)); check the path, or connect to the network."
    )

    assert in_page_words(text) == (
        "'org/x' cannot be read: the Hub cannot be reached; check the name, upload a file, or connect to the network."
    )
