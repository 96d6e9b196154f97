import pytest

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.remote.remote_access import find_key, server_name


def test_the_key_of_a_url_comes_from_its_variable_and_not_from_the_hub(monkeypatch):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", " mine\n")
    monkeypatch.setenv("HF_TOKEN", "hf_other")

    assert find_key(Remote(url="https://example.com/v1")) == "mine"


def test_the_key_of_a_provider_comes_from_the_hub(monkeypatch):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", "mine")
    monkeypatch.setenv("HF_TOKEN", "hf_other")

    assert find_key(Remote(provider="auto")) == "hf_other"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_key_the_variable_is_named(monkeypatch, value):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    monkeypatch.delenv("TRANSFER_KIT_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TRANSFER_KIT_API_KEY", value)

    with pytest.raises(RemoteError, match=r"export TRANSFER_KIT_API_KEY=\.\.\. \(any word for a server"):
        find_key(Remote(url="http://localhost:8000/v1"))


@pytest.mark.parametrize("value", ["m\nine", "schlüssel", "a\tb"])
def test_a_key_that_cannot_be_one_is_not_repeated(monkeypatch, value):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", value)

    with pytest.raises(RemoteError, match="characters that no key has") as raised:
        find_key(Remote(url="http://localhost:8000/v1"))
    assert value not in str(raised.value)


def test_without_a_login_the_command_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)

    with pytest.raises(RemoteError, match="nothing was sent; run: hf auth login"):
        find_key(Remote(provider="together"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8", "localhost:8000", "[::1]:8000", "192.168.0.7", "10.1.2.3:80", "vllm", "gpu.local"]
)
def test_inside_a_private_network_http_will_do(monkeypatch, host):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", "mine")

    assert find_key(Remote(url=f"http://{host}/v1")) == "mine"


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8:8000", "localhost.example.com", "[2606:4700::1111]", ""])
def test_a_key_does_not_go_out_in_clear_text(monkeypatch, host):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", "mine")

    with pytest.raises(RemoteError, match="clear text; use https://"):
        find_key(Remote(url=f"http://{host}/v1"))


def test_a_key_in_the_url_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", "mine")

    with pytest.raises(RemoteError, match="take it out") as raised:
        find_key(Remote(url="https://me:hidden@example.com/v1"))
    assert "hidden" not in str(raised.value)
    assert server_name(Remote(url="https://me:hidden@example.com/v1?key=hidden")) == "https://example.com/v1"
