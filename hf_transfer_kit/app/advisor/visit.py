"""What the Advisor tab of one browser is about: kept there between visits, and checked when it comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hf_transfer_kit.advisor.conversation.consultation import Consultation
from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.app.data.hub_names import is_hub_name
from hf_transfer_kit.errors import TransferKitError
from hf_transfer_kit.launch.job import is_id
from hf_transfer_kit.values import check_format, from_mapping, to_mapping

FORMAT, VERSION = "hf_transfer_kit.visit", 1
MOST_TURNS = 60  # that are kept and shown; the facts of older ones stay
LONGEST_NAME = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit; every step gives a new one.

    Fields:
        consultation: what was said, and what was measured.
        data: name of the data at hand; "": there are none.
        reading: digest of where these lie and how they are read.
        of_data: what they told.
        job: id of the measurement that was started last; "": none was.
        measured: id of the one that the advice rests on; "": none.
    """

    consultation: Consultation = field(default_factory=Consultation)
    data: str = ""
    reading: str = ""
    of_data: TaskFacts = field(default_factory=TaskFacts)
    job: str = ""
    measured: str = ""

    @property
    def is_measuring(self) -> bool:
        """Whether a measurement was started of which the consultation does not know yet."""
        return self.job != self.measured

    def to_mapping(self) -> dict[str, Any]:
        """As plain values for the browser, without the evidence: that stays with its job."""
        kept = replace(self, consultation=replace(self.consultation, evidence=None))
        return {"format": FORMAT, "version": VERSION} | dict(to_mapping(kept))


def restored(kept: Any) -> Visit:
    """The visit that a browser kept, without evidence; a new one where it is none, or was tampered with.

    Example:
        >>> restored({"format": "something else"}) == Visit()
        True
    """
    if not kept:
        return Visit()
    try:
        visit = _read(kept)
    except (TransferKitError, TypeError, RecursionError):
        return Visit()
    return visit if _is_ours(visit) else Visit()


def is_harmless(facts: TaskFacts) -> bool:
    """Whether no fact names a place on this machine."""
    return facts.data is None and (facts.base_model is None or is_hub_name(facts.base_model))


def trimmed(consultation: Consultation) -> Consultation:
    """With its last turns alone."""
    return replace(consultation, turns=consultation.turns[-MOST_TURNS:])


def _read(kept: Mapping[str, Any]) -> Visit:
    visit = from_mapping(Visit, check_format(kept, name=FORMAT, version=VERSION, where="visit"), "visit")
    DialogueState.from_mapping(visit.consultation.state.to_mapping())  # no longer than a conversation can make it
    return replace(visit, consultation=replace(visit.consultation, evidence=None))  # measured here or not at all


def _is_ours(visit: Visit) -> bool:
    state = visit.consultation.state
    facts = [visit.of_data, state.facts, *(moment.facts for moment in state.past)]
    ids = all(not each or is_id(each) for each in (visit.job, visit.measured))
    short = len(visit.consultation.turns) <= MOST_TURNS and max(len(visit.data), len(visit.reading)) <= LONGEST_NAME
    return ids and short and all(map(is_harmless, facts))
