"""The tools of a language model, and one turn of their use: what it may note, ask for, and what comes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.advisor.advice import Advice, ModelAdvice
from hf_transfer_kit.advisor.conversation.answers import Advise
from hf_transfer_kit.advisor.conversation.dialogue_state import DialogueState, Reply
from hf_transfer_kit.advisor.exports.plan_export import PlanExport
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.llm import results
from hf_transfer_kit.advisor.llm.cleaning import Foreign
from hf_transfer_kit.advisor.llm.names import HUB_ID, Named, has_source
from hf_transfer_kit.advisor.llm.new_facts import checked_facts
from hf_transfer_kit.advisor.llm.noting import Noted, noted
from hf_transfer_kit.advisor.llm.schemas import (
    APPROACHES,
    LARGEST_BATCH,
    LONGEST_INPUT,
    MOST_MODELS,
    checked_choice,
    checked_number,
    read_arguments,
)
from hf_transfer_kit.advisor.llm.sources import Sources
from hf_transfer_kit.errors import PlanError, TransferKitError
from hf_transfer_kit.memory.estimate import PRECISIONS

if TYPE_CHECKING:
    from hf_transfer_kit.transferability.result import Ranking


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the tools do.

    Fields:
        advise: facts to advice, `rules.advise` or what stands in its place.
        estimate_memory: called with model, approach, batch, length, precision; gives `as_sum` and `total_mib`.
        search_models: candidates for the facts, from the Hub.
        export_plan: the plan of an advice in every form; None where it has none.
        rank: measures models, by name, on the person's data; None where no data are at hand.

    Each may raise TransferKitError, which the language model is told.
    """

    advise: Advise
    estimate_memory: Callable[..., Any]
    search_models: Callable[[TaskFacts], Sequence[ModelAdvice]]
    export_plan: Callable[[Advice], PlanExport | None]
    rank: "Callable[[Sequence[str]], Ranking] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool gave; `malformed`: the call was not one that the tool takes."""

    values: Mapping[str, Any]
    malformed: bool = False


@dataclass(slots=True, kw_only=True)
class ToolTurn:
    """The tools in one turn. A language model changes nothing but this; what it noted counts once the turn ends well.

    Fields:
        tools: what they do.
        before: the state before the turn.
        state, ruled: what the rules made of the message; and of the facts noted since.
        said: all messages of the person, this one last.
        sources: of the conversation so far; every result adds to them.
        quotes: the person's words behind facts that were noted, and those facts.
    """

    tools: Tools
    before: DialogueState
    state: DialogueState
    ruled: Reply
    said: tuple[str, ...]
    sources: Sources
    quotes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    _given: TaskFacts = field(init=False)

    def __post_init__(self) -> None:
        self._given = self.state.facts
        self.sources |= Sources.of_result(results.rules_values(self.ruled), self._advised)

    @property
    def _advised(self) -> str | None:
        return None if self.ruled.advice is None else self.ruled.advice.method

    def call(self, name: str, arguments: object) -> ToolResult:
        """The result of one call; never raises for what a language model hands over."""
        run = {
            "set_facts": self._set_facts, "advise": self._advise, "rank": self._rank,
            "estimate_memory": self._estimate_memory, "search_models": self._search_models,
            "make_plan": self._make_plan,
        }  # fmt: skip
        try:
            values = read_arguments(name, arguments)
        except PlanError as error:
            return ToolResult(values={"error": Foreign(error)}, malformed=True)
        try:
            result = run[name](values)
        except TransferKitError as error:
            return ToolResult(values={"error": Foreign(error)})
        except (OSError, ValueError, RuntimeError) as error:  # of libraries: no network, a server's nonsense
            return ToolResult(values={"error": f"{name} failed ({type(error).__name__})."})
        self.sources |= Sources.of_result(result, self._advised)
        return ToolResult(values=result)

    def _set_facts(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        new = checked_facts(values["facts"], values["words"], self._given, self.said)
        after: Noted = noted(self.before, self.state, self.ruled, new, self.tools.advise)
        self.state, self.ruled = after.state, after.ruled
        self.quotes.append((values["words"].strip(), new))
        return results.rules_values(self.ruled)

    def _advise(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return results.rules_values(self.ruled)

    def _rank(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.tools.rank is None:
            raise PlanError("no data are at hand to measure on; the person gives them with --data.")
        models = values["models"]
        if not isinstance(models, list) or not 1 <= len(models) <= MOST_MODELS:
            raise PlanError(f"models must be a list of 1 to {MOST_MODELS} Hub ids.")
        return results.ranking_values(self.tools.rank([self._model(each) for each in models]))

    def _estimate_memory(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        estimate = self.tools.estimate_memory(
            model=self._model(values["model"]),
            approach=checked_choice(values, "approach", APPROACHES),
            batch=checked_number(values, "batch", 16, 1, LARGEST_BATCH),
            length=checked_number(values, "length", None, 2, LONGEST_INPUT),
            precision=checked_choice(values, "precision", PRECISIONS, "fp32"),
        )
        return {"sum": estimate.as_sum, "total_mib": round(estimate.total_mib, 1)}

    def _search_models(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return results.found_values(self.tools.search_models(self.state.facts))

    def _make_plan(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.ruled.advice is None:
            raise PlanError("there is no advice yet, so there is no plan; ask the question that is open.")
        export = self.tools.export_plan(self.ruled.advice)
        if export is None:
            raise PlanError("this task has no plan that the kit can run.")
        return results.plan_values(self.ruled.advice, export)

    def _model(self, name: object) -> str:
        """A Hub id that may be used: one of a tool result or of the person."""
        if not isinstance(name, str) or not HUB_ID.fullmatch(name):
            raise PlanError("a model must be a Hub id, such as google-bert/bert-base-uncased.")
        if not has_source(Named(start=0, end=len(name), word=name, kind="id"), self.sources.names):
            raise PlanError(f"model '{name[:60]}' stands in no tool result and not in what the person wrote.")
        return name
