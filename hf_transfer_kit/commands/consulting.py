"""The steps of a consultation that take time and may fail: reading the data, measuring on them."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from hf_transfer_kit.advisor.consultation import Consultation
from hf_transfer_kit.advisor.dialogue import Reply, inform
from hf_transfer_kit.advisor.workbench import Workbench
from hf_transfer_kit.errors import ModelError

TOLD_BY_MEASURING = ("similarity",)  # facts that are not asked for where they can be measured


def read_data(consultation: Consultation, bench: Workbench, console: Console) -> tuple[Consultation, Reply]:
    """After the data told what they tell."""
    console.print(Text("Reading the data", style="dim"))
    facts = bench.facts()
    asked = tuple(dict.fromkeys((*consultation.state.asked, *TOLD_BY_MEASURING)))
    consultation = replace(consultation, state=replace(consultation.state, asked=asked))
    return consultation.with_data(facts, bench.memory_of)


def measure(
    consultation: Consultation, bench: Workbench, console: Console, names: Sequence[str] = ()
) -> tuple[Consultation, Reply]:
    """After a ranking of `names`, else of the usual candidates; where none can be measured, with a note of that."""
    from hf_transfer_kit.advisor.measuring import evidence_of
    from hf_transfer_kit.transferability.progress import RankProgress

    chosen = tuple(names) or bench.candidates(consultation)
    console.print(Text(f"Measuring on your data, frozen: {', '.join(chosen)}", style="dim"), soft_wrap=True)
    try:
        with RankProgress(console) as progress:
            ranking = bench.measure(chosen, progress)
    except ModelError as error:
        lines = [f"Nothing was measured: {error}", "The advice rests on the rules alone."]
        state, answer = inform(consultation.state, {}, lines, consultation.advise(bench.memory_of))
        return replace(consultation, state=state), answer
    return consultation.measured(evidence_of(ranking), bench.memory_of)
