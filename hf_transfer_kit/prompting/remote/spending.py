"""What questions to a remote model cost, before they are sent and after; a limit that holds for parallel questions."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.remote.chat import ChatRequest, TokenCount
from hf_transfer_kit.values import from_mapping, read_json, to_mapping, write_json

BYTES_PER_TOKEN = 4  # of English text; other scripts need more bytes for a letter and more tokens, in like measure
MESSAGE_TOKENS = 8  # what a chat template adds to each message, about


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingEstimate:
    """What is about to be spent; an estimate, by 4 characters per token and answers as long as they may be.

    Fields:
        requests: to send; questions whose answer is kept are not among them.
        tokens_in, tokens_out: of all prompts and answers.
        dollars: by the plan's prices.
    """

    requests: int
    tokens_in: int
    tokens_out: int
    dollars: float


def estimated_tokens(request: ChatRequest) -> TokenCount:
    """Tokens of one request, by the length of its text, and the most its answer may have.

    Example:
        >>> estimated_tokens(ChatRequest(user="four letters each, about", max_tokens=4)).prompt
        14
    """
    texts = [message["content"] for message in request.messages]
    prompt = sum(math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN) + MESSAGE_TOKENS for text in texts)
    return TokenCount(prompt=prompt, answer=request.max_tokens)


def price(tokens: TokenCount, remote: Remote) -> float:
    """Dollars; tokens from the server's cache at the full price, since discounts differ."""
    return (tokens.prompt * remote.price_in + tokens.answer * remote.price_out) / 1e6


def estimate(requests: Sequence[ChatRequest], remote: Remote) -> SpendingEstimate:
    """What sending `requests` once each will cost."""
    counts = [estimated_tokens(request) for request in requests]
    return SpendingEstimate(
        requests=len(counts),
        tokens_in=sum(count.prompt for count in counts),
        tokens_out=sum(count.answer for count in counts),
        dollars=sum(price(count, remote) for count in counts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ledger:
    """What is kept of a spending in a file."""

    dollars: float


class Spending:
    """Dollars spent and on their way; together never more than `remote.max_dollars`, as far as estimates hold.

    Every request reserves its estimate before it is sent and settles what it did cost. A reservation that does not fit
    waits for those under way, which mostly cost less than they reserved. Estimates are raised to the highest ratio of
    counted to estimated tokens seen so far. Give the same object to several classifiers to have one limit for all.

    Args:
        ledger: file in which the dollars are kept, so that the limit holds over runs and processes one after the
            other; None: this object alone counts.

    Raises:
        OutputError: the ledger cannot be written.
    """

    def __init__(self, remote: Remote, ledger: Path | None = None) -> None:
        self.remote, self._ledger = remote, ledger
        self.dollars = 0.0
        if ledger is not None and ledger.exists():
            self.dollars = from_mapping(_Ledger, read_json(ledger), str(ledger)).dollars
        self._reserved: list[float] = []
        self._ratio = 1.0
        self._changed = threading.Condition()

    def reserve(self, tokens: TokenCount) -> float:
        """The dollars set aside for one request with the estimate `tokens`; waits while others may make room.

        Raises:
            RemoteError: it would pass the limit.
        """
        with self._changed:
            while True:
                dollars = self._ratio * price(tokens, self.remote)
                limit = self.remote.max_dollars
                if limit is None or self.dollars + sum(self._reserved) + dollars <= limit:
                    self._reserved.append(dollars)
                    return dollars
                if not self._reserved:
                    again = "." if self._ledger else ", or start again to spend as much again."
                    raise RemoteError(
                        f"${self.dollars:.4f} of --max-dollars {limit:g} are spent and the next question may cost "
                        f"${dollars:.4f}, so it was not sent; raise the limit{again}"
                    )
                self._changed.wait()

    def settle(self, reserved: float, cost: float) -> None:
        """Counts `cost` in place of the dollars that `reserve` gave."""
        with self._changed:
            self._reserved.remove(reserved)
            self.dollars += cost
            if cost and self._ledger is not None:
                write_json(self._ledger, to_mapping(_Ledger(dollars=self.dollars)))
            self._changed.notify_all()

    def learn(self, estimated: TokenCount, counted: TokenCount) -> None:
        """Raises later estimates where a prompt had more tokens than was thought."""
        with self._changed:
            self._ratio = max(self._ratio, counted.prompt / max(estimated.prompt, 1))
