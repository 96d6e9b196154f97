"""Answers to many questions: those kept from earlier runs, and for the rest a remote model, asked in parallel."""

import threading
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.classifier import Progress
from hf_transfer_kit.prompting.remote.answer_cache import AnswerCache
from hf_transfer_kit.prompting.remote.chat import Answer, ChatRequest
from hf_transfer_kit.prompting.remote.parallel import results_of
from hf_transfer_kit.prompting.remote.patient_client import PatientClient
from hf_transfer_kit.prompting.remote.rate_limit import Clock
from hf_transfer_kit.prompting.remote.remote_access import server_name
from hf_transfer_kit.prompting.remote.remote_client import ChatClient
from hf_transfer_kit.prompting.remote.spending import Spending, estimated_tokens
from hf_transfer_kit.prompting.scores import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Answers in the order of the questions.

    Fields:
        kept: how many of them were there already, equal questions of one call included.
        usage: of all of them.
    """

    answers: list[Answer]
    kept: int
    usage: Usage


class RemoteAnswers:
    """The answers of one model.

    Args:
        folder: of the kept answers.
    """

    def __init__(self, model: ModelSpec, remote: Remote, *, folder: Path, spending: Spending, clock: Clock) -> None:
        self._model, self._remote, self._spending, self._clock = model, remote, spending, clock
        self._cache = AnswerCache(folder)
        self._client: PatientClient | None = None
        self._has_answered = False

    def missing(self, requests: Sequence[ChatRequest]) -> list[ChatRequest]:
        """Those of `requests` that would be sent, each once."""
        wanted = {self._key(request): request for request in requests}
        found = self._cache.find(list(wanted))
        return [request for key, request in wanted.items() if key not in found]

    def has_some(self, requests: Sequence[ChatRequest]) -> bool:
        """Whether the answer to one of `requests` is kept."""
        return bool(self._cache.find([self._key(request) for request in requests]))

    def get(self, requests: Sequence[ChatRequest], on_progress: Progress | None = None) -> Answered:
        """The answers to `requests`; needs a key only where one of them has to be sent.

        Raises:
            RemoteError: as `find_key` and `PatientClient.ask`; says how many answers are kept.
            BadRequest, PromptError: as `ChatClient.ask`.
        """
        keys = [self._key(request) for request in requests]
        wanted, often = dict(zip(keys, requests, strict=True)), Counter(keys)
        answers = self._cache.find(list(wanted))
        missing = [(key, request) for key, request in wanted.items() if key not in answers]
        done = sum(often[key] for key in answers)
        if on_progress and done:
            on_progress(done, len(keys))
        with closing(self._ask(missing)) as arriving:
            for key, answer in arriving:
                answers[key] = answer
                done += often[key]
                if on_progress:
                    on_progress(done, len(keys))
        usage = self._client.take_usage() if self._client else Usage()
        bought = {key for key, _ in missing}
        for key, count in often.items():
            tokens = answers[key].tokens or estimated_tokens(wanted[key])
            again = count - (key in bought)
            usage += Usage(tokens_cached=tokens.prompt * again, tokens_out=tokens.answer * again)
        return Answered(answers=[answers[key] for key in keys], kept=len(keys) - len(missing), usage=usage)

    def _ask(self, missing: Sequence[tuple[str, ChatRequest]]) -> Generator[tuple[str, Answer], None, None]:
        """The answers to `missing` by key, as they arrive and are on disk."""
        if not missing:
            return
        client, stop = self._ready(), threading.Event()

        def work(item: tuple[str, ChatRequest]) -> Answer:
            key, request = item
            answer = client.ask(request, stop)
            self._cache.keep(key, answer)
            return answer

        alone = 0 if self._has_answered else 1  # what is wrong for all shows at the first
        try:
            for some in (missing[:alone], missing[alone:]):
                for (key, _), answer in results_of(work, some, threads=self._remote.parallel, stop=stop):
                    self._has_answered = True
                    yield key, answer
        except RemoteError as error:
            kept = len(self._cache.find([key for key, _ in missing]))
            raise RemoteError(
                f"{error} {kept} of {len(missing)} new answers are kept; the same command continues with the rest."
            ) from None
        finally:
            stop.set()

    def _ready(self) -> PatientClient:
        if self._client is None:
            client = ChatClient(self._model, self._remote)
            self._client = PatientClient(client, self._remote, spending=self._spending, clock=self._clock)
        return self._client

    def _key(self, request: ChatRequest) -> str:
        return request.key(self._remote.url or server_name(self._remote), self._model.name)
