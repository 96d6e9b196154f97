import itertools

import pytest
from synthetic_records import hits, make_old, make_record

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.plan import EwcSettings, Full, Gradual, Lora, Majority, Protection, ReplaySettings
from hf_transfer_kit.records import OldText
from hf_transfer_kit.reporting.forgetting_picture import forgetting_caption, forgetting_picture
from hf_transfer_kit.reporting.pictures import pictures

EWC, REPLAY = Protection(ewc=EwcSettings()), Protection(replay=ReplaySettings())


def comparison_of(models=("hub/mini",)):
    """full and full+ewc close together below; the others close together above."""
    arms = (
        (Full(), Protection(), 30),
        (Full(), EWC, 33),
        (Full(), REPLAY, 85),
        (Gradual(), REPLAY, 86),
        (Lora(), REPLAY, 84),
    )
    records = [
        make_record(
            hits(90 - i, 100), approach, protection=protection, model=model,
            old=make_old(hits(90 - 2 * m, 100), hits(right, 100)),
        )
        for m, model in enumerate(models)
        for i, (approach, protection, right) in enumerate(arms)
    ]  # fmt: skip
    return compare([*records, make_record(hits(40, 100), Majority(), old_path="older.csv")])


def drawn(figure):
    """The extents in pixels of the labels, and the heights in data units of the dashed lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    labels = {label.get_text(): Text.get_window_extent(label, canvas.get_renderer()) for label in axes.texts}
    lines = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--" and len(line.get_ydata()) == 2]
    return axes, labels, lines


def test_every_arm_that_knows_the_old_task_is_a_point_of_its_two_accuracies():
    comparison = comparison_of()

    axes, labels, lines = drawn(forgetting_picture(comparison))

    points = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines if len(line.get_xdata()) == 1
    }
    expected = {(arm.accuracy, arm.old.after.value) for arm in comparison.arms if arm.old}
    assert points >= expected
    assert set(labels) == {"full", "full+ewc", "full+replay", "gradual+replay", "lora+replay", "start"}
    assert lines == pytest.approx([0.9])


def test_labels_of_close_arms_do_not_cover_each_other_and_every_model_has_its_line():
    axes, labels, lines = drawn(forgetting_picture(comparison_of(("hub/mini", "hub/maxi"))))

    assert sorted(lines) == pytest.approx([0.88, 0.9])
    assert {"start · mini", "start · maxi"} <= set(labels)
    for (name, box), (other_name, other) in itertools.combinations(labels.items(), 2):
        width = min(box.x1, other.x1) - max(box.x0, other.x0)
        height = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert width <= 1 or height <= 1, f"{name} covers {other_name}"
    low, high = sorted(axes.get_ylim())
    assert low < 0.3
    assert high > 0.9


def test_labels_stand_clear_of_the_horizontal_intervals():
    axes, labels, _ = drawn(forgetting_picture(comparison_of()))

    comparison = comparison_of()
    for arm in comparison.arms:
        if arm.old is None:
            continue
        height = arm.old.after.value
        ends = [axes.transData.transform((end, height)) for end in (arm.scores.accuracy.low, arm.scores.accuracy.high)]
        for name, box in labels.items():
            beside = box.x1 < ends[0][0] or box.x0 > ends[1][0]
            assert beside or not box.y0 < ends[0][1] < box.y1, f"{name} covers the interval of {arm.name}"


def test_a_lower_perplexity_stands_higher():
    def record(approach, rise):
        texts = OldText(measure="perplexity", digest="9" * 64, before=(1.0,) * 30, after=(1.0 + rise,) * 30)
        return make_record(hits(80, 100), approach, old_text=texts)

    comparison = compare([record(Full(), 1.0), record(Lora(), 0.1)])

    axes, _, _ = drawn(forgetting_picture(comparison))

    top, bottom = axes.get_ylim()[1], axes.get_ylim()[0]
    assert top < bottom
    assert forgetting_caption(comparison).startswith("The perplexity of the old texts, against")


def test_the_picture_is_there_only_with_old_data():
    with_old = [picture.name for picture in pictures(comparison_of())]
    without = [
        picture.name
        for picture in pictures(compare([make_record(hits(9, 10), Full()), make_record(hits(8, 10), Lora())]))
    ]

    assert with_old == ["cost", "forgetting"]
    assert without == ["cost"]
