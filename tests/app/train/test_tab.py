"""What happens when the plan is changed, as values."""

import pytest

pytest.importorskip("gradio")

from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.app.train.plan_text import demo_text, form_values
from hf_transfer_kit.app.train.starting import CPU
from hf_transfer_kit.app.train.tab import data_line, form_changed, looked

PLACE = [CPU, 1, "", "", ""]


def changed(form, before=()):
    return form_changed(demo_text(), before, None, PLACE, form, Settings())


def test_a_form_that_is_wrong_keeps_the_text_and_cannot_start():
    text, before, said, start = changed(
        [*form_values(demo_text())[:4], ["ewc"], *form_values(demo_text())[5:]], ("x",)
    )

    assert (text["__type__"], before) == ("update", ("x",))
    assert "choose some beside it" in said and not start["interactive"]


def test_a_form_that_was_mended_can_start_again_though_the_text_is_as_before():
    text, before, said, start = changed(form_values(demo_text()))

    assert text == demo_text() and before == (text,)
    assert "The plan is right" in said and start["interactive"]


def test_only_the_last_texts_are_remembered():
    assert len(changed(form_values(demo_text()), tuple("abcdefghij"))[1]) == 8


def test_a_plan_is_looked_at_with_its_place():
    said, start, command, data, needs = looked(demo_text(), None, PLACE, Settings())
    assert (start["interactive"], command["visible"], needs) == (True, True, "")
    assert "demo sentences" in data

    said, start, command, *_ = looked(demo_text(), None, [CPU, 3, "", "", ""], Settings())
    assert "cannot be shared" in said and not start["interactive"] and not command["visible"]


def test_names_are_shown_as_text():
    assert "<b>" not in data_line(demo_text().replace("demo sentences", "<b>x"))
