"""What the options about prompts mean: settings of the prompted approaches, and models that answer elsewhere.

0,4,16      ->  (ZeroShot(), FewShot(shots=4), FewShot(shots=16))
0.15,0.60   ->  Remote(price_in=0.15, price_out=0.60, ...)
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import typer

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.options import words
from hf_transfer_kit.plan import Approach, FewShot, ModelSpec, Prototype, Remote, ZeroShot

OWN_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """What the options say of how models are asked; as in `plan.FewShot`."""

    prompt: Path | None = None
    search: bool = False
    orders: int = 1
    calibration: str = "batch"
    choose: str = "auto"
    shots: int = 16

    def approaches(self) -> dict[str, Approach]:
        """The prompted approaches by their names."""
        prompt = None if self.prompt is None else str(self.prompt)
        few_shot = FewShot(
            shots=self.shots, choose=self.choose, orders=self.orders, prompt=prompt, calibration=self.calibration,
            search=self.search,
        )  # fmt: skip
        return {
            "zero_shot": ZeroShot(prompt=prompt, calibration=self.calibration, search=self.search),
            "few_shot": few_shot,
            "prototype": Prototype(prompt=prompt),
        }

    def with_shots(self, text: str) -> tuple[Approach, ...]:
        """The approaches for --shots: zero_shot for 0, few_shot for each other number.

        Raises:
            PlanError: one of them is no number, or there is none.
        """
        numbers = words(text)
        if not numbers:
            raise PlanError("--shots names no number; give for example 0,4,16.")
        found = []
        for word in numbers:
            if not (word.isascii() and word.isdigit()):
                raise PlanError(f"--shots: '{word}' is no number of examples; give for example 0,4,16.")
            shots = int(word)
            found.append(replace(self, shots=max(shots, 1)).approaches()["few_shot" if shots else "zero_shot"])
        return tuple(found)


def remote_model(
    name: str, url: str | None, provider: str | None, price: str | None, max_dollars: float | None
) -> ModelSpec:
    """The model `name`, loaded here, or where it answers (--url, --provider); a terminal is asked for a spending cap.

    Raises:
        PlanError: prices are missing or no numbers, or nobody says how much may be spent.
    """
    if url is None and provider is None:
        for option, value in (("--price", price), ("--max-dollars", max_dollars)):
            if value is not None:
                raise PlanError(f"{option} {value} belongs to a model elsewhere; add --url or --provider.")
        return ModelSpec(name=name)
    price_in, price_out = _prices(price, url)
    if (price_in or price_out) and max_dollars is None and sys.stdin.isatty():
        max_dollars = typer.prompt("Most dollars to spend", type=float)
    remote = Remote(url=url, provider=provider, price_in=price_in, price_out=price_out, max_dollars=max_dollars)
    return ModelSpec(name=name, remote=remote)


def _prices(text: str | None, url: str | None) -> tuple[float, float]:
    """Dollars per million tokens of prompt and answer; nothing for a server on this machine."""
    if text is None and url is not None and urlsplit(url).hostname in OWN_MACHINE:
        return 0.0, 0.0
    if text is None:
        raise PlanError(
            "the price of this model's answers is not known; give --price 0.15,0.60 (dollars per million tokens of "
            "prompt and answer), or --price 0 for a server of your own."
        )
    try:
        numbers: Sequence[float] = [float(word) for word in words(text)]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise PlanError(f"--price '{text}' is not one or two numbers; give for example 0.15,0.60.")
    return numbers[0], numbers[-1]
