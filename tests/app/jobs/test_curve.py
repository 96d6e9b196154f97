"""What is kept of a curve: few points, those of an unbroken run, true ones."""

from hypothesis import given
from hypothesis import strategies as st

from hf_transfer_kit.app.jobs.curve import MOST_POINTS, Curve


def drawn(points, curve=None):
    curve = curve or Curve()
    for step, value in points:
        curve.add(step, value)
    return curve


def at(*steps):
    return [(step, 1 / (step + 1)) for step in steps]


steps = st.lists(st.integers(0, 5000), unique=True, min_size=1, max_size=900).map(sorted)


@given(steps)
def test_few_points_are_kept_first_and_last_among_them_and_none_is_made_up(taken):
    points = drawn(at(*taken)).points

    assert len(points) <= MOST_POINTS
    assert set(points) <= set(at(*taken))
    assert [points[0], points[-1]] == at(taken[0], taken[-1])
    assert [step for step, _ in points] == sorted({step for step, _ in points})


@given(steps, st.data())
def test_a_curve_that_went_back_ends_as_one_that_never_did(taken, data):
    until = data.draw(st.integers(0, len(taken) - 1))
    back = data.draw(st.integers(0, until))

    broken = drawn(at(*taken[: until + 1]))
    broken.cut(taken[back])
    drawn(at(*taken[back:]), broken)

    assert broken.points == drawn(at(*taken)).points


@given(steps)
def test_the_points_are_spread_over_the_whole_curve(taken):
    kept = [step for step, _ in drawn(at(*taken)).points]
    widest = max(taken[-1] // 128, 1)  # 5000 steps, never fewer than half of the points that may be kept
    for step in taken if len(taken) > MOST_POINTS else ():
        assert min(abs(step - each) for each in kept) < max(widest, 5000 // 128)


def test_a_short_curve_is_kept_whole():
    assert drawn(at(*range(299))).points == tuple(at(*range(299)))


def test_a_step_that_comes_again_counts_with_its_first_number_until_it_is_the_last():
    assert drawn([(0, 1.0), (5, 2.0), (5, 3.0)]).points == ((0, 1.0), (5, 2.0), (5, 3.0))


def test_all_of_a_curve_can_be_lost():
    curve = drawn(at(3, 4))
    curve.cut(0)
    assert curve.points == ()
