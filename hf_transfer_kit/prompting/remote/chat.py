"""What is sent to a remote chat model and what comes back, as values."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from hf_transfer_kit.values import to_mapping

VERSION = 1  # part of the key: raise it when the same request would mean something else
TEMPERATURE = 0.0
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One question to a chat model, answered without randomness where the server can: temperature 0, a fixed seed.

    Fields:
        user, system: the messages; no system message where it is empty.
        max_tokens: most tokens of the answer.
        schema: JSON schema the answer must follow; None: free text.
        top_logprobs: log-probabilities of this many tokens asked for at each place of the answer; 0: none.
    """

    user: str
    system: str = ""
    max_tokens: int
    schema: dict[str, Any] | None = None
    top_logprobs: int = 0

    @property
    def messages(self) -> list[dict[str, str]]:
        """As chat models take them."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.user}]

    def key(self, server: str, model: str) -> str:
        """SHA-256 of everything the answer depends on; holds no key of the server."""
        parts = {"version": VERSION, "server": server, "model": model, "temperature": TEMPERATURE, "seed": SEED}
        return hashlib.sha256(json.dumps(parts | to_mapping(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScore:
    """A token the model might have written, and its log-probability."""

    token: str
    log_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """Tokens of one answer: of the prompt, of those read from the server's cache, of the answer."""

    prompt: int
    cached: int = 0
    answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered.

    Fields:
        text: as it came; of a refusal, its words.
        finish_reason: as the server says: "stop", "length" (cut off), "content_filter"; "refusal" where the model did.
        first_tokens: log-probabilities at the first place that is not white space; empty where none were given.
        tokens: None where the server counts none.
    """

    text: str
    finish_reason: str
    first_tokens: tuple[TokenScore, ...] = ()
    tokens: TokenCount | None = None
