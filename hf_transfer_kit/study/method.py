"""Method: an approach with what protects the old data, "full+ewc+replay"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_transfer_kit.errors import PlanError, did_you_mean
from hf_transfer_kit.plan import APPROACHES, Approach, FewShot, Protection, protection_named
from hf_transfer_kit.values import to_mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One thing that a study compares.

    Example:
        >>> from hf_transfer_kit.plan import EwcSettings, Full
        >>> Method(approach=Full(), protection=Protection(ewc=EwcSettings())).name
        'full+ewc'
    """

    approach: Approach
    protection: Protection = field(default_factory=Protection)

    @property
    def name(self) -> str:
        """As in `TransferPlan.method`."""
        return "+".join([self.approach.name, *self.protection.names])

    @property
    def folder(self) -> str:
        """Its name in a path; few_shot with how many, of which a study may have several: "few_shot-16"."""
        return f"{self.name}-{self.approach.shots}" if isinstance(self.approach, FewShot) else self.name

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, the name first; without the protection where there is none."""
        settings: dict[str, Any] = {"name": self.approach.name} | to_mapping(self.approach)
        return settings | ({"protection": to_mapping(self.protection)} if self.protection.names else {})


def method_named(name: str, where: str, approaches: Mapping[str, Approach] | None = None) -> Method:
    """The method of that name with default settings, protections in any order.

    Args:
        where: what named it, for the error text.
        approaches: those with other settings, by their names.

    Raises:
        PlanError: the approach or a protection is unknown, or a protection is named twice.

    Example:
        >>> method_named("gradual+replay+ewc", "--approaches").name
        'gradual+ewc+replay'
    """
    first, *protections = name.split("+")
    if first not in APPROACHES:
        raise PlanError(f"{where}: unknown approach '{first}'; {did_you_mean(first, APPROACHES)}")
    approach = (approaches or {}).get(first) or APPROACHES[first]()
    return Method(approach=approach, protection=protection_named(protections, where))
