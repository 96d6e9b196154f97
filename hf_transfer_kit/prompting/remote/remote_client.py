"""One question to a remote chat model through huggingface_hub's InferenceClient; its errors in the kit's words."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from hf_transfer_kit.errors import PromptError, RemoteError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.remote.chat import SEED, TEMPERATURE, Answer, ChatRequest, TokenCount, TokenScore
from hf_transfer_kit.prompting.remote.remote_access import KEY_VARIABLE, find_key, server_name

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

Read = TypeVar("Read")
TEMPORARY = (408, 409, 425, 429, 500, 502, 503, 504, 529)  # statuses after which the same question may be answered
SECRET_LENGTH = 8  # keys of servers that have keys are longer
TOO_LONG = (
    "context length", "context_length", "context window", "maximum context", "max_model_len", "too many tokens",
    "too long", "max_new_tokens` must be <=",
)  # fmt: skip  # in the error texts of OpenAI, vLLM, llama.cpp, Text Generation Inference


class Unanswered(Exception):
    """No answer this time; asking again may help.

    Attributes:
        retry_after: seconds the server asks to wait, or None.
        may_be_billed: True where the server may have answered without our seeing it.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, may_be_billed: bool = False) -> None:
        super().__init__(reason)
        self.retry_after, self.may_be_billed = retry_after, may_be_billed


class BadRequest(Exception):
    """The server does not take a request of this form; the text is the server's."""


class ChatClient:
    """A remote model that can be asked; for any number of threads.

    Raises (constructor):
        RemoteError: as `find_key`.
    """

    def __init__(self, model: ModelSpec, remote: Remote) -> None:
        from huggingface_hub import InferenceClient

        self.server, self._model, self._key = server_name(remote), model.name, find_key(remote)
        if remote.url is not None:
            self._client = InferenceClient(base_url=remote.url, api_key=self._key, timeout=remote.timeout)
        else:
            provider: Any = remote.provider
            self._client = InferenceClient(
                model=model.name, provider=provider, api_key=self._key, timeout=remote.timeout
            )

    def ask(self, request: ChatRequest) -> Answer:
        """The model's answer; one attempt.

        Raises:
            Unanswered, BadRequest, PromptError, RemoteError: as `complete`.
        """
        return self.complete(
            request.messages, answer_of, max_tokens=request.max_tokens,
            logprobs=True if request.top_logprobs else None, top_logprobs=request.top_logprobs or None,
            response_format=self._response_format(request),
        )  # fmt: skip

    def complete(
        self, messages: Sequence[Mapping[str, Any]], read: Callable[[Any], Read], *, max_tokens: int, **settings: Any
    ) -> Read:
        """What `read` makes of the chat completion of `messages`; one attempt, without randomness.

        Args:
            read: raises AttributeError, TypeError, IndexError or ValueError where the completion is none.
            settings: more of `InferenceClient.chat_completion`: tools, response_format, ...

        Raises:
            Unanswered: for now; a later attempt may succeed.
            BadRequest: the server does not understand the request.
            PromptError: the prompt is longer than the model's context.
            RemoteError: it will never answer: the key is refused, the model unknown.
        """
        from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

        try:
            completion = self._client.chat_completion(
                [dict(each) for each in messages], model=self._model, max_tokens=max_tokens, temperature=TEMPERATURE,
                seed=SEED, **settings,
            )  # fmt: skip
            return read(completion)
        # `from None`: what the library raises holds the request with its key, and the server's words, which may too.
        except HfHubHTTPError as error:
            raise self._meaning(error) from None
        except OfflineModeIsEnabled:
            raise RemoteError(
                "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set, so that huggingface_hub asks no server, not even one "
                "on this machine; unset it."
            ) from None
        except HTTPError as error:  # timeouts, connections refused or lost
            reason = f"{type(error).__name__}: {self._without_key(str(error))}"
            raise Unanswered(reason, may_be_billed=True) from None
        except (ValueError, AttributeError, TypeError, IndexError, RecursionError) as error:  # nested, or NaN in it
            if self._client.provider and type(error) is ValueError:  # there is no such provider, or it lacks the model
                raise RemoteError(f"{self.server}, model '{self._model}': {self._without_key(str(error))}") from None
            reason = f"what came back is no chat completion ({type(error).__name__})"
            raise Unanswered(reason, may_be_billed=True) from None

    def _response_format(self, request: ChatRequest) -> Any:
        """The schema as OpenAI-compatible servers take it; for providers the library translates it."""
        if request.schema is None:
            return None
        schema = {"name": "label", "strict": True, "schema": request.schema}
        kind = dict if self._client.provider else _AsItIs
        return kind(type="json_schema", json_schema=schema)

    def _meaning(self, error: "HfHubHTTPError") -> Exception:
        """What the status of a refused request means."""
        status, text = error.response.status_code, self._without_key(error.response.text)
        words = f"status {status}: {text[:200]}"
        if status in TEMPORARY:
            seconds = _retry_after(error.response.headers.get("retry-after"))
            return Unanswered(words, retry_after=seconds, may_be_billed=status in (408, 504))
        if status in (401, 403):
            where = "hf auth login" if self.server.startswith("provider") else KEY_VARIABLE
            return RemoteError(f"{self.server}: the key was refused, {words}; check {where}.")
        if status == 404:
            return RemoteError(
                f"{self.server}: model '{self._model}' is unknown there, {words}; check its name, and that the url is "
                "that of an OpenAI-compatible server (most end in /v1)."
            )
        if status in (400, 413, 422) and any(sign in text.lower() for sign in TOO_LONG):
            return PromptError(
                f"the prompt is longer than model '{self._model}' reads, {words}; show fewer examples (--shots) or "
                "shorter texts."
            )
        if status in (400, 422):
            return BadRequest(text)
        return RemoteError(f"{self.server} refuses the question, {words}")

    def _without_key(self, text: str) -> str:
        """One line; servers may quote the key they refuse. Short ones are "any word" for a server without keys."""
        hidden = text.replace(self._key, "<key>") if len(self._key) >= SECRET_LENGTH else text
        return " ".join(hidden.split())


class _AsItIs(dict[str, Any]):
    """A response format that InferenceClient passes on.

    For URLs it turns a json_schema into the json_object of early Text Generation Inference servers, which vLLM,
    llama.cpp and OpenAI take for "any JSON" (huggingface_hub 2.4, inference/_providers/hf_inference.py). It looks at
    the type with `get`, and copies the rest.
    """

    def get(self, key: str, default: Any = None) -> Any:
        return default if key == "type" else super().get(key, default)


def answer_of(completion: Any) -> Answer:
    """The answer in a chat completion; AttributeError, TypeError or IndexError where it is none."""
    choice, usage = completion.choices[0], completion.usage
    refusal = choice.message.get("refusal")
    content = choice.message.content
    return Answer(
        text=str(refusal) if refusal else (content if isinstance(content, str) else ""),
        finish_reason="refusal" if refusal else str(choice.finish_reason or ""),
        first_tokens=_first_tokens(choice.logprobs),
        tokens=_token_count(usage) if usage else None,
    )


def _first_tokens(logprobs: Any) -> tuple[TokenScore, ...]:
    """Log-probabilities at the first place that is not white space, if the server gives any."""
    places = [each for each in (logprobs.content if logprobs else None) or () if each.token.strip()]
    top = (places[0].top_logprobs if places else None) or ()
    finite = [each for each in top if isinstance(each.logprob, int | float) and math.isfinite(each.logprob)]
    return tuple(TokenScore(token=each.token, log_probability=min(float(each.logprob), 0.0)) for each in finite)


def _token_count(usage: Any) -> TokenCount | None:
    """As the server counts; None where it does not, or not in numbers."""
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = (usage.prompt_tokens, cached or 0, usage.completion_tokens or 0)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        return None
    return TokenCount(prompt=counts[0], cached=counts[1], answer=counts[2])


def _retry_after(value: str | None) -> float | None:
    """Seconds from now in a Retry-After header, which holds seconds or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
