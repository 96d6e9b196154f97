"""The steps of a consultation that take time and may fail: reading the data, measuring on them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.text import Text

from hf_transfer_kit.advisor.at_hand.workbench import Workbench
from hf_transfer_kit.advisor.conversation.consultation import Consultation, Talk
from hf_transfer_kit.advisor.conversation.dialogue import Reply, inform
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.errors import DataError, ModelError

if TYPE_CHECKING:
    from hf_transfer_kit.memory.estimate import MemoryEstimate


def read_data(consultation: Consultation, bench: Workbench, console: Console) -> tuple[Consultation, Reply]:
    """After the data told what they tell."""
    console.print(Text("Reading the data", style="dim"))
    facts = bench.facts  # first: the memory that models need depends on them
    return consultation.with_data(facts, bench.memory_of, measurable=True)


def tell(consultation: Consultation, message: str, talk: Talk, bench: Workbench) -> tuple[Consultation, list[Reply]]:
    """After a message, and after the measurement that a language model may have asked for to answer it."""
    before = bench.evidence
    consultation, answer = consultation.told(message, talk=talk, memory_of=bench.memory_of)
    if bench.evidence is None or bench.evidence is before:
        return consultation, [answer]
    consultation, measured = consultation.measured(bench.evidence, bench.memory_of)
    return consultation, [answer, measured]


def language_model(name: str, known_as: str | None, bench: Workbench) -> Talk:
    """A language model that talks while the rules decide.

    Args:
        name: of the Hub, or the URL of an OpenAI-compatible server; known_as: its name there.

    Raises:
        RemoteError: there is no key for it, or the address is no server's.
    """
    from hf_transfer_kit.advisor.llm.connect import connect
    from hf_transfer_kit.advisor.llm.talk import Talk as LanguageModelTalk
    from hf_transfer_kit.advisor.llm.tools import Tools
    from hf_transfer_kit.advisor.rules import advise
    from hf_transfer_kit.memory.estimate import estimate_memory
    from hf_transfer_kit.plan import ModelSpec

    def estimate(model: str, approach: str, batch: int, length: int | None, precision: str) -> "MemoryEstimate":
        return estimate_memory(ModelSpec(name=model), approach, batch=batch, length=length, precision=precision)

    tools = Tools(
        advise=advise, estimate_memory=estimate, search_models=bench.search,
        export_plan=bench.export, rank=None if bench.data is None else bench.rank,
    )  # fmt: skip
    return LanguageModelTalk(connect(name, name=known_as), tools).reply


def measure(
    consultation: Consultation, bench: Workbench, console: Console, names: Sequence[str] = ()
) -> tuple[Consultation, Reply]:
    """After a ranking of `names`, else of the usual candidates; where none can be measured, with a note of that."""
    from hf_transfer_kit.transferability.progress import RankProgress

    chosen = tuple(names) or bench.candidates(consultation)
    console.print(Text(f"Measuring on your data, frozen: {', '.join(chosen)}", style="dim"), soft_wrap=True)
    try:
        with RankProgress(console) as progress:
            bench.rank(chosen, progress)
    except (DataError, ModelError) as error:
        lines = [f"Nothing was measured: {error}", "The advice rests on the rules alone."]
        state, answer = inform(consultation.state, {}, lines, consultation.advise(bench.memory_of))
        return replace(consultation, state=state), answer
    return consultation.measured(cast(Evidence, bench.evidence), bench.memory_of)
