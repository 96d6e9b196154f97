"""The rows of benchmarks/behaviours that take no process of their own, our side; and what makes a table of them."""

import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.behaviours import accumulation, label_scores, log_me, resume, run, stop, strength, two_processes
from benchmarks.behaviours.outcome import OURS, Outcome, command, first_line, run_side


@pytest.mark.parametrize("row", [accumulation, label_scores, log_me, strength], ids=lambda row: row.ROW)
def test_our_side_of_a_cheap_row_holds(row):
    outcome = run_side(OURS, row.SIDES)

    assert outcome.holds, outcome.says
    json.dumps(dict(outcome.measured))


def test_a_classifier_as_it_comes_shows_the_factor_that_the_kit_warns_of():
    measured = accumulation.transformers().measured

    assert measured["classifier_as_it_comes"]["length_ratio"] == pytest.approx(4.0, rel=1e-3)
    assert measured["language_model"]["length_ratio"] == pytest.approx(1.0, rel=1e-3)


# What the rows are measured with


def test_the_exact_penalty_is_not_that_of_squared_batch_gradients():
    """What `strength` calls exact, against the same sum by torch.func; and it tells a wrong estimate."""
    net, (x, y) = strength.network(), strength.digits()
    weights = dict(net.named_parameters())

    def loss(weights, row, label):
        return torch.nn.functional.cross_entropy(torch.func.functional_call(net, weights, (row[None],)), label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(weights, x, y)
    for name, found in strength.exact(net).items():
        torch.testing.assert_close(found, gradients[name].square().mean(dim=0), rtol=1e-4, atol=1e-8)

    def of_batches(net, size):
        total = {name: torch.zeros_like(weight) for name, weight in net.named_parameters()}
        for start in range(0, len(x), size):
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(x[start : start + size]), y[start : start + size]).backward()
            for name, weight in net.named_parameters():
                total[name] += weight.grad.square() * size / len(x)
        return total

    assert not strength.outcome(of_batches).holds


def test_the_evidence_by_definition_is_the_density_of_the_labels():
    """At the best alpha and beta, against scipy's own multivariate normal around it."""
    from scipy.stats import multivariate_normal

    features, labels = log_me.task(12, 30)
    y = (labels == 0).astype(float)
    best = log_me.evidence(features, y)
    found = []
    for log_ratio in np.linspace(-6, 10, 300):
        covariance = features @ features.T / np.exp(log_ratio) + np.eye(12)
        scale = y @ np.linalg.solve(covariance, y) / 12
        found.append(multivariate_normal(np.zeros(12), scale * covariance).logpdf(y) / 12)
    assert best == pytest.approx(max(found), abs=1e-3)


def test_two_processes_are_apart_from_the_step_at_which_they_differ():
    same = np.ones((5, 3), dtype=np.float32)
    other = same.copy()
    other[3:] += 0.25

    assert two_processes.compared([same, same])["first_differing_step"] is None
    found = two_processes.compared([same, other])
    assert (found["first_differing_step"], found["largest_difference_at_the_end"]) == (4, 0.25)


def test_a_resumed_run_holds_only_with_the_same_bits():
    whole = np.arange(12.0).reshape(6, 2)

    right = resume.compare(whole, whole[3:], kill_at=5, about="a run")
    wrong = resume.compare(whole, whole[3:] + 1e-12, kill_at=5, about="a run")

    assert right.holds and right.measured["steps_done_twice"] == 2
    assert not wrong.holds


def test_the_stop_row_sees_what_is_left_and_ends_it(monkeypatch):
    monkeypatch.setattr(stop, "SECONDS", 0.5)
    monkeypatch.setattr(stop, "START", 5.0)
    started = []

    def start(arguments):
        for _ in range(2):
            started.append(subprocess.Popen([sys.executable, *arguments[-3:]]))
        return started[0].kill

    found = stop.left_over(start, "stuck")

    assert (found["before"], found["left"]) == (2, 1)
    assert [process.wait(10) for process in started] == [-9, -9]


# The command line and the table


def test_an_error_of_a_peer_is_its_result_and_one_of_ours_is_raised():
    def breaks():
        raise LookupError("no such thing in /home/somebody/file\nand more")

    outcome = run_side("peer", {"peer": breaks})
    assert (outcome.holds, outcome.measured) == (False, {"error": "LookupError: no such thing in ..."})
    with pytest.raises(LookupError):
        run_side(OURS, {OURS: breaks})
    assert first_line(ValueError()) == "ValueError: "


def test_a_side_prints_one_line_whatever_it_prints_itself(capsys):
    def noisy():
        sys.stdout.write("on the way")
        return Outcome(holds=True, measured={"number": 1}, says="it does")

    command("a row", {OURS: noisy}, ["--side", OURS])

    line = json.loads(capsys.readouterr().out)
    assert (line["row"], line["side"], line["holds"], line["measured"]) == ("a row", OURS, True, {"number": 1})
    assert line["versions"]["torch"] == importlib.metadata.version("torch")  # torch.__version__ may add "+cu126"


@pytest.fixture(scope="module")
def wanted():
    return run.cells_to_fill()


def test_every_row_has_our_side_first_and_a_peer(wanted):
    for name in run.ROWS:
        sides = [side for module, _, side in wanted if module == name]
        assert sides[0] == OURS and len(sides) > 1
    assert len({row for _, row, _ in wanted}) == len(run.ROWS)


def test_the_table_has_a_line_for_every_cell_and_says_what_was_not_run(wanted):
    (_, row, _), *_ = wanted
    cell = {"row": row, "side": OURS, "holds": False, "says": "a | b", "versions": {"hf-transfer-kit": "0.1.0"}}

    lines = run.table([cell], wanted).splitlines()[2:]

    assert len(lines) == len(wanted)
    assert lines[0] == f"| {row} | hf_transfer_kit 0.1.0 | **no** | a \\| b |"
    assert all(" not run " in line for line in lines[1:])


def test_a_cell_that_ends_badly_is_told_as_such(monkeypatch):
    monkeypatch.setattr(run, "ROWS", ())
    cell = run.run_cell(sys.executable, "no_such_row", "a row", "peer")
    assert not cell["holds"] and "exit code 1" in cell["says"]


def test_a_cell_is_written_when_it_is_there_and_not_run_again(tmp_path, monkeypatch):
    path, ran = tmp_path / "record.json", []

    def run_cell(python, module, row, side):
        ran.append((row, side))
        return {"row": row, "side": side, "holds": True, "says": "", "versions": {}, "cpu_seconds": 0.0}

    monkeypatch.setattr(run, "run_cell", run_cell)
    monkeypatch.setattr(run, "cells_to_fill", lambda: [("m", "one", OURS), ("m", "one", "peer"), ("m", "two", OURS)])
    record = {"cells": []}
    run.fill(record, path, {OURS: "python"}, again=())
    run.fill(json.loads(path.read_text()), path, {OURS: "python", "peer": "python"}, again=["two"])

    assert ran == [("one", OURS), ("two", OURS), ("one", "peer"), ("two", OURS)]
    assert len(json.loads(path.read_text())["cells"]) == 3


def test_an_interpreter_that_is_not_there_is_refused():
    with pytest.raises(SystemExit, match="NAME=PATH"):
        run.interpreters(["setfit=nowhere/python"])
    assert importlib.import_module("benchmarks.behaviours.stop").SIDES.keys() >= {"ours", "torch"}
