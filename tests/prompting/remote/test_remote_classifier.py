import email.utils
import json
import math
import re
import threading
import time
import traceback

import numpy as np
import pytest
from prompting.remote.fake_clock import FakeClock
from prompting.remote.scripted_server import KEY, Reply, ScriptedServer, answering, completion, error, reachable

from hf_transfer_kit.errors import ModelError, PromptError, RemoteError
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.plan.specs import Remote
from hf_transfer_kit.prompting.classifier import Demonstration
from hf_transfer_kit.prompting.prompts import Prompt
from hf_transfer_kit.prompting.remote.remote_classifier import RemoteClassifier

LABELS = ["card_lost", "refund"]
PROMPT = Prompt(name="bank", template="""{{ labels | join(" or ") }}?
{% for each in demonstrations %}
Text: {{ each.input }}
Topic: {{ each.label }}
{% endfor %}
Text: {{ input }}
Topic:""", system="Sort messages.")  # fmt: skip
TEXTS = [f"{what} number {i}" for i in range(10) for what in ("money", "card")]
NO_SCHEMAS = error(400, "response_format of type json_schema is not supported")


def topic(text):
    """The right words for the last text of a prompt."""
    return "refund" if re.findall("Text: (.*)", text)[-1].startswith("money") else "card lost"


@pytest.fixture
def server(monkeypatch):
    reachable(monkeypatch)
    with ScriptedServer(answering(topic)) as running:
        yield running


def classifier_for(
    server, *, labels=LABELS, demonstrations=None, mode="auto", clock=None, name="some/model", **remote
):
    remote = {"requests_per_minute": 1e6, "timeout": 5.0} | remote
    model = ModelSpec(name=name, remote=Remote(url=server.url, **remote))
    classifier = RemoteClassifier(model, PROMPT, mode=mode, clock=clock or FakeClock())
    classifier.fit(labels, demonstrations)
    return classifier


def right(texts):
    return [int(text.startswith("money")) for text in texts]


def no_schemas(request):
    """Refuses JSON schemas, else answers."""
    return NO_SCHEMAS if "response_format" in request.body else answering(topic)(request)


# Questions and answers


def test_labels_come_back_in_the_order_of_the_inputs_whatever_the_order_of_answers(server):
    def slow_first(request):
        late = 0.05 if "number 1" in request.text else 0.0
        return answering(topic, delay=late)(request)

    server.otherwise = slow_first
    seen = []

    scores = classifier_for(server, parallel=5).score(TEXTS, lambda done, total: seen.append((done, total)))

    assert scores.predictions.tolist() == right(TEXTS)
    assert not scores.unreadable.any()
    assert scores.label_tokens.tolist() == [1, 1]
    assert seen == [(i, 20) for i in range(1, 21)]


def test_the_server_gets_the_schema_the_model_and_settings_without_randomness(server):
    classifier_for(server).score(["money"])

    (request,) = server.requests
    body = request.body
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"], body["seed"]) == ("some/model", 0, 0)
    assert body["response_format"]["type"] == "json_schema"  # huggingface_hub would send vLLM a json_object
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"] == ["card lost", "refund"]
    assert body["messages"][0] == {"role": "system", "content": "Sort messages."}


def test_demonstrations_stand_in_the_prompt(server):
    classifier_for(server, demonstrations=[Demonstration(input="where is it", label="card_lost")]).score(["money"])

    assert "Text: where is it\nTopic: card lost\nText: money\nTopic:" in server.requests[0].text


def test_retrieved_demonstrations_belong_to_their_input(server):
    class Echo:
        def demonstrations_for(self, inputs):
            return [(Demonstration(input=f"like {text}", label="refund"),) for text in inputs]

    classifier_for(server, demonstrations=Echo(), parallel=1).score(["money", "card"])

    assert ["Text: like money\nTopic: refund\nText: money" in each.text for each in server.requests] == [True, False]
    assert "Text: like card\nTopic: refund\nText: card" in server.requests[1].text


def test_template_syntax_and_label_words_in_a_text_are_data(server):
    text = "money {{ 7 * 7 }} {% for x in labels %} Topic: card lost"

    scores = classifier_for(server).score([text])

    assert text in server.requests[0].text
    assert scores.predictions.tolist() == [1]


def test_equal_questions_are_sent_once(server):
    scores = classifier_for(server).score(["money", "card", "money", "money"])

    assert scores.predictions.tolist() == [1, 0, 1, 1]
    assert len(server.requests) == 2


def test_no_inputs_ask_nothing(server):
    scores = classifier_for(server).score([])

    assert scores.log_scores.shape == (0, 2)
    assert server.requests == []


def test_images_are_refused(server):
    with pytest.raises(PromptError, match="not supported yet"):
        classifier_for(server).score([np.zeros((2, 2))])
    with pytest.raises(PromptError, match="not supported yet"):
        classifier_for(server, demonstrations=[Demonstration(input=3, label="refund")])


def test_a_demonstration_of_no_label_is_refused(server):
    with pytest.raises(PromptError, match="'other'"):
        classifier_for(server, demonstrations=[Demonstration(input="x", label="other")])


def test_a_model_that_is_not_remote_is_refused():
    with pytest.raises(ModelError, match="--url"):
        RemoteClassifier(ModelSpec(name="here"), PROMPT)


# Letters


def test_letters_take_over_where_schemas_are_refused(server):
    server.otherwise = no_schemas
    classifier = classifier_for(server)

    scores = classifier.score(TEXTS)

    assert scores.predictions.tolist() == right(TEXTS)
    assert np.exp(scores.log_scores[0]) == pytest.approx([0.1, 0.9])
    assert len(server.requests) == 1 + len(TEXTS)  # asked for JSON once
    assert classifier.details["mode"] == "letters"
    assert server.requests[-1].body["top_logprobs"] == 20


def test_log_probabilities_of_letters_are_the_scores(server):
    server.otherwise = lambda request: completion("B", top={"B": math.log(0.75), "A": math.log(0.25)})
    classifier = classifier_for(server, mode="letters")

    scores = classifier.score(["money"])

    assert np.exp(scores.log_scores[0]) == pytest.approx([0.25, 0.75])
    assert classifier.details["with_log_probabilities"] == 1


def test_fewer_log_probabilities_or_none_where_the_server_gives_fewer(server):
    def at_most(limit):
        def answer(request):
            asked = request.body.get("top_logprobs", 0)
            return error(422, "top_logprobs is too large") if asked > limit else answering(topic)(request)

        return answer

    for limit in (5, 0):
        server.otherwise = at_most(limit)
        scores = classifier_for(server, mode="letters", name=f"m{limit}").score(["money", "card"])
        assert scores.predictions.tolist() == [1, 0]
        assert server.requests[-1].body.get("top_logprobs", 0) == limit


def test_a_mode_that_was_asked_for_is_not_left(server):
    server.otherwise = no_schemas

    with pytest.raises(RemoteError, match=r"response_format.*try another mode"):
        classifier_for(server, mode="json").score(["money"])


def test_a_repeated_run_knows_the_form_from_the_kept_answers(server):
    server.otherwise = no_schemas
    classifier_for(server).score(TEXTS[:5])
    server.requests.clear()

    scores = classifier_for(server).score(TEXTS)

    assert scores.predictions.tolist() == right(TEXTS)
    assert len(server.requests) == 15


def test_a_key_of_one_letter_hides_no_word_of_the_server(server, monkeypatch):
    reachable(monkeypatch, key="o")
    server.otherwise = no_schemas

    assert classifier_for(server).score(["money", "card"]).predictions.tolist() == [1, 0]


def test_a_server_that_ignores_schemas_may_answer_with_the_label_alone(server):
    server.otherwise = lambda request: completion(f" {topic(request.text)}\n")  # as `transformers serve`

    assert classifier_for(server).score(["money", "card"]).predictions.tolist() == [1, 0]


# Answers that are none


@pytest.mark.parametrize(
    "reply",
    [
        completion('{"label": "weather"}'), completion('{"label": "card lo'), completion(""), completion(None),
        completion("card", finish_reason="length"), completion(None, refusal="I must not."),
        completion('{"label": "refund"}', finish_reason="content_filter"),
    ],
)  # fmt: skip
def test_an_answer_outside_the_labels_is_unreadable_and_not_wrong(server, reply):
    server.script = [reply]
    classifier = classifier_for(server)

    scores = classifier.score(["money", "card"])

    assert scores.unreadable.tolist() == [True, False]
    assert scores.predictions.tolist() == [-1, 0]
    assert scores.log_scores[0].tolist() == [0, 0]
    assert classifier.details["unreadable"] == 1


def test_unreadable_answers_are_kept_and_shown_shortened(server):
    server.otherwise = lambda request: completion("blah " * 100)
    classifier_for(server).score(TEXTS[:5])
    classifier = classifier_for(server)

    scores = classifier.score(TEXTS[:5])

    assert len(server.requests) == 5
    assert scores.unreadable.all()
    assert len(classifier.details["unreadable_examples"]) == 3
    assert all(len(each) <= 120 for each in classifier.details["unreadable_examples"])


# Errors


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_it_at_once_and_is_not_repeated(server, status):
    server.otherwise = lambda request: error(status, f"Incorrect API key provided: {KEY}")

    with pytest.raises(RemoteError, match=f"the key was refused, status {status}") as raised:
        classifier_for(server).score(TEXTS)

    assert len(server.requests) == 1
    assert KEY not in "".join(traceback.format_exception(raised.value))


def test_an_unknown_model_is_named(server):
    server.otherwise = lambda request: error(404, "no such model")

    with pytest.raises(RemoteError, match="model 'some/model' is unknown there"):
        classifier_for(server).score(TEXTS)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "This model's maximum context length is 512 tokens. However, you requested 600 tokens"),
        Reply(400, {"object": "error", "message": "the prompt is too long", "code": 400}),
        error(422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 512"),
    ],
)
def test_a_prompt_that_is_too_long_says_to_show_fewer_examples(server, reply):
    server.otherwise = lambda request: reply

    with pytest.raises(PromptError, match="--shots"):
        classifier_for(server).score(["money"])
    assert len(server.requests) == 1


def test_another_bad_request_is_told_in_the_words_of_the_server(server):
    server.otherwise = lambda request: Reply(400, {"detail": "seed must be odd"})

    with pytest.raises(RemoteError, match="seed must be odd"):
        classifier_for(server).score(["money"])
    assert len(server.requests) == 1


def test_too_many_requests_wait_as_long_as_the_server_says(server):
    clock = FakeClock()
    server.script = [error(429, headers={"Retry-After": "7"})]
    classifier = classifier_for(server, clock=clock)

    scores = classifier.score(["money", "card"])

    assert scores.predictions.tolist() == [1, 0]
    assert sum(clock.waits) == pytest.approx(7, abs=0.01)
    assert (scores.usage.requests, classifier.details["retries"]) == (3, 1)


def test_a_date_to_wait_for_is_understood(server):
    clock = FakeClock()
    date = email.utils.formatdate(time.time() + 9, usegmt=True)
    server.script = [error(503, headers={"Retry-After": date}), error(503, headers={"Retry-After": "soon"})]

    assert classifier_for(server, clock=clock).score(["money"]).predictions.tolist() == [1]
    assert 7 < sum(clock.waits) < 10.1


def test_a_wait_longer_than_patience_ends_it(server):
    server.otherwise = lambda request: error(429, headers={"Retry-After": "86400"})

    with pytest.raises(RemoteError, match=r"status 429.*asks to wait 86400 s"):
        classifier_for(server).score(["money"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        error(500), error(502), error(503), error(504), error(429), Reply(500, "<html>oops</html>"), Reply(503, []),
        Reply(drops=True), Reply(200, '{"choices": [{"mess'), Reply(200, "[]"), Reply(200, {"choices": []}),
        Reply(200, {"choices": [{"message": None}]}), Reply(200, {"error": "overloaded"}), Reply(200, '"text"'),
        Reply(200, {"choices": "none"}),
    ],
)  # fmt: skip
def test_troubles_that_pass_are_waited_out(server, trouble):
    clock = FakeClock()
    server.script = [trouble, trouble, trouble]

    scores = classifier_for(server, clock=clock).score(["money", "card"])

    assert scores.predictions.tolist() == [1, 0]
    assert scores.usage.requests == len(server.requests) == 5
    pauses = [wait for wait in clock.waits if wait > 0.1]
    assert len(pauses) == 3
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, (0.5, 1, 2), strict=True))


def test_a_timeout_is_tried_again(server):
    server.script = [completion("late", delay=3.0)]

    scores = classifier_for(server, timeout=0.3).score(["money"])

    assert scores.predictions.tolist() == [1]
    assert len(server.requests) >= 2


def test_troubles_for_ever_end_with_what_is_kept_and_the_next_run_sends_the_rest(server):
    def fails_later(request):
        return error(500, "out of memory") if len(server.requests) > 6 else answering(topic)(request)

    server.otherwise = fails_later
    with pytest.raises(RemoteError) as raised:
        classifier_for(server, parallel=1).score(TEXTS)
    server.otherwise = answering(topic)
    sent = len(server.requests)

    scores = classifier_for(server).score(TEXTS)

    for part in (server.url, "6 attempts", "status 500", "out of memory", "6 of 20", "the same command continues"):
        assert part in str(raised.value)
    assert sent == 12
    assert len(server.requests) - sent == 14
    assert scores.predictions.tolist() == right(TEXTS)


def test_after_one_error_nothing_more_is_sent_but_what_is_under_way_is_kept(server):
    def one_is_slow_and_one_fails(request):
        if "number 2" in request.text:
            return error(404)
        return answering(topic, delay=0.3 if "number 1" in request.text else 0.0)(request)

    server.otherwise = one_is_slow_and_one_fails
    texts = [f"money number {i}" for i in range(10)]

    with pytest.raises(RemoteError, match="2 of 10 new answers are kept"):
        classifier_for(server, parallel=2).score(texts)
    assert len(server.requests) == 3


def test_a_server_that_is_not_there_is_named(server):
    gone = ScriptedServer(answering(topic))
    with gone:
        pass

    with pytest.raises(RemoteError, match=re.escape(gone.url)):
        classifier_for(gone).score(["money"])


def test_offline_mode_is_explained(server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(RemoteError, match=r"HF_HUB_OFFLINE.*unset it"):
        classifier_for(server).score(["money"])


def test_a_provider_that_does_not_exist_is_named(monkeypatch, server):
    monkeypatch.setenv("HF_TOKEN", "hf_word")
    classifier = RemoteClassifier(ModelSpec(name="some/model", remote=Remote(provider="nobody")), PROMPT)
    classifier.fit(LABELS)

    with pytest.raises(RemoteError, match="'nobody' not supported"):
        classifier.score(["money"])


def test_a_provider_is_asked_with_the_key_of_the_hub(monkeypatch, server):
    monkeypatch.setenv("HF_TOKEN", "hf_word")
    sent = []

    def router(url_of, method, url, **settings):
        sent.append((url, settings["headers"]["authorization"], settings["json"]))
        return real(method, f"{server.url}/chat/completions", **settings)

    from huggingface_hub.utils import get_session

    real = get_session().stream
    monkeypatch.setattr(type(get_session()), "stream", router)
    classifier = RemoteClassifier(ModelSpec(name="some/model", remote=Remote(provider="auto")), PROMPT)
    classifier.fit(LABELS)

    assert classifier.score(["money"]).predictions.tolist() == [1]
    ((url, key, body),) = sent
    assert url == "https://router.huggingface.co/v1/chat/completions"
    assert key == "Bearer hf_word"
    assert (body["model"], body["response_format"]["type"]) == ("some/model", "json_schema")


# Keys


def test_without_a_key_nothing_is_sent(server, monkeypatch):
    reachable(monkeypatch, key=None)
    classifier = classifier_for(server)

    with pytest.raises(RemoteError, match="export TRANSFER_KIT_API_KEY"):
        classifier.score(TEXTS)
    assert classifier.estimate(TEXTS).requests == 20
    assert server.requests == []


def test_kept_answers_need_no_key(server, monkeypatch):
    classifier_for(server).score(TEXTS)
    reachable(monkeypatch, key=None)

    assert classifier_for(server).score(TEXTS).predictions.tolist() == right(TEXTS)


def test_the_key_is_in_no_file_and_no_text(server, own_cache):
    server.otherwise = lambda request: completion(f"{KEY[:6]} is not my key")
    classifier = classifier_for(server)
    scores = classifier.score(TEXTS)

    assert KEY not in repr(classifier) + repr(vars(classifier)) + repr(classifier.details) + repr(scores)
    files = [file for file in own_cache.rglob("*") if file.is_file()]
    assert files
    assert all(KEY.encode() not in file.read_bytes() for file in files)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, RemoteError, "what"), (400, PromptError, "too long"), (418, RemoteError, "what"),
        (429, RemoteError, "what"), (500, RemoteError, "what"),
    ],
)  # fmt: skip
def test_a_server_that_quotes_the_key_is_not_repeated(server, status, kind, words):
    server.otherwise = lambda request: error(status, f"{words} is {request.headers['authorization']}?")

    with pytest.raises(kind) as raised:
        classifier_for(server).score(["money"])

    assert f"{words} is Bearer <key>?" in str(raised.value)
    assert KEY not in "".join(traceback.format_exception(raised.value))


# What it costs


def test_tokens_are_those_the_server_counts(server):
    server.otherwise = answering(topic, usage=(100, 7), cached=60)

    usage = classifier_for(server, price_in=1.0, price_out=10.0, max_dollars=1.0).score(["money", "card"]).usage

    assert (usage.tokens_in, usage.tokens_cached, usage.tokens_out, usage.requests) == (80, 120, 14, 2)
    assert usage.dollars == pytest.approx((200 * 1.0 + 14 * 10.0) / 1e6)


def test_kept_answers_cost_nothing_and_send_nothing(server):
    first = classifier_for(server, price_in=1.0, max_dollars=1.0).score(TEXTS)
    sent = len(server.requests)
    classifier = classifier_for(server, price_in=1.0, max_dollars=1.0)

    assert classifier.estimate(TEXTS).requests == 0
    again = classifier.score(TEXTS)

    assert len(server.requests) == sent
    np.testing.assert_array_equal(again.log_scores, first.log_scores)
    assert (again.usage.requests, again.usage.tokens_in, again.usage.dollars) == (0, 0, 0)
    assert (again.usage.tokens_cached, again.usage.tokens_out) == (first.usage.tokens_in, first.usage.tokens_out)
    assert classifier.details["kept_answers"] == 20


def test_another_model_prompt_or_labels_are_other_questions(server):
    classifier_for(server).score(["money"])
    classifier_for(server, name="another/model").score(["money"])
    classifier_for(server, labels=["card_lost", "refund", "weather"]).score(["money"])
    classifier_for(server, demonstrations=[Demonstration(input="x", label="refund")]).score(["money"])
    classifier_for(server, mode="letters").score(["money"])

    assert len(server.requests) == 5


def test_what_the_server_does_not_count_is_estimated(server):
    server.otherwise = answering(topic, usage=None)
    classifier = classifier_for(server, price_in=1.0, price_out=1.0, max_dollars=1.0)
    estimated = classifier.estimate(["money"])

    usage = classifier.score(["money"]).usage

    assert (usage.tokens_in, usage.tokens_out) == (estimated.tokens_in, estimated.tokens_out)
    assert usage.dollars == pytest.approx(estimated.dollars)


@pytest.mark.parametrize(
    "counts", [{"prompt_tokens": "many"}, {"prompt_tokens": None}, {"prompt_tokens_details": 3}, {}]
)
def test_counts_that_are_no_numbers_do_not_stop_it(server, counts):
    reply = completion('{"label": "refund"}')
    reply.body["usage"] |= counts
    server.otherwise = lambda request: reply

    scores = classifier_for(server, name=str(counts)).score(["money"])

    assert scores.predictions.tolist() == [1]
    assert scores.usage.tokens_in > 0


def test_the_estimate_sends_nothing_and_is_not_less_than_what_is_spent(server):
    classifier = classifier_for(server, price_in=2.0, price_out=4.0, max_dollars=1.0)

    estimated = classifier.estimate(TEXTS)

    assert server.requests == []
    assert estimated.requests == 20
    assert estimated.dollars == pytest.approx((estimated.tokens_in * 2 + estimated.tokens_out * 4) / 1e6)
    assert estimated.dollars >= classifier.score(TEXTS).usage.dollars


@pytest.mark.parametrize("parallel", [1, 8])
def test_spending_stops_before_the_limit_and_the_next_run_sends_the_rest(server, parallel):
    cost = {"price_in": 100.0, "price_out": 100.0, "max_dollars": 0.05, "parallel": parallel}
    server.otherwise = answering(topic, usage=(50, 5))  # $0.0055 each

    with pytest.raises(RemoteError, match=r"of --max-dollars 0\.05 are spent.*the same command continues") as raised:
        classifier_for(server, **cost).score(TEXTS)
    sent = len(server.requests)
    scores = classifier_for(server, **cost | {"max_dollars": 1.0}).score(TEXTS)

    assert 0 < sent * 0.0055 <= 0.05
    assert f"{sent} of 20" in str(raised.value)
    assert len(server.requests) == 20
    assert scores.usage.requests == 20 - sent
    assert scores.usage.dollars == pytest.approx((20 - sent) * 0.0055)


def test_requests_keep_the_agreed_rate(server):
    clock = FakeClock()

    classifier_for(server, clock=clock, requests_per_minute=30, parallel=1).score(TEXTS)

    assert clock.now() == pytest.approx(19 * 2)
    assert max(clock.waits) == pytest.approx(2)


def test_an_attempt_that_may_be_billed_counts_as_spent(server):
    server.script = [Reply(drops=True)]
    classifier = classifier_for(server, price_in=100.0, max_dollars=1.0)
    once = classifier.estimate(["money"]).dollars

    assert classifier.score(["money"]).usage.dollars == pytest.approx(once + 10 * 100 / 1e6)


def test_the_keyboard_stops_it_at_once(server):
    server.otherwise = answering(topic, delay=20.0)
    server.script = [answering(topic)]
    begin = time.monotonic()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classifier_for(server, timeout=60.0).score(TEXTS, stop)

    assert time.monotonic() - begin < 5
    assert len(server.requests) == 1


def test_stopped_in_the_middle_no_further_question_is_sent_and_no_thread_holds_the_process(server):
    server.otherwise = answering(topic, delay=0.05)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        classifier_for(server, parallel=2).score(TEXTS, stop)
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("asking")]
    sent = len(server.requests)
    time.sleep(0.2)

    assert raised.value.__traceback__ is not None  # holds what was running
    assert len(server.requests) <= sent + 1 < 10
    assert workers
    assert all(thread.daemon for thread in workers)


def test_labels_may_hold_anything(server):
    labels = ['say "no"', "back\\slash", "{{ x }}", "ünï 卡"]
    prompt = Prompt(name="p", template="{{ input }}")
    classifier = RemoteClassifier(ModelSpec(name="m", remote=Remote(url=server.url)), prompt, clock=FakeClock())
    classifier.fit(labels)
    server.otherwise = lambda request: completion(json.dumps({"label": labels[int(request.text[0])]}))

    assert classifier.score(["0", "1", "2", "3"]).predictions.tolist() == [0, 1, 2, 3]
