"""Form and plan are two views of one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transfer_kit.app.train.form import (
    IN_WORDS,
    PROTECTIONS_IN_WORDS,
    Fields,
    fields_of,
    needs_old_data,
    with_fields,
)
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import (
    APPROACHES,
    PROTECTABLE,
    PROTECTIONS,
    DataSpec,
    EwcSettings,
    Full,
    Gradual,
    Lora,
    ModelSpec,
    Protection,
    ReplaySettings,
    TopLayers,
    Training,
    TransferPlan,
)

approaches = st.one_of(
    st.sampled_from([APPROACHES[name]() for name in APPROACHES]),
    st.builds(Lora, rank=st.integers(1, 64), learning_rate=st.floats(1e-6, 1)),
    st.builds(TopLayers, blocks=st.integers(0, 9), decay=st.floats(0.1, 1.0)),
    st.builds(Gradual, opening_share=st.floats(0.1, 1.0), order=st.sampled_from(["top_down", "lp_ft"])),
)
protections = st.builds(
    Protection, ewc=st.none() | st.builds(EwcSettings, strength=st.floats(0, 9)), l2sp=st.none(),
    replay=st.none() | st.builds(ReplaySettings, ratio=st.floats(0, 0.9)),
)  # fmt: skip


@st.composite
def plans(draw):
    approach = draw(approaches)
    guarded = isinstance(approach, PROTECTABLE)
    batch = draw(st.integers(1, 32))
    return TransferPlan(
        data=DataSpec(path="org/data", train_size=draw(st.none() | st.integers(1, 99)), max_length=77),
        model=ModelSpec(name="org/model", revision=draw(st.none() | st.just("main"))), approach=approach,
        training=Training(
            epochs=draw(st.integers(1, 20)), batch_size=batch * 2, accumulation=draw(st.sampled_from([1, 2])),
            dropout=draw(st.none() | st.floats(0, 0.9)), precision=draw(st.sampled_from(["auto", "fp32", "bf16"])),
        ),
        seed=draw(st.integers(0, 9)), old_data=DataSpec(path="org/old", max_length=77),
        protection=draw(protections) if guarded else Protection(),
    )  # fmt: skip


@given(plans())
def test_a_form_that_nobody_touched_leaves_the_plan_as_it_is(plan):
    assert with_fields(plan, fields_of(plan)) == plan


@given(plans(), plans())
def test_what_the_form_says_is_in_the_plan(plan, other):
    wanted = fields_of(other)
    assert fields_of(with_fields(plan, wanted)) == wanted


def test_settings_that_the_form_does_not_show_are_kept():
    plan = TransferPlan(
        data=DataSpec(path="a", test_share=0.3), model=ModelSpec(name="org/m", revision="v1"),
        approach=Lora(rank=3), training=Training(dropout=0.5, min_steps=7), old_data=DataSpec(path="o", max_length=9),
        protection=Protection(ewc=EwcSettings(strength=3.0)),
    )  # fmt: skip
    changed = with_fields(plan, Fields(**{**as_mapping(fields_of(plan)), "epochs": 2, "learning_rate": 0.5,
                                          "protections": ("ewc", "replay")}))  # fmt: skip

    assert (changed.approach.rank, changed.approach.learning_rate) == (3, 0.5)
    assert (changed.model.revision, changed.data.test_share, changed.old_data.max_length) == ("v1", 0.3, 9)
    assert (changed.training.dropout, changed.training.min_steps, changed.training.epochs) == (0.5, 7, 2)
    assert changed.protection == Protection(ewc=EwcSettings(strength=3.0), replay=ReplaySettings())


def as_mapping(found):
    return {name: getattr(found, name) for name in found.__slots__}


def test_another_model_does_not_inherit_a_revision():
    plan = TransferPlan(data=DataSpec(path="a"), model=ModelSpec(name="org/m", revision="v1"), approach=Full())
    wanted = Fields(**{**as_mapping(fields_of(plan)), "model": "org/other"})

    assert with_fields(plan, wanted).model == ModelSpec(name="org/other")


def test_what_does_not_go_together_is_said():
    plan = TransferPlan(data=DataSpec(path="a"), model=ModelSpec(name="org/m"), approach=Full())
    with pytest.raises(PlanError, match="takes no protection"):
        with_fields(plan, Fields(approach="features", model="org/m", protections=("l2sp",)))
    with pytest.raises(PlanError, match="needs a model"):
        with_fields(plan, Fields(approach="full", model=" "))


def test_every_approach_and_protection_has_words():
    assert set(IN_WORDS) == set(APPROACHES)
    assert set(PROTECTIONS_IN_WORDS) == set(PROTECTIONS)


def test_old_data_is_asked_for_where_it_is_learned_from():
    assert needs_old_data(Fields(protections=("replay",)))
    assert not needs_old_data(Fields(protections=("replay",), old_data="org/old"))
    assert not needs_old_data(Fields(protections=("l2sp",)))
