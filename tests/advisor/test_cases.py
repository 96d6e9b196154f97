"""Every row of the four guides, as a test of the advice."""

import pytest
from advisor.cases import CASES, IDS, Case

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.deciding.asking import askables
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.knowledge.rule_table import rule
from hf_transfer_kit.advisor.rules import advise


def test_every_row_of_the_guides_has_a_case_and_a_rule():
    assert len(IDS) == 131
    assert {case.id for case in CASES} == IDS
    assert all(rule(id).says for id in IDS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_advice_follows_the_guides(case: Case):
    advice = advise(TaskFacts(**case.facts))

    assert case.method in (None, advice.method)
    assert case.depth in (None, advice.depth)
    check_models(case, advice)
    assert set(case.reasons) <= {reason.rule for reason in advice.reasons}
    assert set(case.warnings) <= {warned.rule for warned in advice.warnings}
    assert {rule(id).says for id in case.evaluation} <= set(advice.evaluation)
    assert set(case.alternatives) <= {other.method for other in advice.alternatives}
    assert set(case.protections) <= set(advice.protections)
    assert not set(case.not_protections) & set(advice.protections)
    assert case.hyper.items() <= advice.hyperparameters.items()
    assert all(part in rule(case.id).says for part in case.text)
    if case.asks is not None:
        assert advice.next_question is not None and advice.next_question.fact == case.asks
        assert case.id in askables()[case.asks].rules


def check_models(case: Case, advice: Advice) -> None:
    families = [model.family for model in advice.models]
    assert case.first in (None, families[0])
    assert case.not_first != families[0]
    assert set(case.models) <= set(families)
    assert not set(case.not_models) & set(families)
