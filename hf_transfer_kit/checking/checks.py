"""Checks of a labelled data set before anything trains on it: what makes its scores mean less than they seem to.

    report = check_data(load_data(DataSpec(path="reviews.csv")))
    for finding in report.worst_first:
        print(finding.severity, finding.message)

Rows that stand in training and in test let a model score by heart (Lee et al. 2021, "Deduplicating Training Data Makes
Language Models Better", arXiv:2107.06499). Whether the pre-trained model has seen the test part cannot be found out
from the data, and is not checked.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import floor, sqrt

from hf_transfer_kit.checking.copies import Copy, KeyedPart, find_copies, keyed_part, near_keys
from hf_transfer_kit.data.labelled import LabelledData
from hf_transfer_kit.findings import CheckReport, Finding
from hf_transfer_kit.reporting.quantities import whole
from hf_transfer_kit.tasks import get_task
from hf_transfer_kit.tasks.task import Task

SOME_IMBALANCE = 3.0  # largest / smallest class; from here on a note
IMBALANCE = 10.0  # and from here on a warning
FEW_EXAMPLES = 8  # of one class in the training part; a note below
SMALL_TEST = 100  # rows of the test part; a note below
EXAMPLES = 3  # most that one finding shows

Progress = Callable[[int, int], None]

_SPLITS = ("train", "validation", "test")
_ADJECTIVES = {"train": "training", "validation": "validation", "test": "test"}
_CONSEQUENCES = {  # of copies of the second part's rows in the first
    ("test", "train"): "a model can answer from memory there",
    ("test", "validation"): "what is chosen on validation is chosen on these too",
    ("validation", "train"): "validation scores, and what is chosen by them, look too good",
}
_MISSING = {  # a class that a part lacks
    "train": ("warning", "a model cannot learn what it is not shown"),
    "validation": ("note", "what is chosen on validation leaves that out"),
    "test": ("warning", "the scores leave that out"),
}


def check_data(data: LabelledData, on_progress: Progress | None = None) -> CheckReport:
    """What is wrong or noteworthy in `data`; no findings if nothing is.

    Looks for copies and near copies across parts (and those with another label), inputs with several labels, repeated
    training rows, missing classes, imbalance, classes with few examples, and a test part too small to tell much.

    Args:
        on_progress: called now and then with (inputs read, inputs to read); each is read twice or thrice.

    Example:
        >>> report = check_data(load_data(DataSpec(path="reviews.csv")))
        >>> report.rows, report.classes, report.leaked_test_rows
        ({'train': 650, 'validation': 150, 'test': 200}, 2, (17, 120))
    """
    task = get_task(data.task)
    rows = {split: len(data.part(split)) for split in _SPLITS}
    # Once for its key, once for each side of the near-copy search that it is on: validation is on both.
    to_read = 2 * sum(rows.values()) + rows["validation"]
    on_read = _counter(to_read, on_progress)
    parts = {split: keyed_part(split, data.part(split), task, on_read) for split in _SPLITS}
    near = near_keys([parts["test"], parts["validation"]], [parts["validation"], parts["train"]], task, on_read)
    copies = {(a, b): find_copies(parts[a], parts[b], near) for a, b in _CONSEQUENCES}
    if on_progress is not None:
        on_progress(to_read, to_read)
    leaked = {copy.row for (split, _), found in copies.items() if split == "test" for copy in found}
    return CheckReport(
        findings=tuple(_findings(_Words(task=task, label_names=data.label_names), parts, copies)),
        leaked_test_rows=tuple(sorted(leaked)),
        rows=rows,
        classes=len(data.label_names),
    )


def _counter(total: int, on_progress: Progress | None) -> Callable[[], None]:
    """To be called for each input; passes on every hundredth call, as drawing a bar costs more than reading a text."""
    done = count(1)

    def count_one() -> None:
        number = next(done)
        if on_progress is not None and number % 100 == 0:
            on_progress(min(number, total), total)

    return count_one


def _findings(
    words: "_Words", parts: Mapping[str, KeyedPart], copies: Mapping[tuple[str, str], Sequence[Copy]]
) -> Iterator[Finding]:
    for (part, other), found in copies.items():
        yield from words.leaks(parts[part], parts[other], found)
    yield from words.label_conflicts(parts.values())
    yield from words.repeats(parts["train"])
    for each in parts.values():
        yield from words.missing_classes(each)
    yield from words.imbalance(parts["train"], parts["test"])
    yield from words.few_examples(parts["train"])
    yield from words.small_test(parts["test"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What was found, in plain words; each method yields nothing where there is nothing to say."""

    task: Task
    label_names: Sequence[str]

    def leaks(self, part: KeyedPart, other: KeyedPart, copies: Sequence[Copy]) -> Iterator[Finding]:
        exact, near = ([copy for copy in copies if copy.exact is wanted] for wanted in (True, False))
        for kind, found in (("leaked_exact", exact), ("leaked_near", near)):
            if not found:
                continue
            further = found is near and bool(exact)
            number = f"{whole(len(found))} {'more' if further else f'of {whole(len(part.rows))}'}"
            nouns = self._nouns(part, len(found) if further else len(part.rows))
            nearly = "near " if found is near else ""
            are = _agree(found, f"is a {nearly}copy", f"are {nearly}copies")
            differing = sum(copy.other_label for copy in found)
            labels = f", {whole(differing)} of them with another label" if differing else ""
            consequence = "" if further else f"; {_CONSEQUENCES[part.name, other.name]}"
            message = f"{number} {nouns} {are} of {self._nouns(other)}{labels}{consequence}."
            examples = tuple(self._pair(part, other, copy) for copy in _spread(found))
            rows = tuple(copy.row for copy in found)
            yield Finding(
                kind=kind, severity="warning", count=len(found), message=message, examples=examples, rows=rows
            )

    def label_conflicts(self, parts: Iterable[KeyedPart]) -> Iterator[Finding]:
        labelled: defaultdict[Hashable, dict[int, tuple[KeyedPart, int]]] = defaultdict(dict)
        for part in parts:
            for row, (key, label) in enumerate(zip(part.keys, part.labels, strict=True)):
                labelled[key].setdefault(label, (part, row))
        conflicts = [places for places in labelled.values() if len(places) > 1]
        if conflicts:
            noun = self.task.input_noun
            have = _agree(conflicts, f"{noun} has", f"{noun}s have")
            message = f"{whole(len(conflicts))} {have} more than one label; no model can be right on every copy."
            examples = tuple(map(self._conflict, conflicts[:EXAMPLES]))
            yield Finding(
                kind="label_conflict", severity="warning", count=len(conflicts), message=message, examples=examples
            )

    def repeats(self, train: KeyedPart) -> Iterator[Finding]:
        groups = sorted((rows for rows in train.rows_of.values() if len(rows) > 1), key=len, reverse=True)
        repeats = sorted(row for rows in groups for row in rows[1:])
        if repeats:
            message = (
                f"{whole(len(repeats))} of {whole(len(train.rows))} {self._nouns(train)} "
                f"{_agree(repeats, 'repeats', 'repeat')} an earlier one; repeated examples count more than others."
            )
            examples = tuple(f'"{self._show(train, rows[0])}" ({len(rows)} times)' for rows in groups[:EXAMPLES])
            yield Finding(
                kind="repeated",
                severity="note",
                count=len(repeats),
                message=message,
                examples=examples,
                rows=tuple(repeats),
            )

    def missing_classes(self, part: KeyedPart) -> Iterator[Finding]:
        present = set(part.labels)
        missing = [name for label, name in enumerate(self.label_names) if label not in present]
        if missing:
            severity, consequence = _MISSING[part.name]
            message = (
                f"{len(missing)} of {len(self.label_names)} classes {_agree(missing, 'has', 'have')} no "
                f"{_ADJECTIVES[part.name]} {self.task.input_noun}; {consequence}."
            )
            yield Finding(
                kind="missing_class",
                severity=severity,
                count=len(missing),
                message=message,
                examples=tuple(f"'{name}'" for name in missing[:EXAMPLES]),
            )

    def imbalance(self, train: KeyedPart, test: KeyedPart) -> Iterator[Finding]:
        counts = Counter(train.labels).most_common()
        (largest, most), (smallest, fewest) = counts[0], counts[-1]
        if most < SOME_IMBALANCE * fewest:
            return
        right = sum(label == largest for label in test.labels) / len(test.labels)
        message = (
            f"The largest class, '{self.label_names[largest]}', has {whole(most)} {self._nouns(train)}, the smallest, "
            f"'{self.label_names[smallest]}', {whole(fewest)} ({most / fewest:.0f} to 1); always answering "
            f"'{self.label_names[largest]}' is right for {right:.0%} of the test part, so look at macro-F1 too."
        )
        severity = "warning" if most >= IMBALANCE * fewest else "note"
        yield Finding(kind="imbalance", severity=severity, count=len(counts), message=message)

    def few_examples(self, train: KeyedPart) -> Iterator[Finding]:
        counts = Counter(train.labels)
        few = sorted((size, self.label_names[label]) for label, size in counts.items() if size < FEW_EXAMPLES)
        if few:
            message = (
                f"{len(few)} of {len(self.label_names)} classes {_agree(few, 'has', 'have')} fewer than "
                f"{FEW_EXAMPLES} {self._nouns(train)}; their scores depend much on which ones these are."
            )
            examples = tuple(f"'{name}' ({size})" for size, name in few[:EXAMPLES])
            yield Finding(kind="few_examples", severity="note", count=len(few), message=message, examples=examples)

    def small_test(self, test: KeyedPart) -> Iterator[Finding]:
        rows = len(test.rows)
        if rows < SMALL_TEST:
            # Half of the 95 % interval of a share near one half, the widest (normal approximation to the binomial).
            width = 100 * 1.96 * sqrt(0.25 / rows)
            things = f"{self.task.input_noun}{'s' * (rows > 1)}"
            message = (
                f"The test part has only {rows} {things}; an accuracy is uncertain by up to {width:.0f} points to "
                "either side (95 % interval), so only large differences can be seen."
            )
            yield Finding(kind="small_test", severity="note", count=rows, message=message)

    def _nouns(self, part: KeyedPart, number: int = 2) -> str:
        return f"{_ADJECTIVES[part.name]} {self.task.input_noun}{'s' * (number != 1)}"

    def _show(self, part: KeyedPart, row: int) -> str:
        return self.task.show(part.rows[row]["input"])

    def _pair(self, part: KeyedPart, other: KeyedPart, copy: Copy) -> str:
        facts = []
        if not copy.exact:
            facts.append(f"similarity {floor(copy.similarity * 100 + 1e-9) / 100:.2f}")  # 0.998: not yet 1.00
        if copy.other_label:
            labels = (part.labels[copy.row], other.labels[copy.other])
            facts.append("labels {}, {}".format(*(f"'{self.label_names[label]}'" for label in labels)))
        here, there = self._show(part, copy.row), self._show(other, copy.other)
        if here == there:
            pair = f'{part.name} and {other.name}: "{here}"'
        else:
            pair = f'{part.name}: "{here}" {"=" if copy.exact else "~"} {other.name}: "{there}"'
        return f"{pair} ({'; '.join(facts)})" if facts else pair

    def _conflict(self, places: Mapping[int, tuple[KeyedPart, int]]) -> str:
        part, row = next(iter(places.values()))
        labels = [f"'{self.label_names[label]}' ({place.name})" for label, (place, _) in places.items()]
        return f'"{self._show(part, row)}": {", ".join(labels)}'


def _agree(things: Sequence[object], one: str, many: str) -> str:
    return one if len(things) == 1 else many


def _spread(copies: Sequence[Copy]) -> list[Copy]:
    """A few that show the range: one with another label if there is one, a middling one and the least similar one."""
    ranked = sorted(copies, key=lambda copy: (not copy.other_label, -copy.similarity))
    return ranked if len(ranked) <= EXAMPLES else [ranked[0], ranked[len(ranked) // 2], ranked[-1]]
