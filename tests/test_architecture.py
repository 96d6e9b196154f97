import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import hf_transfer_kit

ROOT = Path(hf_transfer_kit.__file__).parent
HEAVY = {"torch", "transformers", "datasets", "accelerate", "peft", "evaluate", "gradio", "sklearn", "matplotlib"}

# Who may import whom: a module imports from its own level and those below. Folders stand for everything in them.
LEVELS = [
    [
        "errors",
        "values",
        "plan",
        "records",
        "events",
        "findings",
        "saved_model",
        "reporting/quantities",
        "reporting/label_placement",
    ],
    [
        "blocks",
        "models",
        "model_errors",
        "duplicates",
        "eigen",
        "metrics",
        "measure",
        "machine",
        "tasks",
        "isolation",
        "examples",
        "anchor",
        "fisher",
        "freezing",
        "interpolation",
        "continual",
        "termination",
    ],
    [
        "data",
        "checking",
        "prompting",
        "features",
        "probe",
        "boundary",
        "optim",
        "evaluate_modules",
        "comparison",
        "callbacks",
        "transferability",
    ],
    ["approaches", "reporting"],
    ["run", "progress", "scoring", "memory"],
    ["study", "prediction", "demo", "advisor", "launch", "hub_account", "publishing"],
    ["options", "prompt_options"],
    ["app"],
    ["cli", "commands", "__init__"],
]
LIGHT = [  # what the terminal imports before it knows that there is work to do
    *LEVELS[0], "comparison", "reporting", "study", "demo", "prediction", "advisor", "launch", "hub_account",
    "publishing", "options", "prompt_options", "cli", "commands", "__init__",
]  # fmt: skip


def name_of(file):
    return file.relative_to(ROOT).with_suffix("").as_posix()


def modules():
    return sorted(ROOT.rglob("*.py"))


def covers(entry, name):
    return name == entry or name.startswith(entry + "/")


def level_of(name):
    """Its own entry counts before that of its folder."""
    levels = [(len(entry), level) for level, entries in enumerate(LEVELS) for entry in entries if covers(entry, name)]
    assert levels, f"{name} stands in no level; add it to LEVELS"
    return max(levels)[1]


def imports(file, *, at_module_level):
    """Names imported in a file; those for type checkers alone do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        above, inside_function, for_types = node, False, False
        while hasattr(above, "parent"):
            above = above.parent
            inside_function |= isinstance(above, ast.FunctionDef)
            for_types |= isinstance(above, ast.If) and "TYPE_CHECKING" in ast.unparse(above.test)
        if for_types or (at_module_level and inside_function):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert not node.level, f"{file}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name):
    """The module of the package that a dotted name is in, or None: "hf_transfer_kit.data.labelled.load_data"."""
    parts = name.split(".")
    if parts[0] != "hf_transfer_kit":
        return None
    for end in range(len(parts), 1, -1):
        path = ROOT.joinpath(*parts[1:end])
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return "/".join(parts[1:end])
    return None


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_imports_point_down(file):
    level = level_of(name_of(file))
    others = {other for name in imports(file, at_module_level=False) if (other := own(name))}
    upwards = {other for other in others if level_of(other) > level}

    assert not upwards, f"{name_of(file)} must not import {', '.join(sorted(upwards))}"


@pytest.mark.parametrize("file", [f for f in modules() if any(covers(e, name_of(f)) for e in LIGHT)], ids=name_of)
def test_light_modules_import_nothing_heavy_at_the_top(file):
    heavy = {name for name in imports(file, at_module_level=True) if name.partition(".")[0] in HEAVY}

    assert not heavy


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_files_are_short(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def test_importing_the_package_and_the_terminal_loads_nothing_heavy():
    code = "import sys, hf_transfer_kit, hf_transfer_kit.cli; hf_transfer_kit.Study; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "hf_transfer_kit.study.study" in loaded
    assert not HEAVY.intersection(loaded)


def test_the_package_alone_loads_none_of_its_modules():
    code = "import sys, hf_transfer_kit; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in loaded if name.startswith("hf_transfer_kit")] == ["hf_transfer_kit"]
    assert "numpy" not in loaded


def in_order(names):
    """As ruff sorts them: abbreviations (EWC), classes, functions."""
    return sorted(names, key=lambda name: (not name.isupper(), name))


def test_public_names_are_sorted_and_importable():
    assert hf_transfer_kit.__all__ == in_order(hf_transfer_kit.__all__)
    for name in hf_transfer_kit.__all__:
        assert getattr(hf_transfer_kit, name).__name__ == name


def test_public_names_hide_no_module():
    modules_of_the_package = {path.stem for path in ROOT.iterdir()}

    assert not modules_of_the_package.intersection(hf_transfer_kit.__all__)


def test_type_checkers_see_the_public_names_where_they_are():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {alias.name: line.module for line in block.body for alias in line.names}

    assert shown == {name: f"hf_transfer_kit.{home}" for name, home in hf_transfer_kit._HOMES.items()}
    assert in_order(shown) == hf_transfer_kit.__all__


def test_every_error_a_user_can_meet_is_public():
    errors = importlib.import_module("hf_transfer_kit.errors")
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")}

    assert defined <= set(hf_transfer_kit.__all__)


def test_a_typing_error_in_a_public_name_gets_the_nearest_one():
    with pytest.raises(AttributeError, match="did you mean 'find_blocks'"):
        hf_transfer_kit.find_block  # noqa: B018


def test_the_version_is_that_of_the_distribution():
    assert hf_transfer_kit.__version__.count(".") == 2
