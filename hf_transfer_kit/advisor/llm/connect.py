"""The language model that talks: a model of the Hub through its inference providers, or one behind a URL."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from hf_transfer_kit.advisor.llm.names import HUB_ID
from hf_transfer_kit.errors import RemoteError

if TYPE_CHECKING:
    from hf_transfer_kit.prompting.remote.remote_client import ChatClient

Result = TypeVar("Result")
TIMEOUT = 60.0  # seconds without a sign of the server
FIND_NAME = 10.0  # seconds for the list of models
UNNAMED = "default"  # what servers of one model take
MOST_CALLS = 8  # tools asked for at once; more are not looked at
BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that a model asks for, as it came: `arguments` are JSON text, or what the server makes of it."""

    name: str
    arguments: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of a model.

    Fields:
        text: empty where there is none.
        calls: tools it asks for; then the text is not yet the answer.
        finish_reason: as the server says; "refusal" where the model refused.
        tokens: of question and answer, as the server counts; None where it does not.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    tokens: int | None = None


class ChatModel(Protocol):
    """A model that can be talked to."""

    def say(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], *, max_tokens: int,
        seconds: float,
    ) -> Said:  # fmt: skip
        """The next answer, within `seconds`.

        Raises:
            Unanswered, BadRequest, PromptError, RemoteError: as `ChatClient.complete`.
        """
        ...


class RemoteChatModel:
    """A `ChatModel` that answers elsewhere."""

    def __init__(self, client: "ChatClient") -> None:
        self._client = client

    def say(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], *, max_tokens: int,
        seconds: float,
    ) -> Said:  # fmt: skip
        """As `ChatModel.say`; a server that sends its answer bit by bit does not get more time."""
        from hf_transfer_kit.prompting.remote.remote_client import Unanswered

        settings: dict[str, Any] = {"tools": list(tools), "tool_choice": "auto"} if tools else {}
        try:
            return in_time(
                lambda: self._client.complete(messages, said_in, max_tokens=max_tokens, **settings), seconds
            )
        except TimeoutError:
            raise Unanswered(f"no answer within {seconds:.0f} s", may_be_billed=True) from None


def connect(model_or_url: str, *, name: str | None = None) -> RemoteChatModel:
    """The model behind `--llm`.

    Args:
        model_or_url: the URL of an OpenAI-compatible server (its key in TRANSFER_KIT_API_KEY), or the name of a model
            on the Hub, which answers through an inference provider (the key of `hf auth login` or HF_TOKEN).
        name: of the model behind a URL; None for the first one the server lists, or "default" where it lists none.

    Raises:
        RemoteError: there is no key, or no such address or name. Nothing but the list of models was asked for.

    Example:
        >>> connect("not a model")
        Traceback (most recent call last):
        hf_transfer_kit.errors.RemoteError: 'not a model' is neither a URL (http://...) nor a model's name on the Hub.
    """
    from hf_transfer_kit.plan import ModelSpec
    from hf_transfer_kit.plan.specs import Remote
    from hf_transfer_kit.prompting.remote.remote_access import find_key
    from hf_transfer_kit.prompting.remote.remote_client import ChatClient

    address = model_or_url.strip()
    if not address.startswith(("http://", "https://")):
        if not HUB_ID.fullmatch(address):
            raise RemoteError(f"'{address[:80]}' is neither a URL (http://...) nor a model's name on the Hub.")
        return RemoteChatModel(ChatClient(ModelSpec(name=address), Remote(provider="auto", timeout=TIMEOUT)))
    try:
        if not address.isprintable():
            raise ValueError
        remote = Remote(url=address.rstrip("/"), timeout=TIMEOUT)
        _ = urlsplit(address).port
        key = find_key(remote)
        model = ModelSpec(name=name or first_model(remote.url or "", key))
        return RemoteChatModel(ChatClient(model, remote))
    except ValueError:  # of urllib and httpx, for what is no URL
        raise RemoteError(f"'{address[:80]}' is no URL; give the address of an OpenAI-compatible server.") from None


def first_model(url: str, key: str) -> str:
    """The first model that the server lists at /models; "default" where it lists none that can be read."""
    from huggingface_hub import get_session
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    def listed() -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        answer = get_session().get(f"{url}/models", headers=headers, timeout=FIND_NAME)
        return answer.json()["data"][0]["id"]

    try:
        name = in_time(listed, FIND_NAME)
    except (
        HTTPError,
        OfflineModeIsEnabled,
        TimeoutError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        RecursionError,
    ):
        return UNNAMED
    usable = isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()
    return name if usable else UNNAMED


def in_time(work: Callable[[], Result], seconds: float) -> Result:
    """What `work` returns or raises; TimeoutError after `seconds`, while it goes on in a thread that nobody waits for.

    Example:
        >>> in_time(lambda: 1 + 1, seconds=5)
        2
    """
    done: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001  # raised below
            done.put((None, error))

    threading.Thread(target=run, name="language-model", daemon=True).start()
    try:
        result, error = done.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def said_in(completion: Any) -> Said:
    """The answer in a chat completion; AttributeError, TypeError or IndexError where it is none."""
    from hf_transfer_kit.prompting.remote.remote_client import answer_of

    answer = answer_of(completion)
    asked = completion.choices[0].message.tool_calls or ()
    calls = [each.function for each in list(asked)[:MOST_CALLS]]
    return Said(
        text=answer.text, finish_reason=answer.finish_reason,
        calls=tuple(
            ToolCall(name=each.name if isinstance(each.name, str) else "", arguments=each.arguments) for each in calls
        ),
        tokens=None if answer.tokens is None else answer.tokens.prompt + answer.tokens.answer,
    )  # fmt: skip
