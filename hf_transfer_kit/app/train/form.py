"""The plan as a form: what the page asks of it, and back. Settings that the form does not show are kept."""

from dataclasses import dataclass, fields, replace
from typing import Any

from hf_transfer_kit.plan import APPROACHES, PROTECTIONS, DataSpec, ModelSpec, Protection, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_OLD_DATA

IN_WORDS = {  # of every approach, those that train first
    "full": "Fine-tune every weight",
    "gradual": "Fine-tune, opening block after block",
    "top_layers": "Fine-tune the top blocks only",
    "lora": "Small adapters beside frozen weights",
    "prompt_tuning": "Learned tokens before frozen weights",
    "features": "Frozen model, a head on its features",
    "prototype": "Frozen model, nearest class",
    "few_shot": "Ask with examples in the prompt",
    "zero_shot": "Ask with a prompt alone",
    "scratch": "Control: train from a random start",
    "shallow": "Control: no pre-trained model",
    "majority": "Control: always the most frequent class",
}
PROTECTIONS_IN_WORDS = {
    "ewc": "Hold the weights the old data needs", "l2sp": "Pull back to the start", "replay": "Mix in old examples",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What the form shows of a plan.

    Fields:
        approach: its name.
        model: its name; "" for none.
        epochs, batch_size, accumulation, precision: of `plan.Training`.
        protections: names of those that are on.
        old_data: what must not be forgotten; "" for none.
        learning_rate: None: the approach's default, or it has none.
        train_size: labelled examples; None: all.
    """

    approach: str = "full"
    model: str = ""
    epochs: int = 10
    batch_size: int = 16
    protections: tuple[str, ...] = ()
    old_data: str = ""
    seed: int = 0
    learning_rate: float | None = None
    train_size: int | None = None
    accumulation: int = 1
    precision: str = "auto"


def fields_of(plan: TransferPlan) -> Fields:
    """What the form shows of `plan`.

    Example:
        >>> from hf_transfer_kit.plan import Full
        >>> plan = TransferPlan(data=DataSpec(path="a.csv"), model=ModelSpec(name="org/m"), approach=Full())
        >>> with_fields(plan, fields_of(plan)) == plan
        True
    """
    training = plan.training
    return Fields(
        approach=plan.approach.name, model="" if plan.model is None else plan.model.name, epochs=training.epochs,
        batch_size=training.batch_size, protections=plan.protection.names,
        old_data="" if plan.old_data is None else plan.old_data.path, seed=plan.seed,
        learning_rate=getattr(plan.approach, "learning_rate", None), train_size=plan.data.train_size,
        accumulation=training.accumulation, precision=training.precision,
    )  # fmt: skip


def with_fields(plan: TransferPlan, wanted: Fields) -> TransferPlan:
    """`plan` with what the form says; everything else stays as it is.

    Raises:
        PlanError: a value is out of range, or the values do not go together.
    """
    return replace(
        plan,
        approach=_approach(plan, wanted),
        model=_model(plan, wanted.model.strip()),
        training=replace(
            plan.training, epochs=wanted.epochs, batch_size=wanted.batch_size, accumulation=wanted.accumulation,
            precision=wanted.precision,
        ),
        data=replace(plan.data, train_size=wanted.train_size),
        old_data=_old_data(plan, wanted.old_data.strip()),
        protection=_protection(plan, wanted.protections),
        seed=wanted.seed,
    )  # fmt: skip


def needs_old_data(wanted: Fields) -> bool:
    """Whether a protection is chosen that learns from old examples, and none are named."""
    return bool({"ewc", "replay"} & set(wanted.protections)) and wanted.old_data.strip() in ("", YOUR_OLD_DATA)


def _approach(plan: TransferPlan, wanted: Fields) -> Any:
    same = plan.approach.name == wanted.approach
    approach = plan.approach if same else APPROACHES[wanted.approach]()
    optional = "learning_rate" in {field.name for field in fields(approach)}
    if not optional or (wanted.learning_rate is None and approach.name == "prompt_tuning"):
        return approach
    return replace(approach, learning_rate=wanted.learning_rate)


def _model(plan: TransferPlan, name: str) -> ModelSpec | None:
    if not name:
        return None
    return plan.model if plan.model is not None and plan.model.name == name else ModelSpec(name=name)


def _old_data(plan: TransferPlan, path: str) -> DataSpec | None:
    if not path:
        return None
    return plan.old_data if plan.old_data is not None and plan.old_data.path == path else DataSpec(path=path)


def _protection(plan: TransferPlan, names: tuple[str, ...]) -> Protection:
    kept = {name: getattr(plan.protection, name) or PROTECTIONS[name]() for name in names}
    return Protection(**kept)
