"""What is released: one version everywhere, stated lowest versions, and archives that hold what they must and no more.

The archives are built from a copy of what git would release, without a network; beside it lie leftovers of runs.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import hf_transfer_kit

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FLOORED = {"torch", "transformers", "datasets", "accelerate", "peft"}
NOT_IN_THE_SDIST = {".gitignore", ".ci/run"}
LEFTOVERS = {"tests/__pycache__/a.pyc", "hf_transfer_kit/.mypy_cache/a.json", "runs/a/record.json", "build/lib/a.py"}


def pinned(file: str) -> dict[str, str]:
    """Name and version of every `name==version` line of a file of constraints."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_every_place_states_the_same_version_and_date():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    space = (ROOT / "spaces_app" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    entries = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", changelog, flags=re.MULTILINE)

    assert entries[:2] == [("Unreleased", ""), (PROJECT["version"], str(citation["date-released"]))]
    assert citation["version"] == PROJECT["version"] == hf_transfer_kit.__version__
    assert importlib.metadata.version(PROJECT["name"]) == PROJECT["version"]
    assert f"hf-transfer-kit[app,demo]=={PROJECT['version']}" in space


def test_the_lowest_versions_claimed_are_those_that_were_run():
    claimed = dict(re.findall(r"^([\w-]+)>=(\S+)$", "\n".join(PROJECT["dependencies"]), flags=re.MULTILINE))
    run = pinned("constraints-lowest.txt")

    assert {name: claimed[name] for name in FLOORED} == {name: run[name] for name in FLOORED}


@pytest.fixture(scope="module")
def released() -> set[str]:
    """The files that git tracks or would add."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git here: an unpacked sdist cannot tell what was left out of it")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if (ROOT / name).is_file()}


def build(kind: str, tree: Path, out: Path) -> Path:
    """The archive that setuptools makes of `tree`; kind: "sdist" or "wheel"."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def sdist(released: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools", minversion="77", reason="setuptools >= 77 is not installed")
    tree = tmp_path_factory.mktemp("tree")
    for name in released | LEFTOVERS:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch() if name in LEFTOVERS else shutil.copy(ROOT / name, tree / name)
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the unpacked sdist, as `python -m build` does: in a checkout, build/lib would get into it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return build("wheel", next(folder.iterdir()), tmp_path_factory.mktemp("wheel"))


def test_the_wheel_is_the_package_with_all_its_data_and_nothing_else(released, wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert names == {name for name in released if name.startswith("hf_transfer_kit/")}
    assert "hf_transfer_kit/py.typed" in names


def test_the_sdist_is_what_git_holds_without_caches_and_runs(released, sdist):
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    written = {name for name in names if ".egg-info/" in name} | {"PKG-INFO", "setup.cfg"}

    assert names - written == released - NOT_IN_THE_SDIST
