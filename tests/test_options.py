import pytest

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.options import APPROACHES, APPROACHES_WITH_OLD_DATA, methods_of, old_spec, train_size, words
from hf_transfer_kit.plan import DataSpec
from hf_transfer_kit.prompt_options import PromptOptions


def methods(approaches, old_data=True, **settings):
    settings = {
        "top_blocks": 2, "replay_ratio": None, "ewc_strength": None, "prompted": PromptOptions(),
    } | settings  # fmt: skip
    return methods_of(approaches, old_data=old_data, **settings)


def test_the_default_approaches_are_others_with_old_data():
    assert ",".join(method.name for method in methods(None)) == APPROACHES_WITH_OLD_DATA
    assert ",".join(method.name for method in methods(None, old_data=False)) == APPROACHES


def test_settings_reach_the_protections_that_have_them():
    full, ewc, replay = methods("full,full+ewc,full+ewc+replay", replay_ratio=0.25, ewc_strength=7.0)

    assert full.protection.names == ()
    assert (ewc.protection.ewc.strength, ewc.protection.replay) == (7.0, None)
    assert (replay.protection.ewc.strength, replay.protection.replay.ratio) == (7.0, 0.25)
    assert methods("top_layers", top_blocks=3)[0].approach.blocks == 3


@pytest.mark.parametrize(
    ("approaches", "settings", "message"),
    [
        ("full+ewc", {"replay_ratio": 0.2}, r"--replay-ratio 0.2 belongs to \+replay"),
        ("full+replay", {"ewc_strength": 2.0}, r"--ewc-strength 2.0 belongs to \+ewc"),
        ("full+replay", {"replay_ratio": 1.0}, "replay.ratio=1.0"),
        ("", {}, "--approaches names none"),
    ],
)
def test_an_option_without_effect_or_out_of_range_is_refused(approaches, settings, message):
    with pytest.raises(PlanError, match=message):
        methods(approaches, **settings)


def test_old_data_is_split_and_cut_as_the_new():
    new = DataSpec(path="new.csv", config="c", revision="r", input_column="x", test_share=0.3, max_length=64)

    assert old_spec("old.csv", None, "y", new) == DataSpec(
        path="old.csv", label_column="y", test_share=0.3, max_length=64
    )
    assert old_spec(None, None, None, new) is None
    with pytest.raises(PlanError, match="--old-label-column y belongs to --old-data"):
        old_spec(None, None, "y", new)


def test_words_and_sizes():
    assert words(" a, b,,c ") == ["a", "b", "c"]
    assert [train_size(word) for word in ("64", "all")] == [64, None]
    with pytest.raises(PlanError, match="'many' is no number"):
        train_size("many")
