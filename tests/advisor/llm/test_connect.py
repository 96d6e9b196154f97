"""How the model behind --llm is found, and that waiting for it ends."""

import time

import pytest
from advisor.llm.talking import X_RAYS, tools
from prompting.remote.scripted_server import KEY, Reply, ScriptedServer, completion, reachable

from hf_transfer_kit.advisor.conversation.dialogue import DialogueState
from hf_transfer_kit.advisor.llm.connect import connect, first_model, in_time
from hf_transfer_kit.advisor.llm.talk import Talk
from hf_transfer_kit.errors import RemoteError


@pytest.fixture
def server(monkeypatch):
    reachable(monkeypatch)
    with ScriptedServer(lambda request: completion("Features fit well.")) as running:
        yield running


def model_asked(server, name=None, url=None):
    """The name that the server is asked for."""
    Talk(connect(url or server.url, name=name), tools()).reply(DialogueState(), X_RAYS)
    return server.requests[-1].body["model"]


def test_the_first_model_of_the_list_is_taken(server):
    server.models = Reply(body={"object": "list", "data": [{"id": "org/served"}, {"id": "org/other"}]})
    assert model_asked(server) == "org/served"
    assert model_asked(server, url=server.url + "/") == "org/served"
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_name_that_is_given_is_taken_without_asking(server):
    server.models = Reply(body={"data": [{"id": "org/served"}]}, delay=3.0)
    begin = time.monotonic()
    assert model_asked(server, name="org/mine") == "org/mine"
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=404), Reply(status=500, body="no"), Reply(body="<html>"), Reply(body='{"data": []}'),
        Reply(body='{"data": [{"id": 7}]}'), Reply(body='{"data": "abc"}'), Reply(body="[" * 100_000),
        Reply(body={"data": [{"id": "x" * 10_000}]}), Reply(body={"data": [{"id": "a\x1b[31m"}]}), Reply(body="null"),
    ],
)  # fmt: skip
def test_without_a_list_that_can_be_read_the_name_is_default(server, reply):
    server.models = reply
    assert first_model(server.url, KEY) == "default"


def test_offline_and_without_a_server_the_name_is_default(server, monkeypatch):
    assert first_model("http://127.0.0.1:9/v1", KEY) == "default"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert first_model(server.url, KEY) == "default"


@pytest.mark.parametrize("address", ["not a model", "", "a/b/c", "../../x", "http:/x", "ftp://x", "org/m\x1b[31m"])
def test_what_is_neither_a_url_nor_a_name_is_refused(address):
    with pytest.raises(RemoteError, match="is neither a URL"):
        connect(address)


@pytest.mark.parametrize(
    "address", ["http://[::", "https://[zz]/v1", "http://127.0.0.1:abc/v1", "http://a\x00b/v1", "http://"]
)
def test_what_only_looks_like_a_url_is_refused(monkeypatch, address):
    reachable(monkeypatch)
    with pytest.raises(RemoteError):
        Talk(connect(address, name="m"), tools()).model.say([], [], max_tokens=1, seconds=2)


def test_keys_are_found_as_everywhere_in_the_kit(monkeypatch):
    monkeypatch.delenv("TRANSFER_KIT_API_KEY", raising=False)
    with pytest.raises(RemoteError, match=r"export TRANSFER_KIT_API_KEY"):
        connect("http://127.0.0.1:8000/v1")
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", "mine")
    with pytest.raises(RemoteError, match="clear text"):
        connect("http://example.com/v1")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RemoteError, match="hf auth login"):
        connect("org/model")


def test_a_server_that_sends_bit_by_bit_gets_no_more_time():
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        in_time(lambda: [time.sleep(0.05) for _ in range(100)], seconds=0.2)
    assert time.monotonic() - begin < 2


def test_errors_come_out_of_the_thread():
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 / 0, seconds=5)
