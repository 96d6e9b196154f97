"""What the pages of the site show is what runs: every Python block, every command line, every name and number.

Names of models and data stand for tiny local stand-ins, as folders of those names in the working folder.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
import yaml
from tiny_language_models import byte_level, save_language_model
from tiny_training import make_args, make_data, make_model
from transformers import BertConfig, BertModel

import hf_transfer_kit
from docs.hooks.raised_messages import HOLE, error_classes, messages
from hf_transfer_kit import EWC, L2SP, DataError, DataSpec, Lora, PlanError, TransferKitError, load_data
from hf_transfer_kit.cli import app
from hf_transfer_kit.launch.state import ALIVE, ENDED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
METHODS = [page for page in PAGES if page.parent.name == "methods" and page.name != "index.md"]
SHAPE = [
    "Idea", "Formula", "Use it", "When, and when its sibling", "Cost", "Many GPUs", "Resume", "Measured effect",
    "Paper",
]  # fmt: skip
NOT_MEASURED = "Not measured yet on its own."
RUN_OPTIONS = {"--out", "--debug"}  # of python -m hf_transfer_kit.run
OTHER_PROGRAMS = {"pip", "pytest", "ruff", "mypy", "mkdocs"}


def named(page: Path) -> str:
    return str(page.relative_to(DOCS))


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks of a page with the number of the line before each."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [(text[: block.start()].count("\n") + 1, block[1]) for block in found]


def section(page: Path, title: str) -> str:
    """What stands under a heading of the second level."""
    text = page.read_text(encoding="utf-8")
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)[1]


# --- code -----------------------------------------------------------------------------------------------------------


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
    shutil.copy(text_csv, tmp_path / "reviews.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, stand_ins):
    namespace = {
        "__name__": "page", "model": make_model(), "args": make_args(stand_ins / "out", num_train_epochs=6),
        "old": make_data(24, seed=5), "new": make_data(), "old_test": make_data(16, seed=6),
        "new_test": make_data(8, seed=9),
    }  # fmt: skip
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


def commands(page: Path) -> list[str]:
    """The command lines of a page: those of its blocks, and those with arguments inside sentences."""
    shown = "\n".join(code.replace("\\\n", " ") for _, code in blocks(page, "sh"))
    inside = re.findall(r"`(transfer-kit (?:jobs )?\w+ [^`]+)`", page.read_text(encoding="utf-8"))
    return [part.strip() for line in [*shown.splitlines(), *inside] for part in line.split("&&") if part.strip()]


def parse(words: list[str]) -> None:
    """Parses a command of the kit and carries nothing out; raises what the command line would say."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("transfer-kit", words)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=named)
def test_the_command_lines_of_a_page_are_ones_that_the_kit_takes(page):
    for line in commands(page):
        program, *words = shlex.split(line, comments=True)
        if program == "transfer-kit":
            parse(words)
        elif program in ("accelerate", "torchrun", "python"):
            *_, last = re.split(r"-m hf_transfer_kit\.run ", line)
            assert {word for word in shlex.split(last) if word.startswith("--")} <= RUN_OPTIONS or last == line, line
        else:
            assert program in OTHER_PROGRAMS, line


def test_a_command_line_with_an_unknown_option_would_be_noticed():
    with pytest.raises(Exception, match="model"):
        parse(["baseline", "--data", "reviews.csv"])
    with pytest.raises(KeyError):
        parse(["baselin", "--data", "reviews.csv"])


# --- methods --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", METHODS, ids=named)
def test_the_pages_of_the_methods_have_one_shape(page):
    assert re.findall(r"^## (.*)", page.read_text(encoding="utf-8"), flags=re.MULTILINE) == SHAPE


@pytest.mark.parametrize("page", METHODS, ids=named)
def test_a_measured_number_stands_in_a_benchmark_that_is_linked_beside_it(page):
    text = " ".join(section(page, "Measured effect").split())
    links = re.findall(r"\]\(\.\./\.\./(benchmarks/\w+/README\.md)\)", text)
    known = " ".join((ROOT / link).read_text(encoding="utf-8") for link in links).replace(",", "")

    assert links or NOT_MEASURED in text
    numbers = re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])|\d+(?= ?%)", text.replace(",", ""))
    assert [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", known)] == []


def test_every_approach_and_protection_has_a_page():
    names = {"ewc", "l2sp", "replay"} | set(hf_transfer_kit.plan.APPROACHES) - {"majority", "shallow", "gradual"}

    assert names - {page.stem for page in METHODS} == set()


def test_the_page_on_jobs_names_every_state_and_every_kind_of_failure():
    states, failures = (
        set(re.findall(r"^\| (\w+) \|", section(DOCS / "jobs.md", title), flags=re.MULTILINE)) - {"state", "kind"}
        for title in ("States", "Why it failed")
    )
    code = (ROOT / "hf_transfer_kit" / "launch" / "failures.py").read_text(encoding="utf-8")

    assert states == {*ALIVE, *ENDED}
    assert failures == set(re.findall(r'kind="(\w+)"', code))


# --- reference ------------------------------------------------------------------------------------------------------


def test_the_reference_holds_every_public_name_once():
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    names = re.findall(r"^::: hf_transfer_kit\.([\w.]+)", text, flags=re.MULTILINE)

    assert sorted(names) == sorted([*hf_transfer_kit.__all__, "run.run"])


def test_the_navigation_names_every_page_once():
    def paths(entry):
        if isinstance(entry, str):
            return [entry]
        return [path for value in (entry.values() if isinstance(entry, dict) else entry) for path in paths(value)]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]

    assert sorted(paths(nav)) == sorted(named(page) for page in PAGES)


# --- errors ---------------------------------------------------------------------------------------------------------


def pattern(text: str) -> str:
    """A regular expression for the messages that `text` stands for."""
    return ".*".join(re.escape(part) for part in text.split(HOLE))


def test_the_index_of_errors_has_a_section_for_every_class_and_its_messages():
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    classes = error_classes()

    assert re.findall(r"^## (.*)", text, flags=re.MULTILINE) == classes
    assert re.findall(r"<!-- messages: (\w+) -->", text) == classes[1:]
    assert [name for name in classes[1:] if not any(each.error == name for each in messages())] == []


@pytest.mark.parametrize("error", error_classes()[1:])
def test_what_the_index_explains_is_said_somewhere_in_the_code(error):
    told = re.findall(r"^\| `([^`]+)` \|", section(DOCS / "errors.md", error), flags=re.MULTILINE)
    known = [each.text for each in messages() if each.error == error]

    assert told
    assert [text for text in told if not any(re.match(pattern(text), message) for message in known)] == []


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda: EWC([], strength=-1.0), PlanError),
        (lambda: L2SP(mode="both"), PlanError),
        (lambda: Lora(rank=0), PlanError),
        (lambda: DataSpec(path="a.csv", test_share=2.0), PlanError),
        (lambda: load_data(DataSpec(path="./nowhere.csv")), DataError),
    ],
)
def test_a_message_that_is_really_raised_is_in_the_index(mistake, error):
    with pytest.raises(TransferKitError) as raised:
        mistake()

    known = [each.text for each in messages() if each.error == error.__name__]
    assert type(raised.value) is error
    assert any(re.fullmatch(pattern(text), str(raised.value)) for text in known)
