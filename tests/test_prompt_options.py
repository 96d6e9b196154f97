import sys
from pathlib import Path

import pytest

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.plan import FewShot, ModelSpec, Remote, ZeroShot
from hf_transfer_kit.prompt_options import PromptOptions, remote_model


def test_shots_become_approaches_with_the_settings_beside_them():
    options = PromptOptions(prompt=Path("mine.yaml"), search=True, orders=3, calibration="none", choose="nearest")
    settings = {"prompt": "mine.yaml", "search": True, "calibration": "none"}

    assert options.with_shots("0, 4,16") == (
        ZeroShot(**settings),
        FewShot(shots=4, orders=3, choose="nearest", **settings),
        FewShot(shots=16, orders=3, choose="nearest", **settings),
    )
    assert options.approaches()["prototype"].prompt == "mine.yaml"


@pytest.mark.parametrize(("shots", "message"), [("", "names no number"), ("4,x", "'x' is no number"), ("-1", "'-1'")])
def test_shots_that_are_no_numbers_are_refused(shots, message):
    with pytest.raises(PlanError, match=message):
        PromptOptions().with_shots(shots)


def test_a_model_answers_here_unless_a_place_is_named():
    assert remote_model("org/model", None, None, None, None) == ModelSpec(name="org/model")
    with pytest.raises(PlanError, match="--price 1 belongs to a model elsewhere"):
        remote_model("org/model", None, None, "1", None)


def test_a_server_on_this_machine_costs_nothing_unless_a_price_is_named():
    url = "http://127.0.0.1:8000/v1"

    assert remote_model("m", url, None, None, None).remote == Remote(url=url)
    priced = remote_model("m", url, None, "0.15,0.60", 2.0).remote
    assert (priced.price_in, priced.price_out, priced.max_dollars) == (0.15, 0.60, 2.0)
    assert remote_model("m", url, None, "1", 2.0).remote.price_out == 1.0


@pytest.mark.parametrize(
    ("url", "provider", "price", "cap", "message"),
    [
        ("https://api.example.org/v1", None, None, None, "the price of this model's answers is not known"),
        (None, "auto", None, None, "the price of this model's answers is not known"),
        (None, "auto", "cheap", None, "--price 'cheap' is not one or two numbers"),
        (None, "auto", "1,2,3", None, "is not one or two numbers"),
        (None, "auto", "1,2", None, "say how much at most: --max-dollars 1"),
        ("http://a/v1", "auto", "0", None, "either a url or a provider"),
    ],
)
def test_nothing_is_asked_before_price_and_cap_are_known(url, provider, price, cap, message, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(PlanError, match=message):
        remote_model("m", url, provider, price, cap)


def test_a_terminal_is_asked_for_the_cap(monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda text, type: type("1.5"))

    assert remote_model("m", None, "auto", "1,2", None).remote.max_dollars == 1.5
