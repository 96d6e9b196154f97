"""What the pages of the site show is what runs: every Python block, every command line, every name and number.

Names of models and data stand for tiny local stand-ins, as folders of those names in the working folder.
"""

import dataclasses
import re
import shlex
import shutil
import textwrap
from pathlib import Path

import pytest
import typer
import yaml
from tiny_language_models import byte_level, save_language_model
from tiny_training import make_args, make_data, make_model
from transformers import BertConfig, BertModel

import hf_transfer_kit
from docs.hooks.raised_messages import HOLE, error_classes, messages
from hf_transfer_kit import (
    EWC,
    L2SP,
    Advice,
    Comparison,
    DataError,
    DataSpec,
    Lora,
    PlanError,
    Prompt,
    Ranking,
    RunRecord,
    Study,
    TaskFacts,
    Training,
    TransferKitError,
    TransferPlan,
    load_data,
    load_prompt,
)
from hf_transfer_kit.callbacks.unfreezing.schedule import Schedule
from hf_transfer_kit.cli import app
from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.events import Event
from hf_transfer_kit.launch.job import Job
from hf_transfer_kit.launch.state import ALIVE, ENDED
from hf_transfer_kit.publishing import prepare
from hf_transfer_kit.records import Cost, PredictionCost
from hf_transfer_kit.run import run

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
METHODS = [page for page in PAGES if page.parent.name == "methods" and page.name != "index.md"]
SHAPE = [
    "Idea", "Formula", "Use it", "When, and when its sibling", "Cost", "Many GPUs", "Resume", "Measured effect",
    "Paper",
]  # fmt: skip
NOT_MEASURED = "Not measured yet on its own."
LANGUAGES = {"python", "sh", "yaml", "text"}  # run; parsed; read; what a command printed
BESIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "spaces_app" / "README.md"]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*/README.md"))  # pages of the site, too
RUN_OPTIONS = {"--out", "--debug"}  # of python -m hf_transfer_kit.run
LAUNCHERS = ("python", "accelerate", "torchrun", "ENVIRONMENT/bin/python")
OTHER_PROGRAMS = {"pip", "pytest", "ruff", "mypy", "mkdocs", "hf", "python3", ".", ".ci/run", "ENVIRONMENT/bin/pip"}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT)).removeprefix("docs/")


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks of a page with the number of the line before each."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^( *)```{language}\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [(text[: block.start()].count("\n") + 1, textwrap.dedent(block[2])) for block in found]


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


# --- formats and code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("plan.yaml", (TransferPlan, DataSpec, Training)),
        ("events.jsonl", (Event,)),
        ("A job's folder", (Job,)),
        ("record.json", (RunRecord, Cost, PredictionCost)),
        ("comparison.json", (Comparison, ArmResult)),
        ("advice.json", (Advice, TaskFacts)),
        ("ranking.json", (Ranking,)),
        ("A prompt file", (Prompt,)),
        ("study.yaml", (Study,)),
    ],
)
def test_the_formats_name_every_field_of_what_is_written(title, values):
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    told = re.search(rf"^## {re.escape(title)}.*?\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)[1]
    names = {field.name for value in values for field in dataclasses.fields(value)}

    assert sorted(name for name in names if not re.search(rf"\b{name}\b", told)) == []


def test_the_files_that_the_formats_show_are_read(tmp_path):
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    phases, prompt = (
        textwrap.dedent(re.search(rf"^## {title}\n(?:.*?\n)*?((?:(?:    .*)?\n){{3,}})", text, re.MULTILINE)[1])
        for title in ("Phases of gradual unfreezing", "A prompt file")
    )
    for name, content in (("phases.yaml", phases), ("prompt.yaml", prompt)):
        (tmp_path / name).write_text(content, encoding="utf-8")

    assert len(Schedule.read(tmp_path / "phases.yaml").phases) == 2
    assert load_prompt(tmp_path / "prompt.yaml").descriptions


def test_the_page_on_the_code_names_every_module_and_folder_of_the_package():
    told = (DOCS / "code.md").read_text(encoding="utf-8")
    entries = {path.name for path in (ROOT / "hf_transfer_kit").iterdir() if path.name[0] not in "_."}

    assert [name for name in sorted(entries - {"py.typed"}) if f"`{name}" not in told] == []


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
