"""The arithmetic of benchmarks/transfer: who sees which rows, what counts as the advised plan, regret and cost."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Image
from PIL import Image as Picture

from benchmarks.transfer.advised import Advised, by_rules, is_the_arm
from benchmarks.transfer.approaches import Unit, plans, units
from benchmarks.transfer.data_sets import DATA_SETS, prepare, write_size
from benchmarks.transfer.measure import Measured, Outcome
from benchmarks.transfer.regret import cell_of, cells
from benchmarks.transfer.table import _counted, _points
from hf_transfer_kit.data.labelled import load_data, subset_rows
from hf_transfer_kit.plan import DataSpec, Features, Full, ModelSpec, Training, TransferPlan

NAMES = [data_set.name for data_set in DATA_SETS]
SNIPS, FASHION = NAMES.index("snips"), NAMES.index("fashion_mnist")


def unit(size=64, seed=0):
    return Unit(seed, size, SNIPS, seed)


def outcome(accuracy, cpu_seconds=1.0):
    return Outcome(accuracy=accuracy, cpu_seconds=cpu_seconds, labels=10)


def measured(arms, *, advised, seed=0, method="features", rules="features", asking=0.0, data_set="snips", size=64):
    advice = Advised(
        method=method, by_rules=rules, plan={}, frozen=None, similarity=None, labels=10, notes=(), cpu_seconds=asking
    )
    return Measured(
        data_set=data_set, size=size, seed=seed, arms=arms, advice=advice, advised=advised, advised_is_arm=False
    )


def test_regret_is_the_best_mean_less_the_mean_of_the_advised_plans():
    arms = [{"features": outcome(0.70), "full": outcome(0.90)}, {"features": outcome(0.80), "full": outcome(0.70)}]
    cell = cell_of([measured(each, advised=each["features"], seed=seed) for seed, each in enumerate(arms)])

    assert cell.best == "full"  # 0.80 against 0.75; the best of each seed would be 0.85
    assert cell.regret == pytest.approx(5.0)
    assert cell.regret_of("features") == pytest.approx(5.0)
    assert cell.regret_of("lora") is None


def test_a_plan_may_be_ahead_of_every_approach():
    cell = cell_of([measured({"full": outcome(0.8)}, advised=outcome(0.83))])

    assert cell.regret == pytest.approx(-3.0)


def test_the_share_of_the_cost_counts_asking_and_the_plan_against_every_approach_once():
    arms = {"features": outcome(0.7, 2.0), "full": outcome(0.9, 30.0), "majority": outcome(0.1, 0.0)}
    first = measured(arms, advised=arms["features"], asking=4.0)
    second = measured(arms, advised=arms["full"], asking=6.0, seed=1)

    assert cell_of([first, second]).cost_share == pytest.approx((4 + 2 + 6 + 30) / 2 / 32)


def test_the_majority_class_is_never_the_best():
    cell = cell_of([measured({"majority": outcome(0.9), "shallow": outcome(0.5)}, advised=outcome(0.5))])

    assert cell.best == "shallow"


def test_rules_that_name_what_was_not_run_have_no_regret():
    arms = {"features": outcome(0.7)}
    some = [
        measured(arms, advised=arms["features"], seed=seed, rules=rules)
        for seed, rules in enumerate(["features", "lora"])
    ]

    assert cell_of(some[:1]).rules_regret == pytest.approx(0.0)
    assert cell_of(some).rules_regret is None


def test_units_of_other_sizes_and_data_sets_are_other_cells():
    arms = {"features": outcome(0.7)}
    places = [("snips", 64), ("clinc150", 256), ("snips", 16), ("snips", 64)]
    found = cells([measured(arms, advised=arms["features"], data_set=name, size=size) for name, size in places])

    assert [(cell.data_set, cell.size, cell.seeds) for cell in found] == [
        ("snips", 16, 1), ("snips", 64, 2), ("clinc150", 256, 1),
    ]  # fmt: skip


def test_an_early_stop_leaves_every_data_set_with_its_small_sizes():
    order = units()
    first_of_each = [order.index(next(u for u in order if u.data_set is data_set)) for data_set in DATA_SETS]
    largest = [at for at, each in enumerate(order) if each.size == 4096]

    assert len(set(order)) == len(order)
    assert max(first_of_each) < min(largest)
    assert all(each.size <= 256 for each in order if each.seed > 0)
    assert all(later.size >= each.size for each, later in pairwise(order) if each.round == later.round)


def test_the_arms_of_a_unit_have_its_size_and_seed_and_only_texts_are_asked():
    texts = plans(unit(seed=2), Path("pool"), ModelSpec(name="m"))
    pictures = plans(Unit(0, 64, FASHION, 0), Path("pool"), ModelSpec(name="m"))

    assert {(plan.seed, plan.data.train_size) for plan in texts.values()} == {(2, 64)}
    assert "prototype" in texts and "zero_shot" not in texts  # without labels a seed changes nothing: once is enough
    assert set(pictures) == {"majority", "shallow", "features", "top_layers", "full", "gradual", "lora", "scratch"}


def test_a_plan_is_an_arm_only_where_nothing_differs():
    data = DataSpec(path="pool", max_length=32)
    arm = TransferPlan(data=data, model=ModelSpec(name="m"), approach=Full())

    assert is_the_arm(unit(), arm, arm)
    assert is_the_arm(unit(), replace(arm, approach=Full(learning_rate=5e-5)), arm)  # the default for texts
    assert not is_the_arm(unit(), replace(arm, approach=Full(learning_rate=1e-4)), arm)
    assert not is_the_arm(unit(), replace(arm, approach=Full(decay=0.9)), arm)
    assert not is_the_arm(unit(), replace(arm, training=Training(weight_decay=0.1)), arm)
    assert not is_the_arm(unit(), replace(arm, data=replace(data, max_length=16)), arm)
    assert not is_the_arm(unit(), arm, None)
    frozen = replace(arm, approach=Features())
    assert is_the_arm(unit(), replace(frozen, training=Training(weight_decay=0.1)), frozen)  # no loop, no difference


def test_rules_alone_know_the_number_of_labels():
    assert by_rules(unit(), 50) == "features"
    assert by_rules(unit(), 500) == "top_layers"


def test_a_person_with_few_rows_has_those_that_compare_draws(tmp_path):
    texts = [f"text {number} of {number % 3}" for number in range(90)]
    for part, rows in {"train": slice(0, 60), "validation": slice(60, 75), "test": slice(75, 90)}.items():
        table = {"text": texts[rows], "intent": [f"intent {number % 3}" for number in range(90)][rows]}
        (tmp_path / "from" / "snips").mkdir(parents=True, exist_ok=True)
        Dataset.from_dict(table).to_csv(tmp_path / "from" / "snips" / f"{part}.csv")
    pool = load_data(DataSpec(path=str(prepare(DATA_SETS[SNIPS], tmp_path / "from", tmp_path / "pool"))))

    own = load_data(DataSpec(path=str(write_size(pool, 12, 1, tmp_path / "rows"))))

    drawn = subset_rows(pool, 12, seed=1)
    assert own.train["input"][:] == pool.train.select(drawn["train"])["input"][:]
    assert own.validation["input"][:] == pool.validation.select(drawn["validation"])["input"][:]
    assert own.hashes["test"] == pool.hashes["test"]
    assert own.label_names == pool.label_names


def test_pictures_in_arrays_become_tables_without_a_row_in_two_parts(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        f"x_{part}": random.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        for part, size in (("train", 5000), ("test", 60))
    }
    labels = {f"y_{part}": np.arange(size) % 10 for part, size in (("train", 5000), ("test", 60))}
    (tmp_path / "fashion_mnist").mkdir()
    names = np.array([f"kind {number}" for number in range(10)])
    np.savez(tmp_path / "fashion_mnist" / "fashion_mnist.npz", **arrays, **labels, names=names)

    folder = prepare(DATA_SETS[FASHION], tmp_path, tmp_path / "pool")

    parts = {part: Dataset.from_parquet(str(folder / f"{part}.parquet")) for part in ("train", "validation", "test")}
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 4096, "validation": 500, "test": 60}
    assert isinstance(parts["train"].features["image"], Image)
    assert parts["train"].features["label"].names == names.tolist()
    seen = {part: {np.asarray(picture).tobytes() for picture in rows["image"]} for part, rows in parts.items()}
    assert not seen["train"] & seen["validation"]
    by_picture = {arrays["x_train"][at].tobytes(): labels["y_train"][at] for at in range(5000)}
    assert all(by_picture[np.asarray(row["image"]).tobytes()] == row["label"] for row in parts["validation"])
    assert isinstance(parts["test"][0]["image"], Picture.Image)


def test_the_table_says_whom_the_seeds_agree_on_and_what_was_not_run():
    assert _counted(["features", "features"]) == "features"
    assert _counted(["features", "gradual", "features"]) == "features 2, gradual 1"
    assert (_points(None), _points(1.26)) == ("not run", "1.3")
