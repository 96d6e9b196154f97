"""What happens in the tab, step by step, without a browser."""

import asyncio
import inspect
import sys
import time
from dataclasses import replace

import pytest

gr = pytest.importorskip("gradio", reason="gradio is not installed: no page to lay out")

from advisor.llm.talking import Scripted  # noqa: E402
from advisor.made_rankings import candidate, ranking  # noqa: E402

from hf_transfer_kit.advisor.at_hand.measuring import evidence_of  # noqa: E402
from hf_transfer_kit.advisor.evidence import FILE  # noqa: E402
from hf_transfer_kit.advisor.facts import TaskFacts  # noqa: E402
from hf_transfer_kit.app.advisor import handlers, measuring  # noqa: E402
from hf_transfer_kit.app.advisor.advising import EXAMPLES, MEASURE, TRY_DEMO  # noqa: E402
from hf_transfer_kit.app.advisor.handlers import Handlers  # noqa: E402
from hf_transfer_kit.app.advisor.layout import advisor_layout  # noqa: E402
from hf_transfer_kit.app.advisor.tab import connect_advisor  # noqa: E402
from hf_transfer_kit.app.advisor.visit import restored  # noqa: E402
from hf_transfer_kit.app.advisor.voice import Voice  # noqa: E402
from hf_transfer_kit.app.data.chosen import demo  # noqa: E402
from hf_transfer_kit.app.settings import Settings  # noqa: E402

MARK = "a" * 32
FACTS = TaskFacts(modality="text", task="classification", n_labelled=768, n_classes=12, language="en")


class Page:
    """The tab as the browser would show it: what each handler gives is put into `values`."""

    def __init__(self, settings):
        with gr.Blocks():
            self.tab = advisor_layout(settings, gr.BrowserState(None))
            states = {name: gr.State(None) for name in ("demo_wanted", "ended", "asked")}
            self.timer = gr.Timer(1, active=False)
            self.handlers = Handlers(settings, self.tab, timer=self.timer, **states)
        self.demo_wanted, self.asked, self.ended = states["demo_wanted"], states["asked"], states["ended"]
        self.chosen = None
        self.values, self.updates = {self.tab.kept: None}, []

    def do(self, handler, *values):
        """Calls a handler with what the browser kept, and shows what it gives."""

        async def run():
            given = getattr(self.handlers, handler)(self.values[self.tab.kept], MARK, *values)
            return [each async for each in given] if inspect.isasyncgen(given) else [given]

        self.updates = asyncio.run(run())
        for update in self.updates:
            self.values |= {part: value for part, value in update.items() if value != gr.skip()}

    def read(self):
        """What `data_read` gives for the demo data."""
        return asyncio.run(self.handlers.data_read(self.values[self.tab.kept], MARK, demo()))[0]

    def say(self, text, voice=None):
        self.do("said", text, self.chosen, voice)

    def choose_demo(self):
        self.chosen = demo()
        self.do("data_told", demo(), self.read())

    @property
    def chat(self):
        return [each["content"] for each in self.values[self.tab.talk.chat]]

    @property
    def visit(self):
        return restored(self.values[self.tab.kept])


@pytest.fixture(autouse=True)
def read_at_once(monkeypatch):
    """What the demo data tell is read in other tests; it takes a second."""
    monkeypatch.setattr(handlers, "facts_of", lambda chosen: FACTS)


@pytest.fixture
def settings(tmp_path):
    return Settings(runs=tmp_path, shared=True)


@pytest.fixture
def page(settings):
    return Page(settings)


def test_a_message_is_answered_piece_by_piece_and_the_rest_of_the_page_follows_the_last(page):
    page.say(EXAMPLES[0])
    kept, chat, card = page.tab.kept, page.tab.talk.chat, page.tab.advice.card

    assert len(page.updates) > 3
    assert all(kept in update and chat in update for update in page.updates)  # a part left out later is spoilt there
    assert [card in update for update in page.updates] == [False] * (len(page.updates) - 1) + [True]
    assert all(update[chat][1]["content"] == EXAMPLES[0] for update in page.updates)
    assert page.updates[0][page.tab.talk.message] == "" and page.tab.talk.message not in page.updates[1]
    assert "<h3>" in page.values[card]


def test_the_first_piece_is_there_within_300_ms(page):
    page.say("hello")  # the tables of the rules are read once
    seconds = []

    async def first():
        begin = time.perf_counter()
        async for _ in page.handlers.said(None, MARK, EXAMPLES[1], None, None):
            seconds.append(time.perf_counter() - begin)

    asyncio.run(first())
    assert seconds[0] < 0.3
    assert seconds[-1] - seconds[0] < 0.8


def test_an_empty_message_changes_nothing(page):
    page.say("   ")

    assert page.updates == [{page.tab.talk.chat: gr.skip()}]


def test_the_demo_data_by_one_click_then_quick_replies_to_advice_that_can_be_measured(page):
    page.say(TRY_DEMO)
    assert page.values[page.demo_wanted]
    page.choose_demo()
    assert page.chat[1] == TRY_DEMO and page.chat[-1].startswith("Read from demo sentences: 768 labelled")
    while (question := page.visit.consultation.state.question) is not None:
        page.say(question.replies[0])

    assert page.values[page.tab.talk.chat][-1]["options"][0]["value"] == MEASURE
    assert page.values[page.tab.data.measure].visible
    assert page.values[page.tab.advice.to_training].interactive


def test_data_that_are_known_are_not_read_again(page):
    page.choose_demo()
    turns = page.visit.consultation.turns
    page.choose_demo()

    assert page.visit.consultation.turns == turns
    assert page.read() is None


def test_no_data_where_there_were_none_change_nothing(page):
    page.say(EXAMPLES[0])
    page.do("data_told", None, None)

    assert page.updates == [{page.tab.talk.chat: gr.skip()}]


def test_a_message_said_while_the_data_are_read_is_not_lost(page):
    facts = page.read()
    page.say("no GPU")
    page.do("data_told", demo(), facts)

    assert "no GPU" in page.chat
    assert page.visit.consultation.state.facts.compute == "cpu"


def job_that(code="", evidence=None):
    """Takes the place of `measuring.start`: a job that runs a line of Python and leaves `evidence`."""

    def start(visit, data, settings, mark):
        status = settings.jobs.submit(lambda folder: [sys.executable, "-c", code], owner=settings.owner_of(mark))
        if evidence is not None:
            evidence.save(status.folder / FILE)
        return replace(visit, job=status.job.id)

    return start


def test_a_measurement_is_watched_to_its_end_and_then_told(page, monkeypatch):
    evidence = evidence_of(ranking(candidate("me/best", 0.995, half=0.01)))
    monkeypatch.setattr(measuring, "start", job_that(evidence=evidence))
    page.choose_demo()
    page.say(MEASURE)
    assert page.values[page.timer].active
    assert page.values[page.tab.data.stop].visible or page.visit.measured

    page.do("watched", demo())
    assert page.values[page.ended] == page.visit.job
    page.do("measured", page.values[page.ended])

    assert "The advice changes:" in page.chat[-1]
    assert "<svg" in page.values[page.tab.advice.evidence]
    assert not page.values[page.timer].active
    assert not page.values[page.tab.data.stop].visible


def test_a_measurement_that_fails_says_so_and_another_may_begin(page, monkeypatch):
    monkeypatch.setattr(measuring, "start", job_that("raise SystemExit(1)"))
    page.choose_demo()
    page.do("measure", demo())
    page.do("watched", demo())
    page.do("measured", page.values[page.ended])

    assert "Nothing was measured" in page.values[page.tab.data.progress]
    assert page.values[page.tab.data.measure].visible


def test_measuring_that_is_not_allowed_says_so_where_the_button_is(tmp_path):
    page = Page(Settings(runs=tmp_path, shared=True, launching=False))
    page.do("measure", None)

    assert "choose the data first" in page.values[page.tab.data.progress]


def test_start_again_by_button_or_by_word_keeps_the_data_and_stops_the_measurement(page, monkeypatch, settings):
    monkeypatch.setattr(measuring, "start", job_that("import time; time.sleep(60)"))
    page.choose_demo()
    page.do("measure", demo())
    job = page.visit.job
    page.say("start again")

    assert page.visit.data == demo().name and page.visit.job == ""
    assert settings.jobs.get(job).state in ("stopping", "stopped")
    assert len(page.chat) == 2


def test_a_language_model_is_asked_after_the_rules_have_answered(page):
    answer = "Take feature extraction: with 80 x-rays the model stays frozen."
    page.say(EXAMPLES[1], Voice(Scripted(answer), "mine"))
    assert page.asked in page.updates[-1] and page.asked not in page.updates[0]

    async def asked():
        given = page.handlers.asked(page.values[page.asked], Voice(Scripted(answer), "mine"))
        return [each async for each in given]

    (waiting, _), (_, worded) = asyncio.run(asked())
    assert "Asking mine" in waiting
    page.do("worded", worded)
    assert page.chat[-1].startswith(answer)


def test_a_wording_that_comes_too_late_is_not_shown(page):
    page.say(EXAMPLES[1], voice := Voice(Scripted("Feature extraction it is."), "mine"))
    worded = asyncio.run(voice.word(page.values[page.asked]))
    page.say("200 labelled")
    before = page.chat
    page.do("worded", worded)

    assert page.chat == before


def test_no_listener_is_open_to_the_world(settings):
    with gr.Blocks() as blocks:
        tab = advisor_layout(settings, gr.BrowserState(None))
        connect_advisor(settings, tab, gr.BrowserState(""), gr.State(None), gr.State(0), blocks)

    assert {dependency["api_visibility"] for dependency in blocks.config["dependencies"]} == {"private"}
