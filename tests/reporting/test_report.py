import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from rich.console import Console
from synthetic_records import hits, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison, Failure
from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.findings import CheckReport, Finding
from hf_transfer_kit.plan import Features, Full, Lora, Majority, Scratch, Shallow, TopLayers
from hf_transfer_kit.reporting.report import to_html, to_markdown, to_terminal, write_report

EVIL = "<script>alert('x')</script> | **b** [red]c[/red] \x1b[31m `d`"


def comparison_of(label="yes", leaked=(0, 1, 2), sizes=(50, 100), model="hub/mini", failures=(), path="reviews.csv"):
    approaches = (Features(), TopLayers(), Full(), Lora(), Scratch(), Shallow(), Majority())
    records = [
        make_record(
            hits(90 - 5 * i - (100 - size) // 5, 120), approach, seed=seed, train_size=size, seconds=0.5 * 4**i,
            label_names=("no", label), model=model, path=path,
        )
        for i, approach in enumerate(approaches)
        for size in sizes
        for seed in range(2)
    ]  # fmt: skip
    findings = (
        Finding(kind="duplicates", severity="note", count=4, message="4 rows occur twice.", examples=(label,)),
        Finding(kind="leaked_exact", severity="warning", count=len(leaked), message=f"{label} leaked."),
    )
    checks = CheckReport(findings=findings, leaked_test_rows=tuple(leaked), rows={"test": 120}, classes=2)
    return compare(records, checks, failures=failures, command="transfer-kit compare --data 'a & b'")


def terminal_lines(comparison, width):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(to_terminal(comparison))
    return console.file.getvalue().splitlines()


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and text outside <style>."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "path", "use", "br", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        self.text += "" if "style" in self.open[-1:] else data


def test_the_page_shows_what_the_comparison_says():
    comparison = comparison_of(failures=[Failure(run="lora, seed 2", message="not enough memory")])

    page = Page(to_html(comparison))

    for text in (
        comparison.verdict,
        comparison.next_step,
        *comparison.warnings,
        "4 rows occur twice.",
        "not enough memory",
    ):
        assert text in page.text
    for arm in comparison.arms:
        assert f"{arm.accuracy:.2f}" in page.text
    assert "without the 3 leaked test rows" in page.text.lower()
    assert "transfer-kit compare --data 'a & b'" in page.text


def test_the_page_needs_nothing_but_itself():
    text = to_html(comparison_of())

    assert "//" not in re.sub(r"</?[a-z]", "", text)
    assert not re.search(r"https?:|@import|<link|<script|<img|<iframe|<object", text)
    assert {tag for tag, _ in Page(text).tags} >= {"svg", "table", "style"}
    for reference in re.findall(r'(?:href="|url\()([^")]*)', text):
        assert reference.startswith("#")
        assert f'id="{reference[1:]}"' in text


def test_text_of_the_data_is_shown_as_text_in_the_page():
    comparison = comparison_of(label=EVIL, path=EVIL, failures=[Failure(run=EVIL, message=EVIL)], model=f"a/{EVIL}")

    page = Page(to_html(comparison))

    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert('x')</script>") >= 5  # label, title, path, finding, example, failure


def test_the_page_is_accessible():
    text = to_html(comparison_of())
    page = Page(text)

    assert ("html", {"lang": "en"}) in page.tags
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) == 2
    assert all(picture["role"] == "img" and len(picture["aria-label"]) > 20 for picture in pictures)
    assert any(attributes.get("name") == "viewport" for tag, attributes in page.tags if tag == "meta")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len([name for name in ids if name.startswith("table-")]) == 3
    assert "prefers-color-scheme: dark" in text


def test_every_colour_of_the_pictures_belongs_to_the_page_so_that_dark_mode_reaches_it():
    text = to_html(comparison_of())
    pictures = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))

    assert not re.search(r"#[0-9a-fA-F]{6}\b", re.sub(r'(id="|#)m[0-9a-f]{10}', "", pictures))
    used = set(re.findall(r"var\(--([a-z_]+)\)", pictures))
    assert used >= {"features", "ink", "muted", "paper"}
    assert used <= set(re.findall(r"--([a-z_]+):", text))


def test_the_markdown_table_is_one():
    comparison = comparison_of(label=EVIL)

    blocks = re.findall(r"(?:^\|.*\n)+", to_markdown(comparison), flags=re.MULTILINE)

    assert len(blocks) == 3  # quality, quality without leaked rows, cost
    for block in blocks:
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        assert len({len(row) for row in rows}) == 1
        assert all(re.fullmatch(r" :?--:? ", cell) for cell in rows[1])
        assert [re.sub(r"[*\\ ]", "", row[0]) for row in rows[2:]] == [
            arm.name.replace(" ", "") for arm in comparison.arms
        ]


def test_markdown_shows_text_of_the_data_as_text():
    text = to_markdown(comparison_of(label=EVIL))

    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert r"\*\*b\*\*" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("model", ["hub/mini", "hub/a_model_with_a_rather_long_name"])
def test_the_terminal_folds_columns_instead_of_cutting_cells(width, model):
    comparison = comparison_of(model=model)

    lines = terminal_lines(comparison, width)

    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    text = "\n".join(lines)
    for head in (
        "accuracy",
        "macro-F1",
        "calibration",
        "over control",
        "training",
        "FLOPs",
        "prediction",
        "behind best",
    ):
        assert head in text
    flat = " ".join(text.replace("│", " ").split())
    assert comparison.verdict in flat
    assert comparison.next_step in flat


def test_the_terminal_obeys_no_mark_up_and_no_control_characters_of_the_data():
    comparison = comparison_of(failures=[Failure(run=EVIL, message="stopped")])

    text = "\n".join(terminal_lines(comparison, 200))

    assert "[red]c[/red]" in text
    assert "\x1b" not in text


def test_a_report_is_a_folder_with_four_kinds_of_files(tmp_path):
    comparison = comparison_of()

    page = write_report(comparison, tmp_path / "out")

    assert page == tmp_path / "out" / "report.html"
    assert Comparison.load(tmp_path / "out" / "comparison.json") == comparison
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", (tmp_path / "out" / "report.md").read_text())
    assert pictures == ["pictures/cost.png", "pictures/learning_curves.png"]
    for picture in pictures:
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")


def test_the_same_comparison_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_report(comparison_of(), tmp_path / name)

    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 5
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_report_of_a_comparison_read_from_its_file_is_the_same(tmp_path):
    comparison = comparison_of()
    again = Comparison.from_mapping(json.loads(json.dumps(comparison.to_mapping())))

    assert to_html(again) == to_html(comparison)
    assert to_markdown(again) == to_markdown(comparison)


@pytest.mark.parametrize(
    "records",
    [
        [make_record(hits(15, 20))],
        [make_record(hits(20, 20)), make_record(hits(0, 20), Full())],
        [make_record(hits(15, 20), Majority(), seconds=0.0), make_record(hits(15, 20), Shallow(), seconds=0.0)],
        [make_record(hits(9, 20), Features(), seconds=0.0), make_record(hits(15, 20), Majority(), seconds=0.0)],
        [make_record(hits(1, 1)), make_record(hits(0, 1), Full())],
    ],
    ids=["one arm", "perfect and hopeless", "controls in no time", "worse than majority", "one item"],
)
def test_odd_comparisons_are_reported_too(records, tmp_path):
    comparison = compare(records)

    write_report(comparison, tmp_path)

    assert "".join(comparison.verdict.split()) in "".join("".join(terminal_lines(comparison, 400)).split())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="the report cannot be written to"):
        write_report(comparison_of(), tmp_path / "file" / "out")


def test_reporting_loads_no_torch_and_touches_no_global_state_of_matplotlib():
    code = (
        "import sys, hf_transfer_kit.comparison.compare, hf_transfer_kit.reporting.report\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'matplotlib', 'jinja2', 'rich'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"

    to_html(comparison_of())
    assert "matplotlib.pyplot" not in sys.modules
