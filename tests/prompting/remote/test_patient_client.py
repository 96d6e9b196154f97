import threading

import pytest
from prompting.remote.fake_clock import FakeClock

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.remote.chat import Answer, ChatRequest, TokenCount
from hf_transfer_kit.prompting.remote.patient_client import PatientClient
from hf_transfer_kit.prompting.remote.remote_client import Unanswered
from hf_transfer_kit.prompting.remote.spending import Spending
from hf_transfer_kit.prompting.scores import Usage

REMOTE = Remote(url="http://127.0.0.1/v1", requests_per_minute=1e6, price_in=1.0, max_dollars=1.0)
QUESTION = ChatRequest(user="hello", max_tokens=4)
ANSWER = Answer(text="yes", finish_reason="stop", tokens=TokenCount(prompt=30, cached=10, answer=2))


class Model:
    """Gives the outcomes one after the other."""

    server = "the server"

    def __init__(self, *outcomes):
        self.outcomes, self.asked = list(outcomes), 0

    def ask(self, request):
        self.asked += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def patient(model, clock=None):
    return PatientClient(model, REMOTE, spending=Spending(REMOTE), clock=clock or FakeClock())


def test_usage_is_taken_once():
    client = patient(Model(Unanswered("busy"), ANSWER))
    client.ask(QUESTION, threading.Event())

    assert client.take_usage() == Usage(tokens_in=20, tokens_cached=10, tokens_out=2, requests=2, dollars=30e-6)
    assert client.take_usage() == Usage()


def test_after_a_stop_nothing_is_sent():
    model, stop = Model(ANSWER), threading.Event()
    stop.set()

    with pytest.raises(RemoteError, match="stopped"):
        patient(model).ask(QUESTION, stop)
    assert model.asked == 0


def test_a_stop_ends_the_attempts():
    stop = threading.Event()

    class Stopping(Model):
        def ask(self, request):
            stop.set()
            return super().ask(request)

    model = Stopping(Unanswered("busy"), ANSWER)
    with pytest.raises(RemoteError, match="stopped"):
        patient(model).ask(QUESTION, stop)
    assert model.asked == 1


def test_patience_ends_after_minutes_even_with_attempts_left():
    clock = FakeClock()
    model = Model(*[Unanswered("busy", retry_after=140.0)] * 6)

    with pytest.raises(RemoteError, match="after 3 attempts: busy and asks to wait 140 s"):
        patient(model, clock).ask(QUESTION, threading.Event())
    assert clock.now() <= 300


def test_an_attempt_that_fails_for_good_gives_its_dollars_back():
    spending = Spending(REMOTE)
    client = PatientClient(Model(RemoteError("no")), REMOTE, spending=spending, clock=FakeClock())

    with pytest.raises(RemoteError):
        client.ask(QUESTION, threading.Event())

    assert spending.dollars == 0
    assert spending.reserve(TokenCount(prompt=10**6, answer=0)) == 1.0
