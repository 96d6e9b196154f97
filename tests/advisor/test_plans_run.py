"""What is shown is what runs: every kind of plan that is advised is carried out on a tiny model, in every form."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from advisor.drawn_facts import drawn
from advisor.executed import execute, frozen_heap, logits_of_run
from advisor.tiny_tasks import TESTED, TinyTask, tiny_tasks

from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.exports.plan_export import export_plan
from hf_transfer_kit.advisor.exports.scripts import SCRIPTED
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf, memory_by_parameters
from hf_transfer_kit.advisor.rules import advise
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import Features, TransferPlan
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.run import main, run

TRAINED = [f"{method}{guard}" for method in ("top_layers", "gradual", "lora") for guard in ("", "+l2sp", "+replay")]
OTHERS = ["zero_shot", "features", "full", "scratch"]  # full is advised where nothing has to be kept
PLANS = [f"{modality} {method}" for modality in ("text", "image") for method in (*OTHERS, *TRAINED)]
PLANS.append("text few_shot")
PROTECTIONS = {"l2sp": "L2SP", "replay": "Replay"}


def adapters_alone(model, method) -> float:
    """Memory, MiB: nothing that trains all weights fits."""
    return 1e9 if method in ("full", "gradual") else 1.0


def kinds_of_facts(modality: str) -> Iterator[tuple[TaskFacts, MemoryOf]]:
    """Facts of tasks that the kit has, rare ones drawn on purpose."""
    known = {"modality": modality, "task": "classification", "several_objects": None}
    keeping = {"n_labelled": 500, "compute": "gpu", "keep_old_skills": True}
    replaying = {"keep_old_skills": True, "old_data": True}
    large = {"n_labelled": 3_000_000, "similarity": "different"}
    for facts in (
        *drawn(200, seed=0, **known), *drawn(20, seed=1, **known, **large, compute="cluster"),
        *drawn(20, seed=2, **known, **keeping), *drawn(20, seed=3, **known | keeping | replaying),
    ):  # fmt: skip
        yield facts, memory_by_parameters
    fitting_adapters = {"compute": "gpu", "memory_gib": 2.0} | large
    for facts in (
        *drawn(20, seed=4, **known, **fitting_adapters),
        *drawn(20, seed=5, **known, **fitting_adapters, **replaying),
    ):
        yield facts, adapters_alone


def on_tiny(facts: TaskFacts, memory_of: MemoryOf, task: TinyTask) -> TaskFacts:
    """The facts with tiny data and a tiny model at hand."""
    facts = replace(facts, data=str(task.data), base_model=str(task.learner))
    if facts.keep_old_skills and facts.old_data:
        facts = replace(facts, input_length=40)  # texts cut to a few tokens are the same rows, old and new
    asked = decide(facts, memory_of).method in ("zero_shot", "few_shot")
    return replace(facts, base_model=str(task.asked)) if asked else facts


def advised(facts: TaskFacts, memory_of: MemoryOf, task: TinyTask) -> TransferPlan:
    """The plan of the advice, trained for three steps; nothing else is changed."""
    plan = TransferPlan.from_mapping(advise(facts, memory_of=memory_of).plan)
    if plan.old_data is not None:
        plan = replace(plan, old_data=replace(plan.old_data, path=str(task.old_data)))
    return replace(plan, training=replace(plan.training, epochs=3, min_steps=0))


@pytest.fixture(scope="module", autouse=True)
def quick_ends():
    with frozen_heap():
        yield


@pytest.fixture(scope="module")
def plans(tmp_path_factory) -> dict[str, TransferPlan]:
    """One plan of each modality, approach and protection."""
    found: dict[str, TransferPlan] = {}
    seen = set()
    for modality, task in tiny_tasks(tmp_path_factory.mktemp("tasks")).items():
        for drawn_facts, memory_of in kinds_of_facts(modality):
            facts = on_tiny(drawn_facts, memory_of, task)
            situation = decide(facts, memory_of).situation
            kind = (modality, situation.method, situation.keep_old_skills, situation.old_data)
            if kind not in seen:
                seen.add(kind)
                plan = advised(facts, memory_of, task)
                found[f"{modality} {plan.method}"] = plan
    return found


def test_no_kind_of_plan_is_left_out(plans):
    assert set(plans) == set(PLANS)
    assert len({plan.data.max_length for plan in plans.values()}) > 1
    assert len({getattr(plan.approach, "learning_rate", None) for plan in plans.values()}) > 3


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_runs_in_every_form_and_gives_the_same_answers(name, plans, tmp_path):
    exported = export_plan(plans[name])
    (tmp_path / "plan.yaml").write_text(exported.yaml, encoding="utf-8")
    plan, folder = TransferPlan.load(tmp_path / "plan.yaml"), tmp_path / "run"

    job = execute(exported.job, tmp_path / "job.py", "--out", str(folder))
    record = RunRecord.load(folder / "record.json")

    assert record.plan == plan == plans[name]
    assert run(plan, folder) == record  # the plan's own run: this one, which is finished, and no other
    assert len(record.test.predictions) == TESTED
    assert job.accuracy == pytest.approx(accuracy(record.test.labels, record.test.predictions), abs=1e-4)
    assert (record.old is None) == (plan.old_data is None)
    assert bool(exported.python) == isinstance(plan.approach, SCRIPTED)
    if exported.python:
        _check_the_script(plan, tmp_path, folder)


def _check_the_script(plan: TransferPlan, tmp_path: Path, run_folder: Path) -> None:
    """The script without the kit's own loop gives the logits of the run."""
    script = execute(export_plan(plan, folder=tmp_path).python, tmp_path / "script.py")
    if isinstance(plan.approach, Features):  # its script is the plan
        np.testing.assert_array_equal(logits_of_run(tmp_path / "runs" / "script"), logits_of_run(run_folder))
        return
    given = {type(callback).__name__ for callback in script.callbacks}
    assert given & set(PROTECTIONS.values()) == {PROTECTIONS[each] for each in plan.protection.names}
    assert script.best_step > 1
    if plan.protection.replay is None:  # whose draws depend on the order of the rows
        np.testing.assert_allclose(script.test_logits, logits_of_run(run_folder), atol=2e-5)


@pytest.mark.parametrize(("place", "setting"), [("YOUR_DATA", "data.path"), ("YOUR_OLD_DATA", "old_data.path")])
def test_a_place_that_is_not_filled_in_is_said_in_one_line(place, setting, plans, tmp_path, capfd):
    facts = TaskFacts(modality="text", task="classification", n_labelled=500, keep_old_skills=True, old_data=True)
    plan = TransferPlan.from_mapping(advise(facts).plan)
    notes = " ".join(export_plan(plan).notes)
    other = "old_data" if place == "YOUR_DATA" else "data"  # is filled in
    plan = replace(plan, **{other: replace(plan.data, path=plans["text full"].data.path)})
    plan.save(tmp_path / "plan.yaml")

    code = main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run")])

    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("transfer-kit:")]
    assert code == 2 and len(said) == 1 and place in said[0] and setting in said[0] and "Hub name" in said[0]
    assert f"{place} ({setting})" in notes
    assert json.loads((tmp_path / "run" / "events.jsonl").read_text().splitlines()[-1])["kind"] == "error"
