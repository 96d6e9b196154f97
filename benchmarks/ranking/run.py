"""Is the layer that is picked from training rows better than the last one, do the estimators agree with what models
reach, and what do they cost?

    python -m benchmarks.ranking.run layers --data clinc150-banking --data snips --model MODEL
    python -m benchmarks.ranking.run agreement --data sign_digits --runs my-comparison/runs
    python -m benchmarks.ranking.run budget --data clinc150 --model MODEL

`layers` fits a logistic head on the picked layer and on the last one and scores both on test. `agreement` compares the
order of the estimators with that of test accuracies after fine-tuning, which it reads from the records of a `compare`
with the approaches full and scratch; the estimators see the same training rows as those runs. Writes
results/<date>-<name>.json.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import torch
from scipy.stats import kendalltau

from hf_transfer_kit.data.labelled import LabelledData, load_data, subset_rows
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.machine import library_versions, this_machine
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import DataSpec, Full, ModelSpec, Scratch
from hf_transfer_kit.probe import fit_logistic_head
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.transferability.candidate_features import candidate_features, ranked_rows
from hf_transfer_kit.transferability.measured import ScoredModel, score_model
from hf_transfer_kit.transferability.rank_aggregation import mean_ranks
from hf_transfer_kit.transferability.scores import ESTIMATORS

torch.set_num_threads(1)


def part_features(data: LabelledData, part: str, model: ModelSpec, most: int) -> Any:
    """(rows, features) of one part, at most `most` rows."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(data.part(part)))[:most])
    seen = replace(data, train=data.part(part), hashes={"train": data.hashes[part]})
    rows = ranked_rows(seen, chosen, 128)
    return rows, candidate_features(rows, model, random_seed=None)[0]


def head_accuracy(parts: list[Any], layer: str) -> float:
    """On test, of a logistic head on one layer; its penalty is chosen on validation."""
    (rows, train), (held_out, validation), (tests, test) = parts
    head = fit_logistic_head(train.named(layer), rows.labels, validation.named(layer), held_out.labels, rows.n_classes)
    return accuracy(tests.labels, head.logits(test.named(layer)).argmax(axis=1))


def layers(asked: argparse.Namespace) -> dict[str, Any]:
    """Test accuracy of a logistic head on the picked layer, on the last one, and on the one best on test."""
    results = {}
    for path in asked.data:
        data = load_data(DataSpec(path=path, label_column=asked.label_column))
        for name in asked.model:
            model = ModelSpec(name=name)
            parts = [
                part_features(data, part, model, most)
                for part, most in (("train", asked.rows), ("validation", asked.rows), ("test", 5000))
            ]
            rows, train = parts[0]
            scored = score_model(train, rows.labels, rows.n_classes)
            every = {layer: head_accuracy(parts, layer) for layer in train.names}
            picks = {
                name: max(train.names, key=lambda layer, at=at: scored.evidence[layer].values[at])
                for at, name in enumerate(ESTIMATORS)
            } | {"mean rank": scored.best}
            results[f"{Path(path).name} {Path(name).name}"] = {
                "rows": len(rows.labels),
                "test": every,
                "last": every[scored.last],
                "picked": {by: (layer, every[layer]) for by, layer in picks.items()},
                "gain_in_points": {by: round(100 * (every[x] - every[scored.last]), 2) for by, x in picks.items()},
            }
            print(path, results[f"{Path(path).name} {Path(name).name}"]["gain_in_points"], flush=True)
    gains = {by: mean(each["gain_in_points"][by] for each in results.values()) for by in (*ESTIMATORS, "mean rank")}
    return {"mean_gain_in_points": gains, "each": results}


def fine_tuned(folder: Path) -> Iterator[tuple[tuple[str, bool, int | None], RunRecord]]:
    """((model, random start, training rows), record) of the finished runs of full and scratch."""
    for path in sorted(folder.rglob("record.json")):
        record = RunRecord.load(path)
        if isinstance(record.plan.approach, Full | Scratch) and record.plan.model is not None:
            start = isinstance(record.plan.approach, Scratch)
            yield (record.plan.model.name, start, record.plan.data.train_size), record


def agreement(asked: argparse.Namespace) -> dict[str, Any]:
    """Kendall's tau of each estimator, and of their mean rank, with accuracy on test after fine-tuning."""
    reached: dict[tuple[str, bool, int | None], list[float]] = defaultdict(list)
    for key, record in fine_tuned(asked.runs):
        reached[key].append(accuracy(record.test.labels, record.test.predictions))
    data = load_data(DataSpec(path=asked.data[0], label_column=asked.label_column))
    scored: dict[tuple[str, bool, int | None], ScoredModel] = {}
    for name, size in {(key[0], key[2]) for key in reached}:
        rows = ranked_rows(data, subset_rows(data, size, 0)["train"], 128)
        found = candidate_features(rows, ModelSpec(name=name), random_seed=0)
        for start, features in zip((False, True), found, strict=True):
            if (name, start, size) in reached and features is not None:
                scored[name, start, size] = score_model(features, rows.labels, rows.n_classes)
                print(name, start, size, scored[name, start, size].chosen.values, flush=True)
    keys = list(scored)
    truth = [mean(reached[key]) for key in keys]
    values = np.array([scored[key].chosen.values for key in keys])
    taus = {name: kendalltau(values[:, at], truth).statistic for at, name in enumerate(ESTIMATORS)}
    taus["mean rank"] = kendalltau(-mean_ranks(values), truth).statistic
    listed = [
        {"model": name, "random_start": start, "rows": size, "fine_tuned": truth[at], "layer": scored[keys[at]].best}
        | dict(zip(ESTIMATORS, values[at].tolist(), strict=True))
        for at, (name, start, size) in enumerate(keys)
    ]
    return {"kendall": taus, "candidates": listed}


def budget(asked: argparse.Namespace) -> dict[str, Any]:
    """Processor seconds of the estimators on every layer, and of the pass."""
    results = {}
    for path in asked.data:
        data = load_data(DataSpec(path=path, label_column=asked.label_column))
        for name in asked.model:
            rows, features = part_features(data, "train", ModelSpec(name=name), asked.rows)
            spent = min(score_model(features, rows.labels, rows.n_classes).seconds for _ in range(3))
            passed, count = features.cost.cpu_seconds * len(rows.labels) / features.cost.rows, len(features.names)
            results[f"{Path(path).name} {Path(name).name}"] = {
                "rows": len(rows.labels), "classes": rows.n_classes, "layers_and_mean": count,
                "pass_cpu_seconds": passed, "estimators_cpu_seconds": spent,
                "share_one_layer": spent / count / passed, "share_all_layers": spent / passed,
            }  # fmt: skip
            print(json.dumps(results[f"{Path(path).name} {Path(name).name}"]), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("question", choices=["layers", "agreement", "budget"])
    parser.add_argument("--data", action="append", required=True, help="repeat it for several")
    parser.add_argument("--label-column")
    parser.add_argument("--model", action="append", default=None, help="repeat it for several")
    parser.add_argument("--runs", type=Path, help="of a comparison, for agreement")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--name", default="data", help="for the record's file name")
    asked = parser.parse_args()
    asked.model = asked.model or [MODEL]
    result = {"layers": layers, "agreement": agreement, "budget": budget}[asked.question](asked)
    record = {
        "question": asked.question, "date": date.today().isoformat(), "data": [Path(x).name for x in asked.data],
        "models": [Path(x).name for x in asked.model], "versions": library_versions(), "machine": this_machine(),
        "result": result,
    }  # fmt: skip
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{record['date']}-{asked.question}-{asked.name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result.get("mean_gain_in_points") or result.get("kendall") or result, indent=1))


if __name__ == "__main__":
    main()
