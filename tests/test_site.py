"""What the pages of the site tell is so: shape and numbers of the methods, formats, reference, errors."""

import dataclasses
import re
import textwrap

import pytest
import yaml
from site_pages import DOCS, PAGES, ROOT, named, section

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
from hf_transfer_kit.comparison.result import ArmResult
from hf_transfer_kit.events import Event
from hf_transfer_kit.launch.job import Job
from hf_transfer_kit.launch.state import ALIVE, ENDED
from hf_transfer_kit.records import Cost, PredictionCost

METHODS = [page for page in PAGES if page.parent.name == "methods" and page.name != "index.md"]
SHAPE = [
    "Idea", "Formula", "Use it", "When, and when its sibling", "Cost", "Many GPUs", "Resume", "Measured effect",
    "Paper",
]  # fmt: skip
NOT_MEASURED = "Not measured yet on its own."


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
