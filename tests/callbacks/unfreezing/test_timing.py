import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_transfer_kit.callbacks.unfreezing.schedule import Phase, Schedule
from hf_transfer_kit.callbacks.unfreezing.timing import Pace, Plateau, first_steps
from hf_transfer_kit.errors import PlanError

paces = st.builds(Pace, batches=st.integers(1, 50), accumulation=st.integers(1, 7))


def schedule_of(*epochs):
    phases = [Phase(opens=(f"block {i}",), epochs=length) for i, length in enumerate(epochs)]
    return Schedule(phases=(*phases, Phase(opens=("stem",))))


@given(paces, st.integers(0, 300))
def test_the_epoch_is_counted_as_the_trainer_counts_it(pace, steps):
    epoch = done = 0
    for _ in range(steps):  # transformers 5.23: state.epoch = epoch + (step + 1) / steps_in_epoch
        done = min(done + pace.accumulation, pace.batches)
        reached = epoch + done / pace.batches
        if done == pace.batches:
            epoch, done = epoch + 1, 0

    assert pace.epoch_at(steps) == (reached if steps else 0)


@given(paces, st.integers(0, 200))
def test_an_epoch_that_a_step_ends_is_reached_with_that_step(pace, step):
    assert pace.step_at(pace.epoch_at(step)) == step


@given(paces, st.fractions(0, 20, max_denominator=40))
def test_a_phase_begins_with_the_first_step_that_reaches_its_epoch(pace, epoch):
    exact = lambda step: step // pace.steps + min(step % pace.steps * pace.accumulation, pace.batches) / pace.batches  # noqa: E731
    by_search = next(step for step in range(2000) if exact(step) >= epoch - 1e-9)

    assert pace.step_at(float(epoch)) == by_search


@given(st.integers(1, 12), st.integers(1, 10), st.integers(1, 40))
def test_equal_phases_are_multiples_of_their_length(phases, tenths, batches):
    pace = Pace(batches=batches, accumulation=1)
    starts = first_steps(schedule_of(*[tenths / 10] * phases), pace)

    assert starts == [math.ceil(i * tenths * batches / 10) for i in range(phases + 1)]  # whole numbers: no rounding


def test_three_tenths_of_an_epoch_are_three_phases_of_a_tenth():
    assert 0.1 + 0.1 + 0.1 > 0.3
    assert first_steps(schedule_of(0.1, 0.1, 0.1), Pace(batches=10, accumulation=1)) == [0, 1, 2, 3]


def test_the_last_step_of_an_epoch_may_be_short():
    pace = Pace(batches=5, accumulation=2)  # three steps: 2, 2 and 1 batches

    assert [pace.epoch_at(step) for step in range(7)] == [0, 0.4, 0.8, 1, 1.4, 1.8, 2]
    assert first_steps(schedule_of(0.5, 0.5, 0.9), pace) == [0, 2, 3, 6]


def test_data_without_a_length_are_one_epoch_of_all_steps():
    class Args:
        gradient_accumulation_steps = 2

    class State:
        max_steps = 10

    pace = Pace.of(iter([]), Args, State)

    assert pace.epoch_at(10) == 1
    assert first_steps(schedule_of(0.1, 0.2), pace) == [0, 1, 3]


def log(metric="eval_loss", **values):
    """An entry for each step: log(s4=0.5) after step 4."""
    return [{metric: value, "step": int(step[1:])} for step, value in values.items()]


def starts_by(plateau, schedule, entries, pace=Pace(batches=4, accumulation=1)):  # noqa: B008
    return first_steps(schedule, pace, plateau, plateau.scores(entries))


def test_a_phase_ends_at_the_evaluation_that_exhausts_the_patience():
    losses = log(s2=1.0, s4=0.9, s6=0.9, s8=0.95, s10=0.8, s12=0.85)

    assert starts_by(Plateau(), schedule_of(None, None), losses) == [0, 6, 12]  # 8 is the new mark, 10 beats it
    assert starts_by(Plateau(patience=2), schedule_of(None, None), losses) == [0, 8]


def test_what_is_not_known_yet_does_not_change_what_was():
    losses = log(s2=1.0, s4=1.1, s6=1.2, s8=0.7, s10=0.6, s12=0.9)
    whole = starts_by(Plateau(), schedule_of(None, None, None), losses)

    for seen in range(len(losses)):
        so_far = starts_by(Plateau(), schedule_of(None, None, None), losses[: seen + 1])
        assert so_far == [start for start in whole if start <= losses[seen]["step"]]


def test_an_accuracy_is_to_grow_and_a_loss_to_fall():
    rising = log("eval_accuracy", s2=0.1, s4=0.2, s6=0.3)

    assert starts_by(Plateau(metric="eval_accuracy"), schedule_of(None), rising) == [0]
    assert starts_by(Plateau(metric="eval_accuracy", greater_is_better=False), schedule_of(None), rising) == [0, 4]
    assert starts_by(Plateau(), schedule_of(None), log(s2=0.1, s4=0.2)) == [0, 4]


def test_a_small_change_is_no_improvement():
    assert starts_by(Plateau(min_delta=0.1), schedule_of(None), log(s2=1.0, s4=0.95)) == [0, 4]


def test_a_loss_that_is_no_number_is_no_improvement():
    nan = math.nan

    assert starts_by(Plateau(), schedule_of(None), log(s2=1.0, s4=nan)) == [0, 4]
    assert starts_by(Plateau(), schedule_of(None), log(s2=nan, s4=0.5, s6=0.4, s8=0.6)) == [0, 8]


def test_a_phase_without_a_stall_ends_at_its_limit():
    assert starts_by(Plateau(), schedule_of(2.0, None), log(s4=1.0, s8=0.9, s12=0.8, s16=0.8)) == [0, 8, 16]


def test_the_limit_after_a_stall_counts_from_the_stall():
    assert starts_by(Plateau(), schedule_of(2.0, 1.0), log(s2=1.0, s4=1.0)) == [0, 4, 8]


def test_a_metric_that_no_evaluation_logs_is_named():
    with pytest.raises(PlanError, match=r"'eval_los'; did you mean 'eval_loss'\?"):
        Plateau(metric="eval_los").scores(log(s2=1.0))


@pytest.mark.parametrize("wrong", [{"patience": 0}, {"min_delta": -1}, {"min_delta": math.nan}, {"most_epochs": 0}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(PlanError, match=f"{next(iter(wrong))}="):
        Plateau(**wrong)
