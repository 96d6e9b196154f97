"""What the pages of the site show is what runs: every Python block, every command line.

Names of models and data stand for tiny local stand-ins, as folders of those names in the working folder.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from site_pages import DOCS, PAGES, ROOT, blocks, named
from tiny_language_models import byte_level, save_language_model
from tiny_training import make_args, make_data, make_model
from transformers import BertConfig, BertModel

from hf_transfer_kit import (
    TransferPlan,
)
from hf_transfer_kit.cli import app
from hf_transfer_kit.publishing import prepare
from hf_transfer_kit.run import run

LANGUAGES = {"python", "sh", "yaml", "text"}  # run; parsed; read; what a command printed
BESIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "spaces_app" / "README.md"]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*/README.md"))  # pages of the site, too
RUN_OPTIONS = {"--out", "--debug"}  # of python -m hf_transfer_kit.run
LAUNCHERS = ("python", "accelerate", "torchrun", "ENVIRONMENT/bin/python")
OTHER_PROGRAMS = {"pip", "pytest", "ruff", "mypy", "mkdocs", "hf", "python3", ".", ".ci/run", "ENVIRONMENT/bin/pip"}


@pytest.fixture(scope="module")
def named_models(tmp_path_factory, tiny_bert):
    """A folder in which the models of the pages lie under their names."""
    folder = tmp_path_factory.mktemp("named")
    shutil.copytree(tiny_bert, folder / "distilbert-base-uncased")
    letters = byte_level(longest=128)  # any sentence is more than unknown words
    letters.pad_token = letters.eos_token
    (folder / "Qwen").mkdir()
    save_language_model(folder / "Qwen" / "Qwen3-0.6B", letters)
    config = BertConfig(
        vocab_size=len(letters), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=128,
    )  # fmt: skip
    sentences = folder / "sentence-transformers" / "all-MiniLM-L6-v2"
    BertModel(config).save_pretrained(sentences)
    letters.save_pretrained(sentences)
    return folder


@pytest.fixture
def stand_ins(tmp_path, monkeypatch, named_models, text_csv):
    """A working folder in which the names of the pages are files and folders."""
    shutil.copytree(named_models, tmp_path, dirs_exist_ok=True)
    for name in ("reviews.csv", "intents.csv"):
        shutil.copy(text_csv, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_fenced_block_says_what_it_is():
    """One without a language, or with a further one, would be neither run nor parsed."""
    fences = [
        (named(page), fence)
        for page in PAGES
        for fence in re.findall(r"^ *```(.+)$|^\n *(```)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]

    assert [(page, found) for page, found in fences if (found[0] or found[1]) not in LANGUAGES] == []


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, stand_ins):
    for _, plan in blocks(page, "yaml") if page.parent.name == "tutorials" else ():
        run(TransferPlan.from_yaml(plan), stand_ins / "runs" / "mine")
    namespace = {
        "__name__": "page", "model": make_model(), "args": make_args(stand_ins / "out", num_train_epochs=6),
        "old": make_data(24, seed=5), "new": make_data(), "old_test": make_data(16, seed=6),
        "new_test": make_data(8, seed=9),
    }  # fmt: skip
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


def test_the_page_on_sharing_lists_the_files_that_would_go(stand_ins):
    page = DOCS / "tutorials" / "share.md"
    [(_, plan)] = blocks(page, "yaml")
    run(TransferPlan.from_yaml(plan), stand_ins / "runs" / "mine")
    [shown] = [code for _, code in blocks(page, "text") if "nothing was sent" in code]

    files = prepare(stand_ins / "runs" / "mine", "ORG/NAME").files
    assert re.findall(r"^([\w.]+\.\w+) ", shown, flags=re.MULTILINE) == [file.name for file in files]


def commands(page: Path) -> list[str]:
    """The command lines of a page: those of its blocks, and those with arguments inside sentences."""
    text = page.read_text(encoding="utf-8")
    shown = "\n".join(code for _, code in blocks(page, "sh"))
    if DOCS not in page.parents:  # there, blocks are indented
        programs = "|".join(map(re.escape, ("transfer-kit", *LAUNCHERS, *sorted(OTHER_PROGRAMS))))
        shown += "\n".join(re.findall(rf"^    (?=[A-Z_]+=|(?:{programs}) )((?:.*\\\n)*.*)", text, flags=re.MULTILINE))
    inside = re.findall(r"`(transfer-kit (?:jobs )?\w+ [^`]+)`", text)
    lines = [*re.sub(r"\\\n", " ", shown).splitlines(), *(" ".join(line.split()) for line in inside)]
    return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


def parse(words: list[str]) -> None:
    """Parses a command of the kit and carries nothing out; raises what the command line would say."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("transfer-kit", words)


@pytest.mark.parametrize("page", [page for page in [*PAGES, *BESIDE, *BENCHMARKS] if commands(page)], ids=named)
def test_the_command_lines_of_a_page_are_ones_that_the_kit_takes(page):
    for line in commands(page):
        words = shlex.split(line, comments=True)  # "..." stands for more of the same, NAME=value for a variable
        program, *words = [word for word in words if word != "..." and not re.match(r"[A-Z_]+=", word)]
        if program == "transfer-kit":
            parse(words)
        elif program in LAUNCHERS:
            check_launched(line, words)
        else:
            assert program in OTHER_PROGRAMS, line


def check_launched(line: str, words: list[str]) -> None:
    """A run takes the options that are shown, and a module or script of the repository is there."""
    if "hf_transfer_kit.run" in words:
        rest = words[words.index("hf_transfer_kit.run") :]
        assert {word for word in rest if word.startswith("--")} <= RUN_OPTIONS, line
    for module in re.findall(r" -m (benchmarks[\w.]+)", line):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), line
    for script in re.findall(r"(?:examples|benchmarks)/\w[\w/]*\.py", line):
        assert (ROOT / script).is_file(), line


def test_a_command_line_with_an_unknown_option_would_be_noticed():
    with pytest.raises(Exception, match="model"):
        parse(["baseline", "--data", "reviews.csv"])
    with pytest.raises(KeyError):
        parse(["baselin", "--data", "reviews.csv"])
