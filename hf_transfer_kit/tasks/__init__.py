"""The tasks the kit knows, by name. To add one: one file here with one class, and one line below."""

from hf_transfer_kit.errors import PlanError, did_you_mean
from hf_transfer_kit.tasks.image_classification import ImageClassification
from hf_transfer_kit.tasks.task import Task
from hf_transfer_kit.tasks.text_classification import TextClassification

TASKS: dict[str, Task] = {task.name: task for task in (TextClassification(), ImageClassification())}


def get_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        PlanError: there is no such task.
    """
    if name not in TASKS:
        raise PlanError(f"unknown task '{name}'; {did_you_mean(name, TASKS)}")
    return TASKS[name]
