"""Questions to a remote model: at the agreed rate, again after errors that pass, never beyond the agreed dollars."""

import random
import threading

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.remote.chat import Answer, ChatRequest, TokenCount
from hf_transfer_kit.prompting.remote.rate_limit import Clock, RateLimit
from hf_transfer_kit.prompting.remote.remote_client import ChatClient, Unanswered
from hf_transfer_kit.prompting.remote.spending import Spending, estimated_tokens, price
from hf_transfer_kit.prompting.scores import Usage

ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds; pauses double, less a random share so that threads part
GIVE_UP = 300.0  # seconds for one question, pauses included


class PatientClient:
    """Asks `client`, for any number of threads."""

    def __init__(self, client: ChatClient, remote: Remote, *, spending: Spending, clock: Clock) -> None:
        self._client, self._remote, self._spending, self._clock = client, remote, spending, clock
        self._limit = RateLimit(per_minute=remote.requests_per_minute, clock=clock)
        self._lock = threading.Lock()
        self._usage = Usage()

    def ask(self, request: ChatRequest, stop: threading.Event) -> Answer:
        """The answer; its tokens are estimated where the server counts none.

        Raises:
            RemoteError: no answer after `ATTEMPTS` attempts or `GIVE_UP` seconds, or as `ChatClient.ask`; or `stop` is
                set, or the question would pass the limit of dollars.
            BadRequest, PromptError: as `ChatClient.ask`.
        """
        begin, attempt = self._clock.now(), 0
        while True:
            attempt += 1
            self._limit.wait_turn(stop)
            try:
                return self._attempt(request, stop)
            except Unanswered as problem:
                pause = problem.retry_after if problem.retry_after is not None else _pause(attempt)
                if attempt == ATTEMPTS or self._clock.now() - begin + pause > GIVE_UP:
                    asked = f" and asks to wait {problem.retry_after:.0f} s" if problem.retry_after else ""
                    raise RemoteError(
                        f"{self._client.server} did not answer after {attempt} attempts: {problem}{asked}."
                    ) from None
                if problem.retry_after:
                    self._limit.hold(pause)  # what the server says to one thread holds for all
                self._clock.wait(pause, stop)

    def take_usage(self) -> Usage:
        """What was used since the last time this was called; every attempt is a request."""
        with self._lock:
            usage, self._usage = self._usage, Usage()
        return usage

    def _attempt(self, request: ChatRequest, stop: threading.Event) -> Answer:
        """One attempt, paid for; an attempt without an answer counts with its estimate where it may be billed."""
        estimated = estimated_tokens(request)
        reserved, cost = self._spending.reserve(estimated), 0.0
        try:
            if stop.is_set():
                raise RemoteError("stopped before the question was sent.")
            self._count(Usage(requests=1))
            answer = self._client.ask(request)
            cost = price(answer.tokens or estimated, self._remote)
        except Unanswered as problem:
            cost = reserved if problem.may_be_billed else 0.0
            raise
        finally:
            self._spending.settle(reserved, cost)
            self._count(Usage(dollars=cost))
        if answer.tokens:
            self._spending.learn(estimated, answer.tokens)
        self._count(_read_and_written(answer.tokens or estimated))
        return answer

    def _count(self, usage: Usage) -> None:
        with self._lock:
            self._usage += usage


def _pause(attempt: int) -> float:
    """Seconds after an attempt, counted from 1."""
    return min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.5, 1)


def _read_and_written(tokens: TokenCount) -> Usage:
    return Usage(tokens_in=tokens.prompt - tokens.cached, tokens_cached=tokens.cached, tokens_out=tokens.answer)
