"""Frozen dataclasses to plain mappings and back, with errors a person can act on.

The files the kit reads and writes (plan, events, record, comparison) are dataclasses. This module turns them into what
YAML and JSON can hold and checks what comes back: unknown keys, missing keys and wrong types are named with their
place.
"""

import contextlib
import dataclasses
import errno
import json
import os
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from hf_transfer_kit.errors import FormatError, OutputError, PlanError, ResourceError, did_you_mean

T = TypeVar("T")


def to_mapping(value: Any) -> Any:
    """A frozen dataclass as plain dicts, lists, strings and numbers; tuples become lists.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Point: x: int; tags: tuple[str, ...] = ()
        >>> to_mapping(Point(1, ("a",)))
        {'x': 1, 'tags': ['a']}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_mapping(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_mapping(item) for item in value]
    return value


def from_mapping(cls: type[T], mapping: Any, where: str) -> T:
    """An instance of the dataclass `cls` from `mapping`; the inverse of `to_mapping`.

    Args:
        where: what `mapping` is, for the error text: "plan.yaml: data".

    Raises:
        PlanError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(mapping, Mapping):
        raise PlanError(f"{where} is {mapping!r}; it must be a mapping of settings (key: value).")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in mapping:
        if key not in fields:
            raise PlanError(f"{where}: unknown setting '{key}'; {did_you_mean(str(key), fields)}")
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if name not in mapping and not has_default:
            raise PlanError(f"{where}: setting '{name}' is missing; add '{name}: ...'.")
    return cls(**{key: _convert(hints[key], item, f"{where}.{key}") for key, item in mapping.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `hint`; raises PlanError where it is not one."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [a for a in arguments if a is not type(None)]
        fitting = [a for a in kinds if isinstance(a, type) and isinstance(value, a)]
        return _convert((fitting or kinds)[0], value, where)
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {str(key): _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:  # also true of NaN
            raise PlanError(f"{where} is {value}; it must be a finite number.")
        return float(value)
    kind = origin or hint
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        hint_text = " (YAML reads 1e-5 as text; write 1.0e-5)" if kind is float and isinstance(value, str) else ""
        raise PlanError(f"{where} is {value!r}; it must be {_type_name(hint)}{hint_text}.")
    return value


def _type_name(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    names |= {tuple: "a list", dict: "a mapping"}
    return names.get(typing.get_origin(hint) or hint, str(hint))


def check_format(mapping: Any, *, name: str, version: int, where: str) -> dict[str, Any]:
    """`mapping` without its `format` and `version` keys, once both are the ones this release reads.

    Raises:
        FormatError: the file is something else, or was written by a newer release.
    """
    if not isinstance(mapping, Mapping) or "format" not in mapping:
        raise FormatError(
            f"{where} has no 'format' key; a {name} file begins with 'format: {name}', 'version: {version}'."
        )
    if mapping["format"] != name:
        raise FormatError(f"{where} has format '{mapping['format']}'; expected '{name}'.")
    if mapping.get("version") != version:
        raise FormatError(
            f"{where} has version {mapping.get('version')!r} of {name}; this release reads version {version}: "
            "install the release of hf-transfer-kit that wrote it, or write the file again."
        )
    return {key: value for key, value in mapping.items() if key not in ("format", "version")}


def written_from_mapping(cls: type[T], mapping: Any, *, name: str, version: int, where: str) -> T:
    """An instance of `cls` from what the kit wrote; nobody fills that in, so a wrong field is a broken file.

    Raises:
        FormatError: as `check_format`, or a field is unknown, missing or wrong.
    """
    try:
        return from_mapping(cls, check_format(mapping, name=name, version=version, where=where), where)
    except PlanError as error:
        raise FormatError(str(error)) from error


def write_text_atomically(path: Path, text: str) -> None:
    """Writes `text` to `path` so that a reader, or a kill at any moment, sees the old file or the whole new one.

    Half a surrogate pair, which UTF-8 cannot hold (a file name that is not text has some), is written as \\udc80,
    which YAML and JSON read back.

    Raises:
        ResourceError: the disk is full.
        OutputError: the file cannot be written for another reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"'{path}' cannot be written, the disk is full; make room and start again.") from error
        raise OutputError(f"'{path}' cannot be written ({error.strerror}); choose another folder.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: Path, mapping: Any) -> None:
    """Writes a JSON file atomically.

    Raises:
        FormatError: a number is NaN or infinite, of which JSON has none.
        ResourceError, OutputError: as `write_text_atomically`.
    """
    try:
        text = json.dumps(mapping, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise FormatError(
            f"'{path}' would hold a number that is NaN or infinite; JSON has no such numbers."
        ) from error
    write_text_atomically(path, text + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        FormatError: the file is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise FormatError(f"{path} does not exist.") from error
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not valid JSON ({error}); delete it to have it written again.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
