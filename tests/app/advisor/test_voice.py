"""A language model words the answers; the rules' answer stands wherever it does not."""

import asyncio
import time
from dataclasses import replace

import pytest
from advisor.llm.talking import Scripted, call
from prompting.remote.scripted_server import ScriptedServer, completion, reachable

from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.llm.talk import Talk
from hf_transfer_kit.app.advisor import voice as voice_module
from hf_transfer_kit.app.advisor.advising import told
from hf_transfer_kit.app.advisor.visit import Visit
from hf_transfer_kit.app.advisor.voice import Asked, Voice, Worded, connected, in_own_thread, may_be_asked
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.prompting.remote.remote_client import Unanswered

X_RAYS = "80 labelled chest x-rays, no GPU"
GOOD = "Take feature extraction: with 80 x-rays the model stays frozen."


def asked(message=X_RAYS, before=None):
    before = before or Visit()
    return Asked(message=message, before=before, after=told(before, message))


def worded(*answers, question=None, seconds=5.0):
    voice = Voice(Scripted(*answers), "mine", seconds)
    return asyncio.run(voice.word(question or asked()))


def test_the_wording_takes_the_place_of_the_answer_and_the_rules_keep_method_and_question():
    question = asked()
    found = worded(GOOD, question=question)
    after = found.put_into(question.after)

    assert after.consultation.turns[-1].answer.startswith(GOOD)
    assert after.consultation.state == question.after.consultation.state
    assert not found.note


def test_what_it_says_without_a_source_is_struck_out():
    found = worded("Feature extraction it is. You will reach 99 %.")

    assert "~~99 %~~" in found.visit.consultation.turns[-1].answer


@pytest.mark.parametrize("answer", ["", Unanswered("no answer within 5 s", may_be_billed=True)], ids=["empty", "late"])
def test_where_it_does_not_answer_one_line_says_so_and_the_answer_stands(answer):
    question = asked()
    found = worded(answer)

    assert found.visit is None
    assert found.put_into(question.after) == question.after
    assert found.note.startswith("The language model gives no answer (") and "\n" not in found.note


def test_a_wording_that_comes_after_something_else_was_said_is_dropped():
    question = asked()
    found, later = worded(GOOD, question=question), told(question.after, "undo")

    assert found.put_into(later) == later


def test_a_measurement_that_came_meanwhile_is_kept():
    question = asked()
    visit = replace(question.after, job="1" * 32, measured="1" * 32)

    assert worded(GOOD, question=question).put_into(visit).measured == "1" * 32


def test_a_place_on_this_machine_that_it_notes_is_not_taken():
    words = "start from /etc/models"
    question = asked(f"{X_RAYS}, {words}")
    note = call("set_facts", {"facts": {"base_model": "/etc/models"}, "words": words})
    found = worded(note, GOOD, question=question)

    assert "/etc/models" not in str(found.put_into(question.after).consultation.state.facts)


@pytest.fixture
def talks(monkeypatch):
    """One entry for each talk that begins."""
    begun = []
    monkeypatch.setattr(voice_module, "Talk", lambda *given: begun.append(given) or Talk(*given))
    return begun


def test_a_message_during_an_answer_begins_another_talk_and_nobody_waits(talks):
    def slow(messages):
        time.sleep(1)
        return GOOD

    async def both():
        voice = Voice(Scripted(GOOD, slow, slow), "mine")
        await voice.word(asked())
        first = asyncio.create_task(voice.word(asked()))
        await asyncio.sleep(0.05)
        begin = time.perf_counter()
        await asyncio.gather(first, voice.word(asked()), in_own_thread(lambda: None))
        return time.perf_counter() - begin

    assert asyncio.run(both()) < 1.8
    assert len(talks) == 2


def test_the_next_message_goes_on_with_the_same_talk(talks):
    model = Scripted(GOOD, GOOD)
    voice = Voice(model, "mine")

    async def two():
        first = asked()
        await voice.word(first)
        await voice.word(asked("classify images", before=first.after))

    asyncio.run(two())
    assert X_RAYS in str(model.asked[1])
    assert len(talks) == 1


def test_a_server_is_found_by_its_address_and_a_slow_one_costs_its_seconds_only(monkeypatch):
    reachable(monkeypatch)
    with ScriptedServer(lambda request: completion(GOOD, delay=3.0)) as server:
        voice = connected(f" {server.url} ", Settings())
        slow = Voice(voice._model, voice.name, seconds=0.3)
        begin = time.perf_counter()
        found = asyncio.run(slow.word(asked()))

    assert time.perf_counter() - begin < 2.5
    assert "no answer" in found.note


def test_strangers_name_no_server_and_spend_nobodys_tokens():
    with pytest.raises(RemoteError, match="no other server is asked"):
        connected("http://127.0.0.1:8000/v1", Settings(shared=True))
    public = Settings(shared=True, launching=False)
    with pytest.raises(RemoteError, match="pays for no language model"):
        connected("org/model", public)
    assert [may_be_asked(each) for each in (Settings(), Settings(shared=True), public)] == [True, True, False]


def test_no_facts_of_a_newer_visit_are_lost():
    state = asked().after.consultation.state
    other = replace(state, facts=TaskFacts(modality="text"))
    visit = replace(asked().after, consultation=replace(asked().after.consultation, state=other))

    assert Worded(asked=asked(), visit=asked().after).put_into(visit) == visit
