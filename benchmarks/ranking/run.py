"""Is the layer that is picked from training rows better than the last one, do the estimators agree with what models
reach, and what do they cost?

    python -m benchmarks.ranking.run layers --data clinc150=banking --data clinc150=travel --data snips --model MODEL
    python -m benchmarks.ranking.run agreement --data sign_digits --runs my-comparison/runs
    python -m benchmarks.ranking.run budget --data clinc150 --model MODEL

`layers` fits a logistic head on every layer and scores the picked one and the last one on test. `agreement` compares
the order of the estimators with that of test accuracies after fine-tuning, which it reads from the records of a
`compare` with the approaches full and scratch; the estimators see the same training rows as those runs. Writes
results/<date>-<name>.json.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}

import numpy as np
import torch
from scipy.stats import kendalltau

from hf_transfer_kit.data.labelled import LabelledData, load_data, subset_rows
from hf_transfer_kit.data.split import stratified_order
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.errors import ModelError
from hf_transfer_kit.machine import library_versions, this_machine
from hf_transfer_kit.metrics import accuracy
from hf_transfer_kit.plan import DataSpec, Full, ModelSpec, Scratch
from hf_transfer_kit.probe import fit_logistic_head
from hf_transfer_kit.records import RunRecord
from hf_transfer_kit.tasks import get_task
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


def head_accuracy(layer: str, some: np.ndarray, held_out: np.ndarray, parts: dict[str, Any]) -> float:
    """On test, of a logistic head on one layer, fitted to the rows `some`; its penalty is chosen on `held_out`."""
    (rows, train), (held_rows, validation), (test_rows, test) = parts.values()
    head = fit_logistic_head(
        train.named(layer)[some], rows.labels[some], validation.named(layer)[held_out], held_rows.labels[held_out],
        rows.n_classes,
    )  # fmt: skip
    return accuracy(test_rows.labels, head.logits(test.named(layer)).argmax(axis=1))


def probe(parts: dict[str, Any], size: int) -> dict[str, Any]:
    """Test accuracy of every layer with `size` labels, and what each estimator picks from those rows alone."""
    (rows, train), (held_rows, _), _ = parts.values()
    some, held_out = (np.sort(stratified_order(x.labels.tolist(), 0)[:size]) for x in (rows, held_rows))
    labels = rows.labels[some]
    scored = score_model(replace(train, layers=tuple(x[some] for x in train.layers)), labels, rows.n_classes)
    every = {layer: head_accuracy(layer, some, held_out, parts) for layer in train.names}
    values = {layer: each.values for layer, each in scored.evidence.items()}
    picks = {by: max(every, key=lambda layer, at=at: values[layer][at]) for at, by in enumerate(ESTIMATORS)}
    picks |= {"mean rank": scored.best, "best on test": max(every, key=every.__getitem__)}
    return {
        "rows": len(labels), "test": every, "last": every[scored.last], "picked": picks,
        "gain_in_points": {by: round(100 * (every[layer] - every[scored.last]), 2) for by, layer in picks.items()},
    }  # fmt: skip


def layers(asked: argparse.Namespace) -> dict[str, Any]:
    """What picking a layer gains over the last one, for every set, model made for it, and number of labels."""
    results: dict[str, dict[str, Any]] = {}
    groups: dict[str, str] = {}
    for named in asked.data:
        group, path = named.split("=") if "=" in named else (Path(named).name, named)
        data = load_data(DataSpec(path=path, label_column=asked.label_column))
        for model in [ModelSpec(name=name) for name in asked.model]:
            with suppress(ModelError):  # made for another kind of input
                get_task(data.task).check_model(model)
                most = {"train": asked.rows, "validation": asked.rows, "test": 5000}
                parts = {part: part_features(data, part, model, most[part]) for part in most}
                name = f"{Path(path).name} {Path(model.name).name}"
                groups[name] = group
                results[name] = {str(size): probe(parts, size) for size in asked.sizes}
                print(name, {size: each["gain_in_points"]["mean rank"] for size, each in results[name].items()})
    return {"mean_gain_in_points": {str(size): means(results, groups, str(size)) for size in asked.sizes}} | results


def means(results: dict[str, Any], groups: dict[str, str], size: str) -> dict[str, Any]:
    """Of the gains with `size` labels: over all probes, over the groups, and of each group."""
    gains = {name: each[size]["gain_in_points"] for name, each in results.items()}
    by = list(next(iter(gains.values())))
    of_group = {
        group: {one: mean(gains[name][one] for name in gains if groups[name] == group) for one in by}
        for group in dict.fromkeys(groups.values())
    }
    over_groups = {one: mean(each[one] for each in of_group.values()) for one in by}
    return {
        "probes": {one: mean(each[one] for each in gains.values()) for one in by},
        "groups": over_groups,
    } | of_group


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
    for key, record in chain.from_iterable(map(fine_tuned, asked.runs)):
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
    listed = [
        {
            "model": Path(name).name,
            "random_start": start,
            "rows": size,
            "fine_tuned": truth[at],
            "layer": scored[keys[at]].best,
        }
        | dict(zip(ESTIMATORS, values[at].tolist(), strict=True))
        for at, (name, start, size) in enumerate(keys)
    ]
    of_size = {size: [at for at, key in enumerate(keys) if key[2] == size] for _, _, size in keys}
    same = {str(size): _taus(values, truth, chosen) for size, chosen in of_size.items() if len(chosen) >= 4}
    return {"kendall": _taus(values, truth, range(len(keys))), "kendall_of_one_size": same, "candidates": listed}


def _taus(values: np.ndarray, truth: list[float], chosen: Sequence[int]) -> dict[str, float]:
    """Kendall's tau of each estimator, and of their mean rank, with the truth, over the candidates `chosen`."""
    values, reached = values[list(chosen)], [truth[at] for at in chosen]
    taus = {name: float(kendalltau(values[:, at], reached).statistic) for at, name in enumerate(ESTIMATORS)}
    return taus | {"mean rank": float(kendalltau(-mean_ranks(values), reached).statistic), "candidates": len(reached)}


def budget(asked: argparse.Namespace) -> dict[str, Any]:
    """Processor seconds of the estimators on every layer, and of the pass; the pass must not be cached."""
    results = {}
    for path in asked.data:
        data = load_data(DataSpec(path=path, label_column=asked.label_column))
        chosen = np.sort(np.random.default_rng(0).permutation(len(data.train))[: asked.rows])
        rows = ranked_rows(data, chosen, 128)
        for name in asked.model:
            features, copy = candidate_features(rows, ModelSpec(name=name), random_seed=0)
            spent, spent_on_copy = (
                min(score_model(each, rows.labels, rows.n_classes).seconds for _ in range(5))
                for each in (features, copy)
            )
            passed, count = features.cost.cpu_seconds, len(features.names)
            both = passed + copy.cost.cpu_seconds
            results[f"{Path(path).name} {Path(name).name}"] = found = {
                "rows": len(rows.labels), "classes": rows.n_classes, "layers_and_mean": count, "pass_was_cached":
                features.cached, "pass_cpu_seconds": passed, "estimators_cpu_seconds": spent,
                "share_one_layer": spent / count / passed, "share_all_layers": spent / passed,
                "share_all_layers_with_random_copy": (spent + spent_on_copy) / both,
            }  # fmt: skip
            print(json.dumps(found), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("question", choices=["layers", "agreement", "budget"])
    parser.add_argument("--data", action="append", required=True, help="repeat it for several; GROUP=PATH for layers")
    parser.add_argument("--label-column")
    parser.add_argument("--model", action="append", default=None, help="repeat it for several")
    parser.add_argument("--runs", type=Path, action="append", help="of a comparison, for agreement; repeat it")
    parser.add_argument("--rows", type=int, default=1000, help="most training rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000], help="numbers of labels, for layers")
    parser.add_argument("--name", default="data", help="for the record's file name")
    parser.add_argument("--record", type=Path, help="write the record to this file, not to results/")
    asked = parser.parse_args()
    asked.model = asked.model or [MODEL]
    result = {"layers": layers, "agreement": agreement, "budget": budget}[asked.question](asked)
    record = {
        "question": asked.question, "date": date.today().isoformat(),
        "data": [Path(x.split("=")[-1]).name for x in asked.data],
        "models": [Path(x).name for x in asked.model], "versions": library_versions(), "machine": this_machine(),
        "result": result,
    }  # fmt: skip
    path = asked.record or Path(__file__).parent / "results" / f"{record['date']}-{asked.question}-{asked.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in result if key.startswith(("mean", "kendall"))} or result, indent=1))


if __name__ == "__main__":
    main()
