"""`transfer-kit advise`: from a few words, or from data, to a plan that runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_transfer_kit.commands.shown import quiet_libraries
from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.options import (
    DATA_HELP,
    Config,
    Debug,
    DropEmpty,
    DropRare,
    InputColumn,
    LabelColumn,
    Revision,
    SplitSeed,
    TaskName,
    TestShare,
    ValidationShare,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hf_transfer_kit.advisor.advice import Advice
    from hf_transfer_kit.advisor.at_hand.workbench import Workbench
    from hf_transfer_kit.advisor.conversation.consultation import Consultation, Talk
    from hf_transfer_kit.advisor.conversation.dialogue import Reply

OUT = Path("transfer-kit-advice")


def advise(
    message: Annotated[str | None, typer.Argument(help="Your task in a few words; without it a conversation.")] = None,
    data: Annotated[str | None, typer.Option("--data", help=DATA_HELP)] = None,
    models: Annotated[
        str | None, typer.Option("--models", help="Candidates to measure, with commas; else those of the rules.")
    ] = None,
    measure: Annotated[bool, typer.Option(help="Measure candidates on the data.")] = True,
    max_rows: Annotated[
        int | None, typer.Option(help="Most training rows to measure on; else 1000, or more for many classes.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help=f"Folder for plan and scripts; in a conversation {OUT}.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the advice as JSON.")] = False,
    llm: Annotated[
        str | None, typer.Option("--llm", help="A language model that talks: a Hub name or an OpenAI-compatible URL.")
    ] = None,
    llm_model: Annotated[str | None, typer.Option(help="Its name at that URL; else the first one there.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not look for candidates on the Hub.")] = False,
    config: Config = None,
    revision: Revision = None,
    task: TaskName = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    validation_share: ValidationShare = 0.15,
    test_share: TestShare = 0.2,
    split_seed: SplitSeed = 0,
    drop_empty: DropEmpty = False,
    drop_rare: DropRare = False,
    debug: Debug = False,
) -> None:
    """Advise on model and method, with reasons.

    A conversation; or, with a message or --data and --json, one answer. With --data the advice is checked by measuring
    frozen candidates on it. Ends in a plan for `transfer-kit run`, the same as Python, and a script for HF Jobs.
    """
    from rich.console import Console, Group
    from rich.text import Text

    from hf_transfer_kit.advisor.at_hand.workbench import Workbench
    from hf_transfer_kit.advisor.conversation.dialogue import reply
    from hf_transfer_kit.advisor.conversation.view import advice_to_terminal, question_to_terminal, saved_to_terminal
    from hf_transfer_kit.commands.consulting import language_model
    from hf_transfer_kit.commands.conversation import Conversation
    from hf_transfer_kit.plan import DataSpec

    if models is not None and data is None:
        raise PlanError(f"--models {models} are measured on data; add --data, or leave it out.")
    spec = None if data is None else DataSpec(
        path=data, config=config, revision=revision, task=task, input_column=input_column, label_column=label_column,
        validation_share=validation_share, test_share=test_share, split_seed=split_seed, drop_empty=drop_empty,
        drop_rare=drop_rare,
    )  # fmt: skip
    quiet_libraries()
    bench = Workbench(data=spec, models=tuple(words(models or "")), online=not offline, max_rows=max_rows)
    talk = reply if llm is None else language_model(llm, llm_model, bench)
    if message is None and not as_json:
        Conversation(bench, Console(), out or OUT, talk=talk, measures=measure).run()
        return
    console = Console(stderr=as_json)
    consultation, replies = _answered(message, bench, talk, measure, console)
    notes = tuple(line for each in replies if not (each.advice and each.advice.evidence) for line in each.said)
    advice = replace(consultation.advice(bench.memory_of), notes=notes)
    advice = bench.completed(_asking(advice, replies))
    saved = None if out is None else bench.save(consultation, advice, out)
    if as_json:
        typer.echo(json.dumps(advice.to_mapping(), ensure_ascii=False))
        return
    console.print(Text(replies[-1].understood, style="dim"))
    console.print(advice_to_terminal(advice))
    if advice.next_question is not None:
        console.print(Group(Text(), question_to_terminal(advice.next_question)))
    hint = Text("\n--out FOLDER writes the plan; without a message a conversation begins.", style="dim")
    console.print(hint if saved is None else saved_to_terminal(saved))


def _asking(advice: "Advice", replies: "Sequence[Reply]") -> "Advice":
    """The advice with the question on what contradicts itself, where there is one, in the place of the usual one."""
    from hf_transfer_kit.advisor.conversation.dialogue import DONT_KNOW

    asked = replies[-1].question if replies else None
    if asked is None:
        return advice
    choices = tuple(each for each in asked.replies if each != DONT_KNOW)
    return replace(advice, next_question=replace(asked, replies=choices))


def _answered(
    message: str | None, bench: "Workbench", talk: "Talk", measures: bool, console: "Console"
) -> "tuple[Consultation, list[Reply]]":
    """After the message, the data and the measurement, and what each was answered with."""
    from hf_transfer_kit.advisor.conversation.consultation import Consultation
    from hf_transfer_kit.commands.consulting import measure, read_data, tell

    consultation = Consultation()
    replies: list[Reply] = []
    if message is not None:
        consultation, replies = tell(consultation, message, talk, bench)
    if bench.data is not None:
        consultation, answer = read_data(consultation, bench, console)
        replies.append(answer)
        if measures and consultation.evidence is None:
            consultation, answer = measure(consultation, bench, console)
            replies.append(answer)
    return consultation, replies
