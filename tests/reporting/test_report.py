import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from rich.console import Console
from synthetic_records import hits, make_old, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.comparison.result import Comparison, Failure
from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.findings import CheckReport, Finding
from hf_transfer_kit.plan import (
    EwcSettings,
    Features,
    Full,
    Lora,
    Majority,
    Protection,
    ReplaySettings,
    Scratch,
    Shallow,
    TopLayers,
)
from hf_transfer_kit.records import OldText
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


def with_old_task(path="older.csv", label="yes"):
    """full forgets, full+replay does not, a control knows nothing of it."""
    protections = (Protection(), Protection(ewc=EwcSettings()), Protection(replay=ReplaySettings()))
    records = [
        make_record(
            hits(90 - i, 120), Full(), protection=protection, seed=seed, seconds=10.0, label_names=("no", label),
            old=make_old(hits(110, 120), hits(right + seed, 120)), old_path=path,
        )
        for i, (protection, right) in enumerate(zip(protections, (30, 36, 100), strict=True))
        for seed in range(2)
    ]  # fmt: skip
    control = make_record(hits(60, 120), Shallow(), label_names=("no", label), old_path=path)
    return compare([*records, control], command="transfer-kit compare --old-data older.csv")


def with_old_texts(measure):
    texts = OldText(measure=measure, digest="9" * 64, before=(1.0,) * 40, after=(1.0,) * 30 + (0.0,) * 10)
    return compare([make_record(hits(90, 120), each, old_text=texts) for each in (Full(), Lora())])


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
    assert len([name for name in ids if name.startswith("table-")]) == 4
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

    assert len(blocks) == 4  # quality, quality without leaked rows, learning curves, cost
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


# --- old data -------------------------------------------------------------------------------------------------------


def test_the_old_task_has_a_table_of_its_own_with_the_best_mean_first():
    comparison = with_old_task()

    text = to_markdown(comparison)
    table = text[text.index("## Old task") :].split("\n\n")[1].splitlines()

    assert [cell.strip() for cell in table[0].split("|")[1:-1]] == [
        "arm", "old before", "old after", "95% interval", "among old", "forgotten", "new", "mean", "behind best mean",
    ]  # fmt: skip
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table[2:]]
    assert [row[0] for row in rows] == ["full+replay", "full+ewc", "full"]
    # before 110 of 120; after 100 and 101 of 120; new 88 of 120
    assert rows[0][1:3] == ["0.92", "0.84"]
    assert rows[0][5].startswith("7.9 (")
    assert rows[0][6:8] == ["0.73", "0.79"]
    assert rows[0][8] == "\u2013"


def test_page_markdown_and_terminal_say_what_is_forgotten_and_of_which_data():
    comparison = with_old_task()
    assert comparison.forgetting

    page, lines = Page(to_html(comparison)), " ".join(" ".join(terminal_lines(comparison, 100)).split())

    for text in (page.text, to_markdown(comparison).replace("\\", ""), lines.replace("│ ", "").replace(" │", "")):
        assert comparison.forgetting in text
        assert "Old task" in text
    assert "older.csv, 120 test items, labels 2: no, yes" in page.text
    assert "train 111111111111" in page.text
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 2


def test_text_of_the_old_data_is_shown_as_text_in_the_page():
    page = Page(to_html(with_old_task(path=EVIL, label=EVIL)))

    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert('x')</script>") >= 3  # labels, old data, its labels


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_old_task_fits_into_narrow_terminals(width):
    lines = terminal_lines(with_old_task(), width)

    assert max(map(len, lines)) <= width
    assert "behind best mean" in "\n".join(lines)


@pytest.mark.parametrize(("measure", "cells"), [("perplexity", ["2.72", "2.12"]), ("probe", ["1.000", "0.750"])])
def test_old_texts_have_a_table_and_a_picture_too(tmp_path, measure, cells):
    comparison = with_old_texts(measure)

    write_report(comparison, tmp_path)

    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    row = text[text.index("## Old texts") :].split("\n\n")[1].splitlines()[2]
    assert [cell.strip(" *") for cell in row.split("|")[2:4]] == cells  # e^1, e^0.75; 40 and 30 of 40
    assert (tmp_path / "pictures" / "forgetting.png").exists()


def test_without_old_data_the_report_has_nothing_of_it():
    comparison = comparison_of()

    for text in (to_html(comparison), to_markdown(comparison), "\n".join(terminal_lines(comparison, 200))):
        assert not re.search(r"\bold\b|forg[eo]t", text, flags=re.IGNORECASE)
