import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import make_model

from hf_transfer_kit.blocks import find_blocks
from hf_transfer_kit.callbacks.unfreezing.schedule import Phase, Schedule, opened_by_phase, phases_by_block
from hf_transfer_kit.errors import FormatError, OutputError, PlanError

names = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20)
phases = st.builds(
    Phase,
    opens=st.lists(names, min_size=1, max_size=3).map(tuple),
    epochs=st.none() | st.floats(min_value=1e-3, max_value=1e3),
)


@pytest.fixture(scope="module")
def model():
    return make_model(layers=3)


@pytest.fixture(scope="module")
def blocks(model):
    return find_blocks(model)


@pytest.fixture(scope="module")
def sizes(model):
    return {name: parameter.numel() for name, parameter in model.named_parameters()}


def opens(schedule):
    return [list(phase.opens) for phase in schedule.phases]


@given(st.lists(phases, min_size=1, max_size=5).map(tuple))
def test_yaml_gives_back_the_same_phases(phases):
    schedule = Schedule(phases=phases)

    assert Schedule.from_yaml(schedule.to_yaml()) == schedule


def test_a_written_file_is_read_back(tmp_path):
    schedule = Schedule(phases=(Phase(opens=("head",), epochs=0.5), Phase(opens=("*",))), trainable=(1, 2))
    text = schedule.to_yaml(tmp_path / "phases.yaml")

    assert (tmp_path / "phases.yaml").read_text() == text
    assert Schedule.read(str(tmp_path / "phases.yaml")) == schedule
    assert "trainable" not in text


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("top_down", [["head"], ["block 2"], ["block 1"], ["block 0"], ["stem"]]),
        ("bottom_up", [["head"], ["stem"], ["block 0"], ["block 1"], ["block 2"]]),
        ("lp_ft", [["head"], ["block 2", "block 1", "block 0", "stem"]]),
    ],
)
def test_each_order_by_hand(order, expected, blocks, sizes):
    schedule = phases_by_block(blocks, sizes, order=order, start_blocks=1, epochs=2.0)

    assert opens(schedule) == expected
    assert [phase.epochs for phase in schedule.phases] == [2.0] * (len(expected) - 1) + [None]


def test_more_units_can_be_open_at_the_start(blocks, sizes):
    rest = {"order": "top_down", "epochs": 1.0}

    assert opens(phases_by_block(blocks, sizes, start_blocks=3, **rest))[0] == ["head", "block 2", "block 1"]
    assert len(phases_by_block(blocks, sizes, start_blocks=99, **rest).phases) == 1


def test_units_without_trainable_parameters_are_passed_over(blocks, sizes):
    some = {name: size for name, size in sizes.items() if ".layer.1." in name or "classifier" in name}
    schedule = phases_by_block(blocks, some, order="top_down", start_blocks=1, epochs=1.0)

    assert opens(schedule) == [["head"], ["block 1"]]
    with pytest.raises(PlanError, match="no parameter of the model trains"):
        phases_by_block(blocks, {}, order="top_down", start_blocks=1, epochs=1.0)


def test_phases_by_block_open_every_parameter_once(blocks, sizes):
    for order in ("top_down", "bottom_up", "lp_ft"):
        schedule = phases_by_block(blocks, sizes, order=order, start_blocks=1, epochs=1.0)
        opened = opened_by_phase(schedule, blocks, sizes)
        assert sorted(name for names in opened for name in names) == sorted(sizes)


def test_patterns_of_units_and_of_parameter_names(blocks, sizes):
    schedule = Schedule.read(
        [
            {"opens": ["head", "*.bias"], "epochs": 1},
            {"opens": ["block [12]"], "epochs": 1.5},
            Phase(opens=("re:bert.embeddings.(word|position)_embeddings.weight",)),
        ]
    )
    first, second, third = opened_by_phase(schedule, blocks, sizes)

    head = {name for name in sizes if name.startswith(("bert.pooler", "classifier"))}
    biases = {name for name in sizes if name.endswith(".bias")}
    assert first == head | biases
    assert second == {name for name in sizes if ".layer.1." in name or ".layer.2." in name} - biases
    assert third == {f"bert.embeddings.{kind}_embeddings.weight" for kind in ("word", "position")}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("blok 1", "did you mean 'block 1'"),
        ("re:bert", "opens nothing"),
        ("re:(", "no regular expression"),
        ("block 0", "none of its parameters trains"),
    ],
)
def test_a_pattern_that_opens_nothing_is_an_error(pattern, message, blocks, sizes):
    trainable = {name: size for name, size in sizes.items() if ".layer.0." not in name}

    with pytest.raises(PlanError, match=message):
        opened_by_phase(Schedule.read([{"opens": [pattern]}]), blocks, trainable)


def test_the_table_shows_epochs_and_counts():
    three = (Phase(opens=("head",), epochs=0.5), Phase(opens=("block 1", "block 0"), epochs=1.0), Phase(opens=("*",)))

    assert str(Schedule(phases=three, trainable=(10, 2000, 30000))).splitlines() == [
        "phase  epochs          opens             trainable parameters",
        "1      0 to 0.5        head              10",
        "2      0.5 to 1.5      block 1, block 0  2,000",
        "3      1.5 to the end  *                 30,000",
    ]


def test_the_table_does_not_pretend_to_know_when_a_metric_stalls():
    three = (Phase(opens=("head",)), Phase(opens=("block 0",), epochs=1.0), Phase(opens=("stem",)))

    assert str(Schedule(phases=three)).splitlines() == [
        "phase  epochs        opens",
        "1      0 to a stall  head",
        "2      ? to ?        block 0",
        "3      ? to the end  stem",
    ]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("phases: []", FormatError, "has no 'format' key"),
        ("format: hf_transfer_kit.plan", FormatError, "expected 'hf_transfer_kit.unfreezing'"),
        ("format: hf_transfer_kit.unfreezing\nversion: 2", FormatError, "reads version 1"),
        ("[", FormatError, "not valid YAML"),
        ("format: hf_transfer_kit.unfreezing\nversion: 1\nphases: []", PlanError, "trains nothing"),
        ("format: hf_transfer_kit.unfreezing\nversion: 1\nphases: [{open: [head]}]", PlanError, "mean 'opens'"),
        ("format: hf_transfer_kit.unfreezing\nversion: 1\nphases: [{opens: head}]", PlanError, "must be a list"),
        ("format: hf_transfer_kit.unfreezing\nversion: 1\nphases: [{opens: []}]", PlanError, "give a list of names"),
        ("format: hf_transfer_kit.unfreezing\nversion: 1\nphases: [{opens: [a], epochs: 0}]", PlanError, "epochs=0"),
    ],
)
def test_broken_files_are_refused_with_the_reason(text, error, message):
    with pytest.raises(error, match=message):
        Schedule.from_yaml(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"none\.yaml"):
        Schedule.read(tmp_path / "none.yaml")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match=r"phases\.yaml"):
        Schedule(phases=(Phase(opens=("head",)),)).to_yaml(tmp_path / "file" / "phases.yaml")


def test_a_name_instead_of_a_list_is_refused():
    with pytest.raises(PlanError, match="give a list of names"):
        Phase(opens="head")
