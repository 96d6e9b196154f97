import itertools

import pytest
from synthetic_records import hits, make_record, make_thousand

from hf_transfer_kit.comparison.compare import compare
from hf_transfer_kit.plan import Features, Full, Lora, Majority, Scratch, Shallow, TopLayers
from hf_transfer_kit.reporting.cost_picture import THOUSAND, cost_caption, cost_picture, pareto_front
from hf_transfer_kit.reporting.pictures import pictures


def text_boxes(figure):
    """The extents in pixels of the arms' labels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return {label.get_text(): Text.get_window_extent(label, canvas.get_renderer()) for label in figure.axes[0].texts}


def test_the_pareto_front_is_what_no_other_arm_matches_in_less_time():
    comparison = compare(
        [
            make_record(hits(50, 100), Majority(), seconds=0.001),
            make_record(hits(80, 100), Features(), seconds=2),
            make_record(hits(79, 100), TopLayers(), seconds=5),
            make_record(hits(90, 100), Full(), seconds=50),
            make_record(hits(90, 100), Lora(), seconds=40),
            make_record(hits(40, 100), Scratch(), seconds=60),
        ]
    )

    front = pareto_front(comparison.arms)

    assert [arm.name for arm in front] == ["majority class", "features", "lora"]
    for arm, other in itertools.product(comparison.arms, comparison.arms):  # by definition
        dominated = (
            other.accuracy >= arm.accuracy and other.cost.train_seconds <= arm.cost.train_seconds and other is not arm
        )
        assert not (dominated and arm in front)


def test_labels_of_close_arms_do_not_cover_each_other():
    approaches = (Features(), TopLayers(), Full(), Lora(), Scratch())
    records = [
        make_record(hits(850 + 4 * i, 1000), approach, model=f"hub/model_{m}", seconds=10 * (1.2**i) * (1 + m / 10))
        for m in range(2)
        for i, approach in enumerate(approaches)
    ]

    boxes = text_boxes(cost_picture(compare(records)))

    assert len(boxes) == 10
    for (name, box), (other_name, other) in itertools.combinations(boxes.items(), 2):
        width = min(box.x1, other.x1) - max(box.x0, other.x0)
        height = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert width <= 1 or height <= 1, f"{name} covers {other_name}"


def test_arms_far_below_stand_at_the_edge_with_their_value_and_pretrained_ones_never_do():
    comparison = compare(
        [
            make_record(hits(900, 1000), Full(), seconds=50),
            make_record(hits(500, 1000), Features(), seconds=2),
            make_record(hits(600, 1000), Shallow(), seconds=1),
            make_record(hits(20, 1000), Majority(), seconds=0.001),
        ]
    )

    labels = text_boxes(cost_picture(comparison))

    assert set(labels) == {"full", "features", "TF-IDF", "majority class 0.020"}
    assert "Triangles at the lower edge" in pictures(comparison)[0].caption


@pytest.mark.parametrize(
    ("arms", "sizes", "names"), [(1, 1, []), (2, 1, ["cost"]), (2, 2, ["cost", "learning_curves"])]
)
def test_only_pictures_that_say_something_are_drawn(arms, sizes, names):
    records = [
        make_record(hits(15, 20), approach, train_size=size)
        for approach in (Features(), Full())[:arms]
        for size in (50, 100)[:sizes]
    ]

    assert [picture.name for picture in pictures(compare(records))] == names


def test_what_predictions_cost_has_a_front_of_its_own():
    records = [
        make_record(hits(80, 100), Features(), seconds=2, thousand=make_thousand(9.0)),
        make_record(hits(85, 100), TopLayers(), seconds=20, thousand=make_thousand(3.0)),
        make_record(hits(90, 100), Full(), seconds=50, thousand=make_thousand(4.0)),
        make_record(hits(95, 100), Lora(), seconds=60),  # nobody measured its predictions
    ]
    comparison = compare(records)

    assert [arm.name for arm in pareto_front(THOUSAND.known(comparison.arms), THOUSAND)] == ["top_layers", "full"]
    assert "the time of 1000 predictions" in cost_caption(comparison, THOUSAND)
    assert set(text_boxes(cost_picture(comparison, THOUSAND))) == {"features", "top_layers", "full"}
    assert [picture.name for picture in pictures(comparison)] == ["cost", "predictions"]
