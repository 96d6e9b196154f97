"""Listings of the models on the Hub, bounded in time and size. What comes back is data from strangers.

`HfApi.list_models` waits without end for an answer and repeats a failed question five times (huggingface_hub 2.4), so
the same address is asked here once, through the same session (proxy, offline mode, token).
"""

import json
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.errors import RemoteError

MOST_BYTES = 8 * 2**20  # of an answer; fifty models are some 100 kB
LISTED = 50  # models an answer holds
EXPANDED = ("config", "disabled", "downloads", "gated", "pipeline_tag", "private", "safetensors", "tags")
THREAD = "hub listing"
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which models to list, the most downloaded first.

    Fields:
        pipeline_tag: their task, in the Hub's words.
        tags: that each of them has.
        search: what their id contains.
    """

    pipeline_tag: str
    tags: tuple[str, ...] = ()
    search: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the address."""
        words = {"search": self.search} if self.search else {}
        return words | {
            "pipeline_tag": self.pipeline_tag, "filter": list(self.tags), "sort": "downloads", "limit": LISTED,
            "expand": list(EXPANDED),
        }  # fmt: skip


def listings(
    questions: Sequence[Question], *, until: float, token: str | bool | None, endpoint: str | None
) -> list[tuple[Question, Item]]:
    """The models of all answers, each with its question; the questions are asked at once.

    Args:
        until: on the clock `time.monotonic`; no answer is waited for any longer.
        token: as of `HfApi`; endpoint: None: the Hub, or HF_ENDPOINT.

    Raises:
        RemoteError: offline, no network, too late, refused, or what came is no list.
    """
    answers: queue.Queue[list[tuple[Question, Item]] | RemoteError] = queue.Queue()

    def ask(question: Question) -> None:
        try:
            answers.put([(question, item) for item in _answer(question, until, token, endpoint)])
        except RemoteError as error:
            answers.put(error)

    for question in questions:  # in threads that nothing waits for: looking up a name cannot be interrupted
        threading.Thread(target=ask, args=(question,), name=THREAD, daemon=True).start()
    found: list[tuple[Question, Item]] = []
    for _ in questions:
        try:
            answer = answers.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            raise RemoteError("the Hub did not answer in time; its models are not searched.") from None
        if isinstance(answer, RemoteError):
            raise answer
        found += answer
    return found


def _answer(question: Question, until: float, token: str | bool | None, endpoint: str | None) -> list[Item]:
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, get_session

    from hf_transfer_kit.model_errors import http_errors

    address = f"{endpoint or constants.ENDPOINT}/api/models"
    if not address.isprintable():
        raise RemoteError("HF_ENDPOINT holds characters that no address has; set it again.")
    try:
        with get_session().stream(
            "GET", address, params=question.parameters, headers=build_hf_headers(token=token),
            timeout=max(until - time.monotonic(), 0.001),
        ) as response:  # fmt: skip
            if response.status_code != 200:
                raise _refusal(response.status_code)
            return _items(_body(response.iter_bytes(), until))
    except OfflineModeIsEnabled:
        raise RemoteError("HF_HUB_OFFLINE is set, so the Hub is not searched for models; unset it.") from None
    except (http_errors(), OSError, ValueError) as error:
        if isinstance(error, RemoteError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise RemoteError(f"the Hub cannot be searched for models ({reason}); check the network.") from None


def _refusal(status: int) -> RemoteError:
    if status in (401, 403):
        return RemoteError(f"the Hub refuses the token (status {status}); log in again with: hf auth login")
    if status == 429:
        return RemoteError("the Hub has been asked too often (status 429); wait some minutes.")
    return RemoteError(f"the Hub cannot be searched now (status {status}); try later.")


def _body(chunks: Any, until: float) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MOST_BYTES:
            raise RemoteError(f"the Hub's answer is longer than {MOST_BYTES:,} bytes; it is not read.")
        if time.monotonic() > until:  # a time-out of the session is for each chunk
            raise RemoteError("the Hub did not answer in time; its models are not searched.")
    return bytes(body)


def _items(body: bytes) -> list[Item]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, list):
        raise RemoteError("what the Hub sent is no list of models; it is not read.")
    return [item for item in answer[:LISTED] if isinstance(item, dict)]
