import threading

import pytest

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.remote.chat import ChatRequest, TokenCount
from hf_transfer_kit.prompting.remote.spending import Spending, estimate, estimated_tokens, price

REMOTE = Remote(url="http://127.0.0.1/v1", price_in=1.0, price_out=4.0, max_dollars=0.001)  # 1000 tokens in
QUESTION = TokenCount(prompt=200, answer=25)  # $0.0003


def test_the_estimate_is_four_characters_a_token_and_the_longest_answer():
    request = ChatRequest(user="x" * 400, system="y" * 40, max_tokens=10)

    whole = estimate([request, request], REMOTE)

    assert 110 <= estimated_tokens(request).prompt <= 130
    assert (whole.requests, whole.tokens_out) == (2, 20)
    assert whole.dollars == pytest.approx((whole.tokens_in * 1.0 + 20 * 4.0) / 1e6)


def test_scripts_with_more_tokens_per_letter_are_not_underestimated():
    assert estimated_tokens(ChatRequest(user="卡" * 400, max_tokens=1)).prompt >= 300


def test_half_a_surrogate_pair_can_be_estimated():
    assert estimated_tokens(ChatRequest(user="\udc80", max_tokens=1)).prompt > 0


def test_no_reservation_passes_the_limit():
    spending = Spending(REMOTE)
    for _ in range(3):
        spending.settle(spending.reserve(QUESTION), 0.0003)

    with pytest.raises(RemoteError, match=r"\$0\.0009 of --max-dollars 0\.001 are spent"):
        spending.reserve(QUESTION)
    assert spending.dollars == pytest.approx(0.0009)


def test_a_reservation_waits_for_those_that_may_turn_out_cheaper():
    spending = Spending(REMOTE)
    dear = [spending.reserve(QUESTION) for _ in range(3)]
    threading.Timer(0.05, lambda: [spending.settle(each, 0.0001) for each in dear]).start()

    spending.settle(spending.reserve(QUESTION), 0.0001)

    assert spending.dollars == pytest.approx(0.0004)


def test_parallel_reservations_hold_the_limit_together():
    spending, under_way, most = Spending(REMOTE), [], []

    def spend():
        reserved = spending.reserve(QUESTION)
        under_way.append(reserved)
        most.append(spending.dollars + sum(under_way))
        under_way.remove(reserved)
        spending.settle(reserved, 0.0)

    threads = [threading.Thread(target=spend) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(most) == 20
    assert max(most) <= 0.001


def test_estimates_learn_from_what_the_server_counts():
    spending = Spending(REMOTE)
    spending.learn(QUESTION, TokenCount(prompt=600, answer=1))

    assert spending.reserve(QUESTION) == pytest.approx(3 * price(QUESTION, REMOTE))


def test_a_server_without_prices_has_no_limit():
    spending = Spending(Remote(url="http://127.0.0.1/v1"))

    assert spending.reserve(TokenCount(prompt=10**9, answer=10**9)) == 0


def test_the_ledger_makes_the_limit_hold_over_runs_one_after_the_other(tmp_path):
    remote = Remote(url="http://127.0.0.1:1/v1", price_in=1e6, price_out=0.0, max_dollars=5.0)
    ledger = tmp_path / "spent.json"
    for spent in (0.0, 2.0, 4.0):
        spending = Spending(remote, ledger)
        assert spending.dollars == spent
        if spent < 4:
            spending.settle(spending.reserve(TokenCount(prompt=2, answer=0)), 2.0)

    with pytest.raises(RemoteError, match=r"\$4.0000 of --max-dollars 5 are spent.*raise the limit\.$"):
        Spending(remote, ledger).reserve(TokenCount(prompt=2, answer=0))
