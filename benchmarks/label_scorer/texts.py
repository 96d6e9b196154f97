"""Texts, labels and demonstrations about a bank, made up, always the same; and a tokenizer with one token per word."""

import random

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

LABELS = """activate card, age limit, accepted cards, accepted currencies, apple or google pay, atm support,
automatic top up, balance wrong after cheque deposit, balance wrong after bank transfer, beneficiary refused,
cancel transfer, card about to expire, card acceptance abroad, card arrival date, card delivery time estimate,
card linking, card not working, card payment fee charged, card payment not recognised, card payment exchange
rate wrong, card swallowed by machine, cash withdrawal charge, cash withdrawal not recognised, change pin, lost
or stolen card, contactless not working, supported countries, declined card payment, declined cash withdrawal,
declined transfer, direct debit not recognised, disposable card limits, edit personal details, exchange charge,
exchange rate, exchange by app, extra charge on statement, failed transfer, fiat currency support, get
disposable virtual card, get physical card, spare card for family, get virtual card, lost or stolen phone, order
another card, passcode forgotten, pending card payment, pending cash withdrawal, pending top up, pending
transfer, pin blocked, receiving money from abroad, refund not showing up, request refund for a purchase,
reverted card payment, reverted top up, salary has not arrived, source of funds check, close account, top up by
bank transfer charge, top up by card charge, top up by cash or cheque, top up failed, top up limits, transaction
charged twice, transfer fee charged, transfer into account, transfer not received by the person it was sent to,
transfer timing, unable to verify identity, verify my identity, verify source of money, verify top up, virtual
card not working, visa or mastercard, why verify identity, wrong amount of cash received"""
NAMES = [" ".join(name.split()) for name in LABELS.split(",")]
OPENINGS = ["hello ,", "hi there", "please help :", "good morning ,", "sorry but", "", "", "", "quick question :"]
MIDDLES = [
    "why has my {} not been {} yet", "can you tell me when the {} will be {}", "my {} was {} twice",
    "i think that somebody has {} my {}", "what do i have to do to get a {} {}", "the {} i asked for was never {}",
    "is there a fee if a {} is {}",
]  # fmt: skip
THINGS = ["card", "transfer", "top up", "refund", "cash withdrawal", "direct debit", "new virtual card", "cheque"]
VERBS = ["sent", "accepted", "charged", "declined", "blocked", "changed", "delivered", "refused", "paid out"]
ENDINGS = ["", "?", "since last monday ?", "while i was abroad ?", "and who can help ?", "in the app ?"]


def sentences(count: int, seed: int) -> list[str]:
    """Questions of customers."""
    pick = random.Random(seed).choice
    made = []
    for _ in range(count):
        words = [pick(THINGS), pick(VERBS)]
        middle = pick(MIDDLES)
        filled = middle.format(*reversed(words) if "has {} my" in middle else words)
        made.append(" ".join(f"{pick(OPENINGS)} {filled} {pick(ENDINGS)}".split()))
    return made


def beginning(demonstrations: int) -> str:
    """The prompt as far as it is the same for all texts."""
    labels = random.Random(2).sample(NAMES, demonstrations)
    shown = [
        f"text : {text} topic : {label}" for text, label in zip(sentences(demonstrations, 1), labels, strict=True)
    ]
    return "which topic is the question of a customer of a bank about ? " + " ".join(shown) + " text :"


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word or sign of the texts above."""
    text = " ".join([beginning(len(NAMES)), *NAMES, *sentences(1000, 0), "topic <unk> <eos>"])
    words = {word: number for number, word in enumerate(sorted(set(text.split())))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>")
