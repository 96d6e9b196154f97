"""Options of the terminal: those that several commands share, and what their words mean.

full,full+ewc  ->  (Method(...), Method(...))
64,256,all     ->  (64, 256, None)
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hf_transfer_kit.errors import PlanError

if TYPE_CHECKING:
    from hf_transfer_kit.plan import DataSpec, Protection
    from hf_transfer_kit.prompt_options import PromptOptions
    from hf_transfer_kit.study.method import Method

APPROACHES = "zero_shot,few_shot,prototype,features,top_layers,full,lora,scratch"
APPROACHES_WITH_OLD_DATA = "full,full+ewc,full+replay,gradual,lora+replay"

DATA_HELP = "A Hub name, a CSV, TSV, JSON, JSONL or Parquet file, a folder of those by split or of images by class."
Data = Annotated[str, typer.Option("--data", help=DATA_HELP)]
Config = Annotated[str | None, typer.Option(help="Configuration of a Hub data set.")]
Revision = Annotated[str | None, typer.Option(help="Revision of a Hub data set.")]
TaskName = Annotated[str | None, typer.Option("--task", help="text-classification, image-classification.")]
InputColumn = Annotated[str | None, typer.Option(help="Column with the text or image; else found.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column with the label; else found.")]
ValidationShare = Annotated[float, typer.Option(help="Share split off for validation where there is none.")]
TestShare = Annotated[float, typer.Option(help="Share split off for test where there is none.")]
SplitSeed = Annotated[int, typer.Option(help="Seed of that split.")]
DropEmpty = Annotated[bool, typer.Option("--drop-empty", help="Leave out rows without input or label.")]
DropRare = Annotated[bool, typer.Option("--drop-rare", help="Leave out classes with too few examples.")]
Approaches = Annotated[
    str | None,
    typer.Option(
        help="Any of zero_shot, few_shot, prototype, features, top_layers, full, gradual, lora, prompt_tuning, "
        "scratch; +ewc, +l2sp, +replay guard old data. The controls always run too. "
        f"Default: {APPROACHES}; with --old-data {APPROACHES_WITH_OLD_DATA}.",
    ),
]
OldData = Annotated[
    str | None,
    typer.Option(help="What must not be forgotten, as --data: learned first, scored before and after."),
]
OldInputColumn = Annotated[str | None, typer.Option(help="Its column with the text or image; else found.")]
OldLabelColumn = Annotated[str | None, typer.Option(help="Its column with the label; else found.")]
ReplayRatio = Annotated[float | None, typer.Option(help="Share of old examples in a batch of +replay; else 0.1.")]
EwcStrength = Annotated[float | None, typer.Option(help="Strength of +ewc; else its own default.")]
PromptFile = Annotated[Path | None, typer.Option("--prompt", help="A prompt file (YAML or Jinja); else built in.")]
Search = Annotated[bool, typer.Option("--search", help="Choose among prompts and examples on validation.")]
Orders = Annotated[int, typer.Option(help="Orders of the examples to try on validation; the worst is shown.")]
Calibration = Annotated[str, typer.Option(help="Of prompted scores: batch, contextual or none.")]
Choose = Annotated[str, typer.Option("--choose", help="Examples in a prompt: auto, balanced or nearest.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="OpenAI-compatible server of the model; its key: TRANSFER_KIT_API_KEY."),
]
Provider = Annotated[
    str | None, typer.Option(help="Hugging Face inference provider of the model, or auto; key: hf auth login.")
]
Price = Annotated[
    str | None, typer.Option(help="Dollars per million tokens, prompt and answer: 0.15,0.60; 0: your own server.")
]
MaxDollars = Annotated[float | None, typer.Option(help="Most dollars that remote answers may cost.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def methods_of(
    approaches: str | None,
    *,
    old_data: bool,
    top_blocks: int,
    replay_ratio: float | None,
    ewc_strength: float | None,
    prompted: "PromptOptions",
) -> "tuple[Method, ...]":
    """What --approaches names, with the settings of the options beside it.

    Raises:
        PlanError: it names nothing, or something unknown, or an option sets what none of them has.
    """
    from hf_transfer_kit.plan import TopLayers
    from hf_transfer_kit.study.method import method_named

    default = APPROACHES_WITH_OLD_DATA if old_data else APPROACHES
    names = words(default if approaches is None else approaches)
    if not names:
        raise PlanError("--approaches names none; give for example features,full.")
    settings = {"top_layers": TopLayers(blocks=top_blocks), **prompted.approaches()}
    methods = [method_named(name, "--approaches", settings) for name in names]
    for option, value, protection in (
        ("--replay-ratio", replay_ratio, "replay"), ("--ewc-strength", ewc_strength, "ewc"),
    ):  # fmt: skip
        if value is not None and not any(protection in method.protection.names for method in methods):
            raise PlanError(f"{option} {value} belongs to +{protection}, which --approaches does not name; add it.")
    return tuple(
        replace(method, protection=_with_settings(method.protection, replay_ratio, ewc_strength)) for method in methods
    )


def _with_settings(protection: "Protection", replay_ratio: float | None, ewc_strength: float | None) -> "Protection":
    """`protection` with the settings that are given, where it has what they set."""
    if protection.replay is not None and replay_ratio is not None:
        protection = replace(protection, replay=replace(protection.replay, ratio=replay_ratio))
    if protection.ewc is not None and ewc_strength is not None:
        protection = replace(protection, ewc=replace(protection.ewc, strength=ewc_strength))
    return protection


def old_spec(
    path: str | None, input_column: str | None, label_column: str | None, new: "DataSpec"
) -> "DataSpec | None":
    """The old data, split and cut as the new; None without --old-data.

    Raises:
        PlanError: a column of it is named, and it is not.
    """
    if path is not None:
        return replace(
            new, path=path, config=None, revision=None, input_column=input_column, label_column=label_column
        )
    for option, value in (("--old-input-column", input_column), ("--old-label-column", label_column)):
        if value is not None:
            raise PlanError(f"{option} {value} belongs to --old-data; add --old-data, or leave it out.")
    return None


def train_size(word: str) -> int | None:
    """A number of examples; None for "all"; raises PlanError for anything else."""
    if word == "all":
        return None
    if not word.isdigit():
        raise PlanError(f"--train-sizes: '{word}' is no number of examples; give for example 64,256,all.")
    return int(word)


def words(text: str) -> list[str]:
    """What stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]
