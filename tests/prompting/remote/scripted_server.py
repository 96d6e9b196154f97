"""An OpenAI-compatible chat server on this machine that answers, and fails, as a test says.

    with ScriptedServer(answering(lambda text: "refund" if "money" in text else "lost card")) as server:
        server.script = [error(429, headers={"Retry-After": "0"})]  # the first reply; then as above
        remote = Remote(url=server.url)
        ...
    assert len(server.requests) == 2

`reachable` lets huggingface_hub talk to it (the tests run offline) and sets a key.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "secret-word-of-the-tests"


@dataclass(frozen=True)
class Reply:
    """What the server sends; `delay` seconds late; nothing at all where it drops the connection."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drops: bool = False


@dataclass(frozen=True)
class Request:
    """What the server was sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """The user's message."""
        return self.body["messages"][-1]["content"]


def completion(text, *, finish_reason="stop", usage=(10, 3), cached=0, top=None, refusal=None, delay=0.0) -> Reply:
    """A chat completion; `usage` in prompt and answer tokens or None, `top` log-probabilities of first tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    if refusal is not None:
        choice["message"] = {"role": "assistant", "content": None, "refusal": refusal}
    if top is not None:
        listed = [{"token": token, "logprob": value} for token, value in top.items()]
        choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "any", "choices": [choice]}
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        body["usage"] |= {"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}
    return Reply(body=body, delay=delay)


def error(status, message="no", *, headers=None) -> Reply:
    """An error as OpenAI-compatible servers send it."""
    return Reply(status, {"error": {"message": message, "type": "error"}}, headers or {})


def answering(choose: Callable[[str], str], **settings: Any) -> Callable[[Request], Reply]:
    """Answers with the label whose words `choose` gives for the user's message, in the form that was asked for."""

    def answer(request: Request) -> Reply:
        words = choose(request.text)
        if "response_format" in request.body:
            return completion(json.dumps({"label": words}), **settings)
        key = re.search(rf"(\w+)\) {re.escape(words)}", request.text)
        return completion(key[1] if key else words, **settings)

    return answer


class ScriptedServer:
    """Replies with `script`, one after the other, then with `otherwise`.

    Attributes:
        url: for `Remote`.
        requests: what it was sent, in the order of arrival.
        script: replies, or functions of the request, still to be sent; may be changed at any time.
        models: what GET /models is answered with; nothing of it is among `requests`.
    """

    def __init__(self, otherwise: Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        self.script: list[Reply | Callable[[Request], Reply]] = []
        self.otherwise = otherwise
        self.models = Reply(status=404)
        self._lock, self._closing = threading.Lock(), threading.Event()

    def __enter__(self) -> "ScriptedServer":
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                owner._serve(self)

            def do_GET(self) -> None:
                owner._list_models(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads, self._http.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.path, headers, body)
        with self._lock:
            self.requests.append(request)
            reply = self.script.pop(0) if self.script else self.otherwise
        reply = reply if isinstance(reply, Reply) else reply(request)
        self._closing.wait(reply.delay)
        if reply.drops:
            handler.close_connection = True
            return
        self._send(handler, reply)

    def _list_models(self, handler: BaseHTTPRequestHandler) -> None:
        self._closing.wait(self.models.delay)
        known = handler.path.endswith("/v1/models")
        self._send(handler, self.models if known else Reply(status=404))

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        try:
            handler.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content))}.items():
                handler.send_header(name, value)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            pass  # the client has gone


def reachable(monkeypatch: pytest.MonkeyPatch, key: str | None = KEY) -> None:
    """Lets huggingface_hub reach servers on this machine, with `key` or without one."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if key is None:
        monkeypatch.delenv("TRANSFER_KIT_API_KEY", raising=False)
    else:
        monkeypatch.setenv("TRANSFER_KIT_API_KEY", key)
