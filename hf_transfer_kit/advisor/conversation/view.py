"""Advice, and one turn of the conversation, in the terminal. What people or data wrote is shown without markup."""

import string
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hf_transfer_kit.advisor.advice import DEPTHS, Advice, ModelAdvice, Question
from hf_transfer_kit.advisor.at_hand.workbench import Saved
from hf_transfer_kit.advisor.conversation.dialogue import Reply
from hf_transfer_kit.advisor.conversation.wording import METHODS
from hf_transfer_kit.advisor.evidence import Evidence, Measured
from hf_transfer_kit.plan.specs import short_model_name

MOST_REASONS = 8  # shown; the first ones are the ones that decide


def reply_to_terminal(reply: Reply) -> RenderableType:
    """What was understood, what is said, and the quick replies by letter."""
    text = reply.text.removesuffix(reply.question.text) if reply.question else reply.text
    parts: list[RenderableType] = [Text(reply.understood, style="dim"), Text(text.strip())]
    if reply.question:
        parts += [Text(), question_to_terminal(reply.question)]
    return Group(*parts)


def question_to_terminal(question: Question) -> RenderableType:
    """The question, and under it its quick replies: "a) ... b) ..."."""
    replies = "   ".join(f"{letter}) {reply}" for letter, reply in zip(_LETTERS, question.replies, strict=False))
    return Group(Text(question.text, style="bold"), Text(replies, style="cyan"))


def chosen(question: Question | None, typed: str) -> str:
    """What a letter stands for; anything else as it was typed."""
    letter = typed.strip().rstrip(")").lower()
    if question is not None and len(letter) == 1 and letter in _LETTERS[: len(question.replies)]:
        return question.replies[_LETTERS.index(letter)]
    return typed


def advice_to_terminal(advice: Advice) -> RenderableType:
    """All of an advice: method, models, settings, evidence, reasons with their sources, what would change it."""
    start = f", starting from {advice.models[0].name}" if advice.models else ""
    method = METHODS.get(advice.method, advice.method)
    parts: list[RenderableType] = [
        Text(f"{method[0].upper()}{method[1:]}{start}", style="bold"),
        Text(f"depth {advice.depth} of 5: {DEPTHS[advice.depth]}", style="dim"),
    ]
    parts += _section("Models to start from", [_models(advice.models)] if advice.models else [])
    settings = [f"{name.replace('_', ' ')} {value}" for name, value in advice.hyperparameters.items()]
    parts += _section("Settings", [Text(", ".join(settings))] if settings else [])
    guards = ", ".join(each.replace("_", " ") for each in advice.protections)
    parts += _section("Protections against overfitting and forgetting", [Text(guards)] if guards else [])
    parts += _section("Baseline", [Text(advice.baseline)] if advice.baseline else [])
    parts += _section("Measured on your data", _evidence(advice.evidence) if advice.evidence else [])
    reasons = [f"{each.text} [{each.rule}: {each.source}]" for each in advice.reasons]
    if len(reasons) > MOST_REASONS:
        reasons[MOST_REASONS:] = [f"{len(reasons) - MOST_REASONS} more, which --json and advice.json hold"]
    parts += _section("Why", _items(reasons))
    parts += _section("Careful", _items(f"{each.text} [{each.rule}]" for each in advice.warnings), style="yellow")
    parts += _section("How to measure", _items(advice.evaluation))
    other = (f"{METHODS.get(each.method, each.method)}: {each.text} [{each.rule}]" for each in advice.alternatives)
    parts += _section("Alternatives", _items(other))
    parts += _section("What would change it", _items(each.text for each in advice.flips))
    parts += _section("Notes", _items(advice.notes))
    return Group(*parts)


def saved_to_terminal(saved: Saved) -> RenderableType:
    """Where the files are, and the commands that start the plan."""
    lines = [Text(), Text("What to do now", style="bold")]
    if saved.export is None:
        lines.append(Text("The kit has no plan for this task; the advice is all there is."))
        return Group(*lines, Text(f"Written: {saved.folder / 'advice.json'}", style="dim"))
    lines += [Text(each, style="yellow") for each in saved.missing]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("carry out the plan", Text(saved.export.command))
    table.add_row("in several processes", Text(saved.export.launch))
    if saved.export.python:
        table.add_row("the same as Python", Text(f"python {saved.folder / 'train.py'}"))
    table.add_row("on HF Jobs", Text(saved.export.job_command))
    table.add_row("against other methods", Text(saved.comparison))
    notes = [Text(each, style="dim") for each in saved.export.notes]
    return Group(*lines, table, *notes, Text(f"Written into {saved.folder}: advice, plan, scripts.", style="dim"))


_LETTERS = string.ascii_lowercase


def _section(title: str, inside: Sequence[RenderableType], style: str = "bold") -> list[RenderableType]:
    return [Text(), Text(title, style=style), *inside] if inside else []


def _items(texts: Iterable[str]) -> list[RenderableType]:
    """A list whose second lines stand under the first."""
    table = Table.grid(padding=(0, 1, 0, 0))
    for text in texts:
        table.add_row("-", Text(text))
    return [table] if table.row_count else []


def _models(models: Sequence[ModelAdvice]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("model", "size", "memory", "licence"):
        table.add_column(name, overflow="fold", justify="right" if name in ("size", "memory") else "left")
    for each in models:
        size = "" if each.parameters is None else f"{each.parameters / 1e6:,.1f} M"
        memory = "" if each.memory_mib is None else f"{each.memory_mib / 1024:.1f} GiB"
        shown = Text.assemble(each.name, "\n", (each.hub_id or "not on the Hub", "dim"))
        table.add_row(shown, Text(size), Text(memory), Text(each.licence))
    return table


def _evidence(evidence: Evidence) -> list[RenderableType]:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("frozen", "layer", "accuracy", "95% interval", ""):
        table.add_column(name, justify="left" if name in ("frozen", "") else "right", overflow="fold")
    for each in (*evidence.candidates, *evidence.controls):
        numbers = f"{each.accuracy:.3f}", f"{each.low:.3f} to {each.high:.3f}"
        table.add_row(*map(Text, (short_model_name(each.name), each.layer or "", *numbers, _word(each, evidence))))
    parts: list[RenderableType] = [table, Text(evidence.sentence)]
    if (held := evidence.held_out) is not None:
        parts.append(
            Text(f"On validation rows, the same layer: {held.accuracy:.3f} ({held.low:.3f} to {held.high:.3f}).")
        )
    parts += _items(f"not measured: {each}" for each in evidence.failures)
    return [*parts, Text(f"On {evidence.rows:,} training rows; no test label was read.", style="dim")]


def _word(each: Measured, evidence: Evidence) -> str:
    if each.layer is None:
        return "control"
    helps = each.name == evidence.model and evidence.frozen != "no_better"
    words = ["advised"] if helps else ["level"] if each.level else []
    return ", ".join([*words, *(["negative transfer"] if each.negative_transfer else [])])
