import pytest

from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.demo import MODEL, demo_data
from hf_transfer_kit.errors import OutputError, PlanError
from hf_transfer_kit.plan import DataSpec, ModelSpec

DEMO, MINILM = DataSpec(path=str(demo_data())), ModelSpec(name=MODEL)


def test_strangers_own_their_jobs_and_a_mark_is_never_a_path(tmp_path):
    settings = Settings(runs=tmp_path, shared=True)

    assert settings.owner_of("0" * 32) == "0" * 32
    assert settings.uploads_of("0" * 32) != settings.uploads_of("1" * 32)
    for wrong in ("", "..", "../" + "0" * 29, "0" * 31 + "\n", None, 5):
        with pytest.raises(OutputError, match="reload"):
            settings.owner_of(wrong)


def test_on_ones_own_machine_every_page_is_the_same_persons(tmp_path):
    assert Settings(runs=tmp_path).owner_of("0" * 32) == Settings(runs=tmp_path).owner_of("") == ""


@pytest.mark.parametrize(
    ("environment", "duplicated", "shared", "launching"),
    [
        ({}, False, False, True),
        ({"SPACE_ID": "a/b"}, False, True, False),
        ({"SPACE_ID": "a/b"}, True, True, True),
        ({"SPACE_ID": "a/b", "TRANSFER_KIT_ALLOW_LAUNCH": "1"}, False, True, True),
        ({"SPACE_ID": "a/b", "TRANSFER_KIT_ALLOW_LAUNCH": "0"}, True, True, False),
        ({"TRANSFER_KIT_ALLOW_LAUNCH": "0"}, False, False, False),
    ],
)
def test_a_space_launches_nothing_large_unless_duplicated_or_allowed(environment, duplicated, shared, launching):
    settings = Settings.from_environment(environment, duplicated=duplicated)

    assert (settings.shared, settings.launching) == (shared, launching)


def test_where_launching_is_off_the_demo_data_can_still_be_tried():
    closed = Settings(launching=False)

    closed.check_may_start(DEMO, MINILM, epochs=3)
    closed.check_may_start(DEMO, None)
    for data, model, more in (
        (DataSpec(path="imdb"), MINILM, {}), (DEMO, ModelSpec(name="gpt2"), {}), (DEMO, MINILM, {"processes": 2}),
        (DEMO, MINILM, {"epochs": 11}), (DEMO, MINILM, {"gpu": True}),
    ):  # fmt: skip
        with pytest.raises(PlanError, match="duplicate the Space"):
            closed.check_may_start(data, model, **more)
        Settings().check_may_start(data, model, **more)
