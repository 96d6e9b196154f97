"""What a consultation has at hand besides the rules: the data, measurements, the Hub, a folder for what comes out."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_transfer_kit.advisor.advice import Advice, ModelAdvice
from hf_transfer_kit.advisor.conversation.consultation import Consultation
from hf_transfer_kit.advisor.deciding.decision import decide
from hf_transfer_kit.advisor.deciding.planned import to_fill_in
from hf_transfer_kit.advisor.evidence import Evidence
from hf_transfer_kit.advisor.exports.plan_export import PlanExport, export_plan
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.memory_rule import MemoryOf, known_memory
from hf_transfer_kit.errors import DataError, TransferKitError
from hf_transfer_kit.plan import DataSpec, ModelSpec, TransferPlan
from hf_transfer_kit.values import to_mapping, write_json, write_text_atomically

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.transferability.result import Ranking

CONVERSATION, ADVICE, RANKING = "conversation.json", "advice.json", "ranking.json"
SEVERAL_GPUS = ("multi_gpu", "cluster")
OnProgress = Callable[[str, int, int], None]


@dataclass(kw_only=True)
class Workbench:
    """Data at hand, and the machine they lie on.

    Fields:
        data: what to load; None: there is none.
        models: candidates to measure; empty: those that the rules name.
        online: whether the Hub is asked for candidates.
        max_rows: training rows to measure on; None: 1000, or 20 of each class if that is more, up to 3000.
        ranking, evidence: the last measurement, and what it means.
    """

    data: DataSpec | None = None
    models: tuple[str, ...] = ()
    online: bool = True
    max_rows: int | None = None
    ranking: "Ranking | None" = None
    evidence: Evidence | None = None

    @property
    def spec(self) -> DataSpec:
        """What to load; raises DataError where there are no data."""
        if self.data is None:
            raise DataError("there are no data at hand to measure on; give them with --data.")
        return self.data

    @cached_property
    def loaded(self) -> "LabelledData":
        """The data, read once.

        Raises:
            DataError, PlanError: as `load_data`.
        """
        from hf_transfer_kit.data.labelled import load_data

        return load_data(self.spec)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the data tell; nothing without data."""
        if self.data is None:
            return {}
        from hf_transfer_kit.advisor.at_hand.data_facts import facts_from_data

        return facts_from_data(self.loaded, self.data.path)

    def candidates(self, consultation: Consultation) -> tuple[str, ...]:
        """Names of the models to measure now."""
        from hf_transfer_kit.advisor.at_hand.measuring import candidates_of

        facts = consultation.state.facts
        own = [facts.base_model] if facts.base_model else []
        names = self.models or candidates_of(decide(facts, self.memory_of), facts.language)
        return tuple(dict.fromkeys((*own, *names)))

    def rank(self, names: Sequence[str], on_progress: OnProgress | None = None) -> "Ranking":
        """The ranking of `names` on the data; it is kept, and what it means, too.

        Raises:
            ModelError: none of them could be measured.
            DataError: the data cannot be learned from.
        """
        from hf_transfer_kit.advisor.at_hand.measuring import evidence_on, rows_to_measure
        from hf_transfer_kit.transferability.ranking import rank

        spec, loaded = self.spec, self.loaded
        rows = self.max_rows or rows_to_measure(len(loaded.label_names))
        ranking = rank(
            loaded, [ModelSpec(name=name) for name in names], max_rows=rows, max_length=spec.max_length,
            on_progress=on_progress,
        )  # fmt: skip
        self.ranking = replace(ranking, data=spec.path)
        self.evidence = evidence_on(self.ranking, loaded, spec, max_rows=rows)
        return self.ranking

    @property
    def memory_of(self) -> MemoryOf:
        """What models need: by their configurations, once length and number of classes of the data are known."""
        return self._memory_for_data if self.data is not None and "facts" in self.__dict__ else known_memory

    @cached_property
    def _memory_for_data(self) -> MemoryOf:
        from hf_transfer_kit.advisor.at_hand.measured_memory import memory_from_configurations

        return memory_from_configurations(self.facts.get("input_length"), self.facts["n_classes"])

    def completed(self, advice: Advice) -> Advice:
        """The advice with a plan for these very data, and with candidates from the Hub behind its own."""
        if advice.plan is not None and self.data is not None:
            data = replace(self.data, max_length=advice.plan["data"].get("max_length", self.data.max_length))
            advice = replace(advice, plan={**advice.plan, "data": to_mapping(data)})
        try:
            found = self.search(advice.facts)
        except TransferKitError as error:
            return replace(advice, notes=(*advice.notes, f"No more candidates: {error}"))
        known = {each.hub_id for each in advice.models}
        return replace(advice, models=(*advice.models, *(each for each in found if each.hub_id not in known)))

    def search(self, facts: TaskFacts) -> tuple[ModelAdvice, ...]:
        """Candidates from the Hub; none where it must not be asked; raises RemoteError where it does not answer."""
        if not self.online:
            return ()
        from hf_transfer_kit.advisor.at_hand.hub_search import search_models

        return search_models(facts)

    def export(self, advice: Advice, out: Path = Path()) -> PlanExport | None:
        """The plan in every form, for files in `out`; None where the kit has no plan."""
        if advice.plan is None:
            return None
        compute, plan = advice.facts.compute, TransferPlan.from_mapping(advice.plan)
        processes = 2 if compute in SEVERAL_GPUS else 1
        return export_plan(plan, processes=processes, gpu=compute in ("gpu", *SEVERAL_GPUS), folder=out)

    def save(self, consultation: Consultation, advice: Advice, out: Path) -> "Saved":
        """Writes conversation, advice, measurement, plan and scripts into `out`."""
        out.mkdir(parents=True, exist_ok=True)
        consultation.save(out / CONVERSATION)
        write_json(out / ADVICE, advice.to_mapping())
        if self.ranking is not None:
            self.ranking.save(out / RANKING)
        exported = self.export(advice, out)
        if exported is None or advice.plan is None:
            return Saved(folder=out)
        plan = TransferPlan.from_mapping(advice.plan)
        for name, text in (("plan.yaml", exported.yaml), ("train.py", exported.python), ("job.py", exported.job)):
            if text:
                write_text_atomically(out / name, text)
        model = [] if plan.model is None else ["--model", plan.model.name]
        compare = shlex.join(["transfer-kit", "compare", "--data", plan.data.path, *model])
        return Saved(folder=out, export=exported, comparison=compare, missing=to_fill_in(plan))


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What was written, and how to start it.

    Fields:
        export: the plan in every form; None where the kit has no plan.
        comparison: the command that measures it against the other methods.
        missing: what must be filled in first.
    """

    folder: Path
    export: PlanExport | None = None
    comparison: str = ""
    missing: tuple[str, ...] = ()
