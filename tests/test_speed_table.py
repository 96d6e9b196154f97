"""benchmarks/speed: promises, where their numbers stand, the table, and what runs on any device."""

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.label_scorer.texts import NAMES
from benchmarks.speed import device_labels, device_steps, process, run, table
from benchmarks.speed.process import Ended
from benchmarks.speed.row import at_least, at_most, below, in_unit
from benchmarks.speed.rows import CHILDREN, ROWS
from hf_transfer_kit.prompting.label_scoring.label_scorer import plain_log_scores

BENCHMARKS = Path(process.REPOSITORY) / "benchmarks"
BY_NAME = {row.name: row for row in ROWS}
CPU = torch.device("cpu")
MEASURED = [  # row, committed record, the number that its folder's README shows
    ("features-3-epochs", "features/results/2026-11-21-clinc150.json", "4.31 times faster"),
    ("features-10-epochs", "features/results/2026-11-21-clinc150.json", "13.9 times faster"),
    ("features-second-run", "features/results/2026-11-21-clinc150.json", "256 times faster"),
    ("features-accuracy-3", "features/results/2026-11-21-clinc150.json", "-0.4 points"),
    ("features-accuracy-10", "features/results/2026-11-21-clinc150.json", "1 point"),
    ("top-layers", "top_layers/results/2026-11-21-clinc150-15.json", "1.88 times faster"),
    ("import-loads", "startup/results/2026-11-21.json", "0"),
    ("help", "startup/results/2026-11-21.json", "0.083 s"),
    ("near-duplicates", "near_duplicates/results/2026-11-21-clinc150.json", "0.271 s"),
    ("fisher-pass", "fisher/results/2026-11-21-minilm.json", "1.26 times"),
    ("ewc-step", "ewc_step/results/2026-11-21.json", "3.19 %"),
    ("ewc-avalanche", "ewc_step/results/2026-11-21.json", "5.6 times faster"),
    ("half-8", "unfreezing/results/2026-11-21-minilm-batch8.json", "60.2 %"),
    ("head-16", "unfreezing/results/2026-11-21-minilm.json", "35.9 %"),
    ("replay-0.5", "replay/results/2026-11-21-minilm.json", "1.99 times"),
    ("labels-harness", "label_scorer/results/2026-11-21.json", "154 times faster"),
    ("labels-rows", "label_scorer/results/2026-11-21.json", "12.3 times faster"),
    ("clip", "image_text/results/2026-11-21.json", "11.7 times faster"),
    ("estimators-all", "ranking/results/2026-11-21-budget-clinc150.json", "11.9 %"),
    ("estimators-layer", "ranking/results/2026-11-21-budget-clinc150.json", "1.48 %"),
    ("memory-minilm", "memory/results/2026-11-21-minilm-mobilenet.json", "12.1 %"),
    ("memory-minilm", "memory/results/2026-11-21-glibc-default.json", "45 %"),
    ("memory-mobilenet", "memory/results/2026-11-21-minilm-mobilenet.json", "2.7 %"),
    ("page-ready", "app/results/2026-11-22.json", "1.94 s"),
    ("event-to-page", "app/results/2026-11-22.json", "103 ms"),
    ("reload-busy", "app/results/2026-11-22.json", "2.79 s"),
    ("flat-memory", "app/results/2026-11-22.json", "-0.382 %"),
]


@pytest.mark.parametrize(("name", "record", "expected"), MEASURED)
def test_a_row_finds_its_number_in_the_record_of_its_benchmark(name, record, expected):
    found = BY_NAME[name].found(json.loads((BENCHMARKS / record).read_text(encoding="utf-8")))

    assert in_unit(found, BY_NAME[name].unit) == expected


@pytest.mark.parametrize(
    ("promise", "kept", "missed"),
    [(at_most(0.6), 0.6, 0.602), (at_least(4), 4.0, 3.96), (below(0.2), 0.199, 0.2), (at_most(1), 1 + 9e-16, 1.2)],
)
def test_a_promise_holds_up_to_its_number_and_no_further(promise, kept, missed):
    assert promise.holds(kept) and not promise.holds(missed)


def test_every_command_names_a_benchmark_and_options_that_it_has():
    assert len(BY_NAME) == len(ROWS)
    shared = (BENCHMARKS / "against_trainer.py").read_text(encoding="utf-8")
    for child in CHILDREN:
        module, *words = child.command.split()
        source = (process.REPOSITORY / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        source += shared if "draw, options" in source else ""
        for option in [*(word for word in words if word.startswith("--")), "--record"]:
            assert f'"{option}"' in source, (child.name, option)
        assert ".record or " in source, f"{child.name} never writes to --record"


def test_an_option_whose_folder_was_not_given_is_left_out():
    memory, near = (next(child for child in CHILDREN if child.name == name) for name in ("memory", "near_duplicates"))

    assert process.arguments(memory, {"data": "d", "mobilenet": None}) == ["benchmarks.memory.run"]
    assert process.arguments(memory, {"data": "d", "mobilenet": "m"})[1:] == ["--mobilenet", "m"]
    assert process.arguments(near, {"data": "d", "mobilenet": None})[1:] == ["d/test.csv", "d/train.csv"]


def ended(error=None, others=0.0):
    return Ended(seconds=1.0, cpu_seconds=1.0, load_before=0.0, cores_of_others=others, error=error)


def recording(path, names, error=None, others=0.0):
    """Stands for processes: notes the names, and leaves the committed records where theirs would be."""
    committed = {BY_NAME[name].child.name: file for name, file, _ in reversed(MEASURED)}

    def run_child(child):
        names.append(child.name)
        target = path.with_suffix("") / f"{child.name}.json"
        target.parent.mkdir(exist_ok=True)
        if error is None:
            target.write_text((BENCHMARKS / committed[child.name]).read_text(encoding="utf-8"), encoding="utf-8")
        return ended(error, others)

    return run_child


def test_a_stopped_run_goes_on_and_only_measures_a_row_anew(tmp_path):
    path, ran = tmp_path / "record.json", []
    ewc, clip = BY_NAME["ewc-step"].child, BY_NAME["clip"].child
    run.fill(run.new_record((0.1, 0.2, 0.3)), path, [ewc], recording(path, ran))
    run.fill(json.loads(path.read_text()), path, [clip], recording(path, ran, error="exit code 1: no room"))

    record = json.loads(path.read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert rows["ewc-step"]["holds"] is False and rows["ewc-avalanche"]["measured"] == pytest.approx(
        121.27 / 21.73, 0.01
    )
    assert rows["clip"]["measured"] is None and "no room" in rows["clip"]["not_measured_because"]
    left = [child.name for child in run.to_run(record, [], ["cpu"])]
    assert "image_text" in left and "ewc_step" not in left and "on_device" not in left
    assert run.to_run(record, ["ewc-avalanche"], ["cpu"]) == [ewc]
    with pytest.raises(SystemExit, match=r"no such row.*ewc-step"):
        run.to_run(record, ["ewc-stp"], ["cpu"])


def test_the_machine_was_quiet_only_if_it_was_during_every_process(tmp_path):
    path, record = tmp_path / "record.json", run.new_record((0.0, 0.0, 0.0))
    ewc, clip, app = (BY_NAME[name].child for name in ("ewc-step", "clip", "page-ready"))
    run.fill(record, path, [ewc], recording(path, [], others=0.02))
    run.fill(record, path, [app], recording(path, [], others=None))
    assert record["quiet"] is True
    run.fill(record, path, [clip], recording(path, [], others=0.6))
    assert record["quiet"] is False and "not quiet" in table.about(record)


def test_a_process_leaves_its_record_or_says_why_not(tmp_path):
    advise = BY_NAME["advise"].child
    good = process.run(advise, sys.executable, {}, tmp_path / "good.json")
    bad = process.run(type(advise)(name="x", command="benchmarks.no_such", about_seconds=1), sys.executable, {},
                      tmp_path / "bad.json")  # fmt: skip

    assert good.error is None and json.loads((tmp_path / "good.json").read_text())["tasks"] == 60
    assert 0 < good.cpu_seconds and good.cores_of_others >= 0.0
    assert "No module named benchmarks.no_such" in bad.error


def test_the_table_tells_kept_missed_and_not_measured_apart(tmp_path):
    path, record = tmp_path / "record.json", run.new_record((0.1, 0.2, 0.3))
    names = ("ewc-step", "clip", "reload-busy")
    run.fill(record, path, [BY_NAME[name].child for name in names], recording(path, []))
    text = run.conclude(record, path)

    assert "| at most 2.5 % | 3.19 % | **no** |" in text
    assert "`ewc-step`: 3.19 % instead of at most 2.5 %; " + BY_NAME["ewc-step"].if_missed in text
    assert "| at least 5 times faster | 11.7 times faster | yes |" in text
    assert f"`gpu-labels`: {run.NO_GPU}." in text or torch.cuda.is_available()
    assert text.count("| not measured |") == sum(row.child.name not in record["processes"] for row in ROWS)


def test_numbers_have_three_digits_or_all_before_the_point():
    assert in_unit(0.0321, "%") == "3.21 %" and in_unit(0.0713, "ms") == "71.3 ms"
    assert in_unit(1573.4, "times") == "1573 times" and in_unit(999.6, "s") == "1000 s"


def test_rounding_never_hides_a_miss():
    outcome = table.Outcome(row=BY_NAME["features-3-epochs"], measured=3.997)
    assert table.line(outcome).endswith("| at least 4 times faster | 3.997 times faster | **no** |")


def test_the_readme_has_a_place_for_the_table_and_keeps_the_rest():
    readme = (BENCHMARKS / "speed" / "README.md").read_text(encoding="utf-8")
    once = table.filled(readme, "one")

    assert table.filled(once, "two") == once.replace("\none\n", "\ntwo\n")
    assert once.split(table.BEGIN)[0] == readme.split(table.BEGIN)[0]
    assert once.split(table.END)[1] == readme.split(table.END)[1] != "\n"
    with pytest.raises(SystemExit, match="no place"):
        table.filled("# Speed", "one")


def test_scores_of_the_batched_other_side_are_those_of_one_pass_per_label():
    size, tokens = device_labels.TINY_LABELS, [[5, 6, 7, 8], [9, 10]]
    model = device_labels.make_model(size, CPU, torch.float32)
    labels = [[11], [12, 13, 14], [12, 15]]

    found = device_labels.per_label(model, tokens, labels, rows=4)

    with torch.inference_mode():
        torch.testing.assert_close(found, plain_log_scores(model, tokens, labels), atol=1e-5, rtol=0)
    assert len(NAMES) == device_labels.LARGE_LABELS.labels


def test_a_frozen_lower_half_leaves_the_upper_half_and_the_head():
    model = device_steps.make_model(device_steps.TINY_STEPS, CPU, torch.float32)
    device_steps.freeze_below(model, 1)

    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {
        n for n, _ in model.named_parameters() if "layer.1." in n or n.startswith(("bert.pooler", "cl"))
    }


def test_the_functions_of_the_gpu_give_every_number_of_their_rows_on_a_cpu():
    record = {
        "bf16_step": device_steps.bf16_step(device_steps.TINY_STEPS, CPU),
        "ewc": device_steps.ewc(device_steps.TINY_STEPS, CPU),
        "unfreezing": device_steps.unfreezing(device_steps.TINY_STEPS, CPU),
        "labels": device_labels.label_scores(device_labels.TINY_LABELS, CPU),
    }
    rows = [row for row in ROWS if row.child.device == "cuda" and row.name != "gpu-bf16-memory"]  # CUDA counts it

    assert len(rows) == 5 and all(row.found(record) > 0 for row in rows)
    assert record["labels"]["largest_difference_of_scores"] < 0.05
