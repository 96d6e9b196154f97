"""Old data beside new: one numbering of both their classes, old ones first.

A class of the same name in both is one class, so that the same labels on other inputs (domain-incremental learning)
need no head of their own.
"""

from dataclasses import replace

from hf_transfer_kit.data.labelled import LabelledData, load_data
from hf_transfer_kit.data.old_text import OldTextData, has_labels, load_old_text
from hf_transfer_kit.errors import DataError, PlanError
from hf_transfer_kit.plan import DataSpec


def load_with_old(new: DataSpec, old: DataSpec) -> tuple[LabelledData, LabelledData | OldTextData]:
    """(new data, old data), the classes of both numbered by the union of their labels; old text may have none.

    Raises:
        DataError: as `load_data`, or the two are of different tasks.
        PlanError: as `load_data`, or texts are cut at different lengths.
    """
    if new.max_length != old.max_length:
        raise PlanError(
            f"data.max_length={new.max_length} and old_data.max_length={old.max_length} differ, but one model reads "
            "both; give them the same."
        )
    if not has_labels(old):
        return load_data(new), load_old_text(old)
    old_data = load_data(old)
    new_data = load_data(new, after=old_data.label_names)
    if new_data.task != old_data.task:
        raise DataError(
            f"'{new.path}' is for {new_data.task}, the old data '{old.path}' for {old_data.task}; give old data of "
            "the same task."
        )
    return new_data, replace(old_data, label_names=new_data.label_names)
