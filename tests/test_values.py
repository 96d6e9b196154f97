"""Dataclasses to files and back: what is refused, what is said, and what survives a failing disk."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hf_transfer_kit.errors import FormatError, OutputError, PlanError, ResourceError
from hf_transfer_kit.values import check_format, from_mapping, read_json, to_mapping, write_json, write_text_atomically


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclass(frozen=True)
class Outer:
    count: int
    inner: Inner = field(default_factory=Inner)
    names: tuple[str, ...] = ()
    on: bool = False
    rates: dict[str, float] = field(default_factory=dict)
    either: str | int = "auto"
    maybe: Inner | None = None
    anything: Any = None


FULL = Outer(
    count=3, inner=Inner(0.5), names=("a", "b"), on=True, rates={"x": 1.5}, either=-1, maybe=Inner(2.0),
    anything=[1, {"k": 2}],
)  # fmt: skip


@pytest.mark.parametrize("value", [Outer(count=1), FULL])
def test_a_dataclass_comes_back_as_it_was(value):
    assert from_mapping(Outer, to_mapping(value), "x") == value


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"count": 1, "iner": {}}, "x: unknown setting 'iner'; did you mean 'inner'?"),
        ({"count": 1, "inner": {"rates": 1}}, "x.inner: unknown setting 'rates'; did you mean 'rate'?"),
        ({"count": 1, 7: 1}, "x: unknown setting '7'; choose one of anything, count, either"),
        ({}, "x: setting 'count' is missing; add 'count: ...'."),
        ({"count": "1"}, "x.count is '1'; it must be a whole number."),
        ({"count": 1.0}, "x.count is 1.0; it must be a whole number."),
        ({"count": True}, "x.count is True; it must be a whole number."),
        ({"count": None}, "x.count is None; it must be a whole number."),
        ({"count": 1, "on": 1}, "x.on is 1; it must be true or false."),
        ({"count": 1, "names": "ab"}, "x.names is 'ab'; it must be a list."),
        ({"count": 1, "names": ["a", 2]}, "x.names[1] is 2; it must be text."),
        ({"count": 1, "rates": [1]}, "x.rates is [1]; it must be a mapping."),
        ({"count": 1, "rates": {"x": "y"}}, "x.rates.x is 'y'; it must be a number (YAML reads 1e-5 as text"),
        ({"count": 1, "inner": 3}, "x.inner is 3; it must be a mapping of settings"),
        ({"count": 1, "inner": {"rate": "1e-5"}}, "x.inner.rate is '1e-5'; it must be a number (YAML reads 1e-5 as"),
        ({"count": 1, "inner": {"rate": float("nan")}}, "x.inner.rate is nan; it must be a finite number."),
        ({"count": 1, "inner": {"rate": 10**400}}, "it must be a finite number."),
        ({"count": 1, "inner": {"rate": False}}, "x.inner.rate is False; it must be a number."),
        ({"count": 1, "either": 1.5}, "x.either is 1.5; it must be text."),
        ({"count": 1, "either": True}, "x.either is True; it must be"),
        ([1], "x is [1]; it must be a mapping of settings (key: value)."),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(mapping, message):
    with pytest.raises(PlanError) as caught:
        from_mapping(Outer, mapping, "x")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_pass_as_numbers():
    rate = from_mapping(Inner, {"rate": 2}, "x").rate
    assert rate == 2.0 and isinstance(rate, float)


def test_a_format_line_is_taken_off():
    assert check_format({"format": "f", "version": 3, "a": 1}, name="f", version=3, where="x") == {"a": 1}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (None, "x has no 'format' key"),
        ([], "x has no 'format' key"),
        ({"version": 3}, "x has no 'format' key"),
        ({"format": "g", "version": 3}, "x has format 'g'; expected 'f'."),
        ({"format": "f"}, "x has version None of f; this release reads version 3"),
        ({"format": "f", "version": 4}, "x has version 4 of f; this release reads version 3"),
        ({"format": "f", "version": "3"}, "x has version '3' of f"),
    ],
)
def test_other_formats_and_versions_are_refused(mapping, message):
    with pytest.raises(FormatError) as caught:
        check_format(mapping, name="f", version=3, where="x")
    assert message in str(caught.value)


def test_json_comes_back_as_it_was_whatever_the_letters(tmp_path: Path):
    content = {"text": "naïve ☃ 𝄞", "half a pair": "caf\udce9", "numbers": [1, -0.1, 1e300], "none": None}
    write_json(tmp_path / "new" / "a.json", content)
    assert read_json(tmp_path / "new" / "a.json") == content
    assert "naïve ☃ 𝄞" in (tmp_path / "new" / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_holds_finite_numbers_only(tmp_path: Path, number: float):
    with pytest.raises(FormatError, match=r"a\.json' would hold a number that is NaN or infinite"):
        write_json(tmp_path / "a.json", {"x": [number]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": NaN}', b'{"a": -Infinity}', b"\xff\xfe", b"[" * 100_000, b"1" * 5000]
)
def test_a_broken_json_file_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(FormatError, match=r"a\.json does not exist\."):
        read_json(tmp_path / "a.json")
    with pytest.raises(FormatError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch, step: str):
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path, monkeypatch):
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match=r"a\.txt' cannot be written, the disk is full; make room"):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"


def test_a_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"a\.txt' cannot be written \((Not a directory|File exists)\)"):
        write_text_atomically(tmp_path / "file" / "a.txt", "text")
