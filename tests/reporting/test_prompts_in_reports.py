import io
import re

import pytest
from rich.console import Console
from synthetic_records import hits, make_record, make_thousand

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.plan import Features, FewShot, Full, PromptTuning, Prototype, Remote, Shallow, ZeroShot
from hf_transfer_kit.reporting.canvas import COLOURS
from hf_transfer_kit.reporting.curves_picture import curves_picture
from hf_transfer_kit.reporting.pictures import pictures
from hf_transfer_kit.reporting.report import to_html, to_markdown, to_terminal, write_report
from hf_transfer_kit.reporting.tables import tables

EVIL = "<script>alert('x')</script>\n    | **b** `d` \x1b[31m"
DETAILS = {
    "prompt": "built-in",
    "prompt_text": EVIL,
    "demonstrations": 16,
    "calibration": {"used": "batch", "accuracy": {"none": 0.6, "batch": 0.7}},
    "orders": {"worst": 0.5, "best": 0.7},
}


def prompted(sizes=(50, 200, 1000), unreadable=0, details=DETAILS, price=None):
    """Prompts against features and full; they cross between the second and the third size."""
    records = []
    for step, size in enumerate(sizes):
        for seed in range(2):
            few = {"labels": 16, "details": details, "unreadable": unreadable, "thousand": make_thousand(5.0, 90.0)}
            records += [
                make_record(hits(60 + 5 * step, 120), Prototype(), labels=size, train_size=size, seed=seed,
                            thousand=make_thousand(1.0), details={"prompt": "built-in"}),
                make_record(hits(50, 120), FewShot(), train_size=size, seed=seed, **few),
                make_record(hits(40 + 25 * step, 120), Features(), train_size=size, seed=seed, seconds=9.0,
                            thousand=make_thousand(0.5)),
                make_record(hits(30 + 25 * step, 120), PromptTuning(), train_size=size, seed=seed, seconds=90.0),
                make_record(hits(30 + 10 * step, 120), Shallow(), train_size=size, seed=seed),
            ]  # fmt: skip
    zero = {"labels": 0, "train_size": 3000, "details": {"prompt": "built-in"}, "thousand": make_thousand(4.0)}
    return compare([*records, make_record(hits(45, 120), ZeroShot(), **zero)], dollars_per_hour=price)


def table(comparison, title):
    """Rows by arm, cells by head."""
    found = next(each for each in tables(comparison) if each.title == title)
    heads = [column.head for column in found.columns]
    return {row[0]: dict(zip(heads, row, strict=True)) for row in found.rows}


def terminal_text(comparison, width=100):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(to_terminal(comparison))
    return console.file.getvalue()


def flat(text):
    return " ".join(re.sub(r"[│\\]", " ", text).split())


def test_the_sentence_on_prompting_stands_in_all_three_outputs():
    comparison = prompted()
    assert comparison.prompting.startswith("Prompting is ahead below about ")

    for text in (to_html(comparison), to_markdown(comparison).replace("\\", ""), terminal_text(comparison)):
        assert flat(comparison.prompting) in flat(text)


def test_the_learning_curves_are_a_table_of_arms_by_training_sizes():
    found = table(prompted(), "Learning curves")

    assert list(found) == [arm.name for arm in prompted().arms]
    assert list(found["features"]) == ["arm", "50", "200", "1000"]
    assert [found["features"][size].split(" ±")[0] for size in ("50", "200", "1000")] == ["0.33", "0.54", "0.75"]
    point = next(curve for curve in prompted().curves if curve.name == "features").points[0]
    assert found["features"]["50"].endswith(f"±{point.accuracy.half_width:.2f}")
    assert {found["zero_shot"][size] for size in ("50", "200", "1000")} == {found["zero_shot"]["50"]}
    assert found["zero_shot"]["50"].startswith("0.38")


def test_a_size_that_an_arm_lacks_is_a_dash():
    records = [make_record(hits(15, 20), Features(), train_size=size) for size in (50, 100)]
    comparison = compare([*records, make_record(hits(10, 20), Full(), train_size=50)])

    assert table(comparison, "Learning curves")["full"]["100"] == "\u2013"


def test_sizes_are_explained_by_a_note_and_not_column_by_column():
    comparison = prompted()

    meanings = to_markdown(comparison).split("## What the columns mean")[1]

    assert "**accuracy**" in meanings
    assert "**200**" not in meanings
    for text in (to_html(comparison), to_markdown(comparison), terminal_text(comparison)):
        assert "An arm that looks at no label is the same everywhere." in flat(text)


def test_the_prompts_table_shows_what_was_tried():
    found = table(prompted(), "Prompts")

    assert found["few_shot"] == {
        "arm": "few_shot", "prompt": "built-in", "demonstrations": "16", "calibration used": "batch",
        "uncalibrated": "0.60", "contextual": "\u2013", "batch": "0.70", "orders": "0.50 to 0.70", "labels": "16",
    }  # fmt: skip
    assert found["prototype"]["labels"] == "1000"
    assert found["zero_shot"]["labels"] == "0"
    assert "Prompts" not in [each.title for each in tables(compare([make_record(hits(15, 20), Full())]))]


def test_unreadable_answers_have_a_column_only_where_there_are_some():
    assert table(prompted(unreadable=3), "Quality")["few_shot"]["unreadable"] == "6 of 240"
    assert table(prompted(unreadable=3), "Quality")["zero_shot"]["unreadable"] == "0 of 120"
    assert "unreadable" not in table(prompted(), "Quality")["few_shot"]


def test_the_cost_of_1000_predictions_is_shown_with_and_without_a_cache():
    found = table(prompted(), "Cost of 1000 predictions")

    assert found["few_shot"] == {
        "arm": "few_shot", "once": "1.0 s", "time": "5.0 s", "time, nothing kept": "1 min 30 s", "compute": "50 GFLOP",
        "compute, nothing kept": "900 GFLOP",
    }  # fmt: skip
    assert found["features"]["time, nothing kept"] == found["features"]["time"] == "500 ms"
    assert "prompt_tuning" not in found  # was not measured
    assert "read again for every prediction" in flat(terminal_text(prompted()))


def test_columns_that_say_nothing_are_left_out_of_the_cost():
    plain = compare([make_record(hits(15, 20), Full(), thousand=make_thousand(2.0))])
    remote = Remote(url="http://127.0.0.1:1/v1")
    chat = make_thousand(2.0, dollars=0.0123, tokens_in=50_000.0, tokens_out=1000.0)
    billed = compare(
        [
            make_record(hits(15, 20), ZeroShot(), thousand=chat, remote=remote, model="hub/chat", train_dollars=0.5),
            make_record(hits(15, 20), Full(), thousand=make_thousand(3600.0)),
        ],
        dollars_per_hour=1.5,
    )

    assert list(table(plain, "Cost of 1000 predictions")["full"]) == ["arm", "once", "time", "compute"]
    rows = table(billed, "Cost of 1000 predictions")
    assert rows["zero_shot · chat"] == {
        "arm": "zero_shot · chat", "once": "1.0 s", "billed once": "$0.50", "time": "2.0 s", "compute": "\u2013",
        "tokens in": "50,000", "tokens out": "1000", "dollars": "$0.012",
    }  # fmt: skip
    assert rows["full · mini"]["dollars"] == "$1.50"
    assert "Dollars count this machine at $1.5 per hour." in to_markdown(billed)


def test_prompts_are_shown_as_text_wherever_they_come_from():
    comparison = prompted()

    page, markdown = to_html(comparison), to_markdown(comparison)

    assert "<script>" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
    block = markdown[markdown.index("## Prompts as text") :].split("## ")[1]
    assert "    <script>alert('x')</script>\n        | **b** `d`  [31m\n" in block  # indented: no mark-up
    assert "\x1b" not in markdown


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_of_prompts_fit_into_narrow_terminals(width):
    text = terminal_text(prompted(unreadable=3, price=1.5), width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


# --- the picture ----------------------------------------------------------------------------------------------------


def lines(axes):
    """Drawn lines by the approach of their colour: their x values."""
    names = {colour: name for name, colour in COLOURS.items()}
    return [(names.get(line.get_color()), list(map(float, line.get_xdata())), line) for line in axes.lines]


def test_curves_stand_at_the_labels_they_used():
    axes = curves_picture(prompted()).axes[0]

    drawn = {name: x for name, x, line in lines(axes) if len(line.get_marker()) and line.get_marker() != "None"}
    assert drawn["features"] == [70, 220, 1020]  # 20 of validation on top
    assert drawn["prototype"] == [50, 200, 1000]
    assert drawn["few_shot"] == [16]
    assert "labels used" in axes.get_xlabel()
    assert axes.get_xscale() == "log"


def test_an_arm_without_labels_is_a_horizontal_band_over_the_whole_picture():
    comparison = prompted()
    axes = curves_picture(comparison).axes[0]

    line = next(line for name, _, line in lines(axes) if name == "zero_shot")
    assert list(line.get_xdata()) == pytest.approx(list(axes.get_xlim()))
    assert set(line.get_ydata()) == {45 / 120}
    assert "An arm without labels is a horizontal line." in pictures(comparison)[-1].caption


def test_a_prompt_that_needs_no_more_labels_goes_on_dotted():
    comparison = prompted()
    axes = curves_picture(comparison).axes[0]

    assert [x for name, x, _ in lines(axes) if name == "few_shot"] == [[16], [16, 1020]]
    assert [x for name, x, _ in lines(axes) if name == "prototype"] == [[50, 200, 1000]]
    assert "Dotted" in pictures(comparison)[-1].caption


def test_the_crossover_is_a_dashed_line_in_its_shaded_interval():
    comparison = prompted()
    found = comparison.crossover
    axes = curves_picture(comparison).axes[0]

    assert [found.labels, found.labels] in [list(line.get_xdata()) for line in axes.lines]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == pytest.approx((found.low, found.high))
    assert any("labels" in text.get_text() for text in axes.texts)
    assert f"Prompting is ahead below about {found.labels:.2g}".split(" about")[0] in pictures(comparison)[-1].caption


def test_without_a_crossover_the_picture_has_none():
    records = [make_record(hits(15, 20), Full(), train_size=size) for size in (50, 100)]
    figure = curves_picture(compare(records))

    assert not figure.axes[0].patches
    assert "ahead" not in pictures(compare(records))[-1].caption


@pytest.mark.parametrize("right", [(100, 20), (20, 100)], ids=["prompting ahead", "training ahead"])
def test_a_side_that_is_always_ahead_is_drawn_too(right, tmp_path):
    records = [make_record(hits(right[0], 120), ZeroShot(), labels=0)]
    records += [make_record(hits(right[1], 120), Full(), train_size=size) for size in (50, 100)]
    comparison = compare(records)

    write_report(comparison, tmp_path)

    assert comparison.crossover.ahead == ("prompting" if right[0] > right[1] else "training")
    assert not curves_picture(comparison).axes[0].patches


def test_every_approach_has_a_colour_of_its_own_in_light_and_dark():
    page = to_html(prompted())

    for approach in ("zero_shot", "few_shot", "prototype", "prompt_tuning"):
        assert len(set(re.findall(rf"--{approach}: (#[0-9a-f]{{6}})", page))) == 2
    assert len(set(COLOURS.values())) == len(COLOURS)
