"""The data set of a visit: where it comes from, how it is read, and what stands for it in a plan."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from hf_transfer_kit.app.data.hub_names import data_name, is_hub_name
from hf_transfer_kit.app.data.uploads import Upload
from hf_transfer_kit.app.wording import in_page_words
from hf_transfer_kit.demo import demo_data, older_data
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec, TransferPlan
from hf_transfer_kit.plan.specs import YOUR_DATA

DEMO, OLDER_DEMO = "demo sentences", "older demo sentences"
BUNDLED = {DEMO: demo_data, OLDER_DEMO: older_data}  # named so in the page
_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.+/-]{0,99}", re.ASCII)  # a configuration or a revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a data set is read; the fields are those of `plan.DataSpec`."""

    input_column: str | None = None
    label_column: str | None = None
    task: str | None = None
    config: str | None = None
    revision: str | None = None
    drop_empty: bool = False
    drop_rare: bool = False
    split_seed: int = 0
    test_share: float = 0.2
    max_length: int = 128

    @property
    def options(self) -> list[str]:
        """Options of a command for what differs from the usual reading.

        Example:
            >>> Reading(label_column="intent", drop_rare=True).options
            ['--label-column=intent', '--drop-rare']
        """
        usual, found = Reading(), []
        for name in Reading.__slots__:
            if (value := getattr(self, name)) != getattr(usual, name):
                option = f"--{name.replace('_', '-')}"
                found.append(option if value is True else f"{option}={value}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenData:
    """A data set by the name that people see, and what to load; the place on this machine is never shown.

    Fields:
        upload: id of the upload that it is, or "".
    """

    name: str
    spec: DataSpec
    upload: str = ""

    @property
    def reading(self) -> Reading:
        """How it is read."""
        return Reading(**{name: getattr(self.spec, name) for name in Reading.__slots__})

    def read_as(self, reading: Reading) -> "ChosenData":
        """The same data read in another way.

        Raises:
            PlanError: a number is out of range.
            DataError: configuration or revision can be no name on the Hub.
        """
        for what, value in (("configuration", reading.config), ("revision", reading.revision)):
            if value is not None and (not _ON_THE_HUB.fullmatch(value) or ".." in value):
                raise DataError(f"'{value[:100]}' is no {what} of a data set on the Hub; leave it empty.")
        return replace(self, spec=replace(self.spec, **{name: getattr(reading, name) for name in Reading.__slots__}))

    def said(self, error: Exception | str) -> str:
        """An error in the words of the page."""
        return in_page_words(str(error), {self.spec.path: self.name})


def demo() -> ChosenData:
    """The sentences inside the package."""
    return ChosenData(name=DEMO, spec=DataSpec(path=str(demo_data())))


def uploaded(upload: Upload) -> ChosenData:
    """A file that was uploaded and kept."""
    return ChosenData(name=upload.path.name, spec=DataSpec(path=str(upload.path)), upload=upload.id)


def named_in(spec: DataSpec) -> ChosenData:
    """The data of a plan or a record, by the name that people know it by."""
    if spec.path == str(demo_data()):
        return ChosenData(name=DEMO, spec=spec)
    return ChosenData(name=Path(spec.path).name if Path(spec.path).is_absolute() else spec.path, spec=spec)


def on_the_hub(name: str) -> ChosenData:
    """A data set by its Hub name; raises DataError where it is none."""
    name = data_name(name)
    return ChosenData(name=name, spec=DataSpec(path=name))


def for_the_page(plan: TransferPlan, chosen: ChosenData | None) -> TransferPlan:
    """A plan with the chosen data in the place of YOUR_DATA, by the name that people see."""
    if chosen is None or plan.data.path != YOUR_DATA:
        return plan
    return replace(plan, data=replace(chosen.spec, path=chosen.name, max_length=plan.data.max_length))


def for_the_run(plan: TransferPlan, chosen: ChosenData | None) -> TransferPlan:
    """A plan from the page with the place of its data.

    Raises:
        DataError: its data is neither the chosen one nor on the Hub.
        PlanError: its model is not on the Hub, or it names a prompt file.
    """
    if plan.model is not None and (plan.model.remote is not None or not is_hub_name(plan.model.name)):
        raise PlanError(f"model.name '{plan.model.name}' must be a name on the Hub, loaded here: org/name.")
    if getattr(plan.approach, "prompt", None):
        raise PlanError("approach.prompt names a file; leave it out, and write the prompt in the Baseline tab.")
    if plan.data.path == YOUR_DATA:
        raise DataError("data.path is still YOUR_DATA; choose data in the Baseline tab, or write a Hub name.")
    specs = {"data": plan.data} | ({} if plan.old_data is None else {"old_data": plan.old_data})
    return replace(plan, **{name: _placed(spec, chosen) for name, spec in specs.items()})  # type: ignore[arg-type]


def _placed(spec: DataSpec, chosen: ChosenData | None) -> DataSpec:
    if chosen is not None and spec.path == chosen.name:
        return replace(spec, path=chosen.spec.path)
    if spec.path in BUNDLED:
        return replace(spec, path=str(BUNDLED[spec.path]()))
    return replace(spec, path=data_name(spec.path))
