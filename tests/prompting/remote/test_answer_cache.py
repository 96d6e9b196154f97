import sqlite3
import subprocess
import sys
import threading

import pytest

from hf_transfer_kit.errors import OutputError
from hf_transfer_kit.prompting.remote.answer_cache import AnswerCache
from hf_transfer_kit.prompting.remote.chat import Answer, ChatRequest, TokenCount, TokenScore

ANSWER = Answer(
    text="lost cärd \ud83d", finish_reason="stop", first_tokens=(TokenScore(token="A", log_probability=-0.25),),
    tokens=TokenCount(prompt=10, cached=4, answer=2),
)  # fmt: skip


KEEP_SOME = """
import sys, pathlib
from hf_transfer_kit.prompting.remote.answer_cache import AnswerCache
from hf_transfer_kit.prompting.remote.chat import Answer
for i in range(15):
    AnswerCache(pathlib.Path(sys.argv[1])).keep(sys.argv[2] + str(i), Answer(text="x", finish_reason="stop"))
"""


def test_an_answer_comes_back_as_it_was(tmp_path):
    AnswerCache(tmp_path).keep("key", ANSWER)

    assert AnswerCache(tmp_path).find(["key", "another"]) == {"key": ANSWER}


def test_an_empty_cache_makes_no_file(tmp_path):
    assert AnswerCache(tmp_path / "new").find(["key"]) == {}
    assert not (tmp_path / "new").exists()


def test_more_keys_than_one_query_takes(tmp_path):
    cache = AnswerCache(tmp_path)
    cache.keep("0", ANSWER)
    cache.keep("1200", ANSWER)

    assert set(cache.find([str(i) for i in range(1300)])) == {"0", "1200"}


def test_processes_write_at_once(tmp_path):
    workers = [subprocess.Popen([sys.executable, "-c", KEEP_SOME, str(tmp_path), name]) for name in "ab"]

    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(AnswerCache(tmp_path).find([f"{name}{i}" for name in "ab" for i in range(15)])) == 30


def test_threads_write_at_once(tmp_path):
    cache = AnswerCache(tmp_path)
    workers = [threading.Thread(target=cache.keep, args=(str(i), ANSWER)) for i in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(cache.find([str(i) for i in range(12)])) == 12


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"text": "no more"}', '{"text": 1, "finish_reason": "stop"}'])
def test_an_entry_that_cannot_be_read_counts_as_none(tmp_path, text):
    cache = AnswerCache(tmp_path)
    cache.keep("key", ANSWER)
    with sqlite3.connect(cache.path) as database:
        database.execute("UPDATE answers SET answer = ?", (text,))

    assert cache.find(["key"]) == {}


def test_a_file_that_is_something_else_is_named(tmp_path):
    cache = AnswerCache(tmp_path)
    cache.path.write_text("something else, and long enough to be no database " * 10)

    with pytest.raises(OutputError, match=r"answers\.sqlite"):
        cache.find(["key"])
    with pytest.raises(OutputError, match="move the file away"):
        cache.keep("key", ANSWER)


def test_the_key_depends_on_everything_that_is_sent():
    def key(server="http://a/v1", model="m", **changes):
        request = {"user": "hello", "max_tokens": 5, "schema": {"enum": ["a"]}} | changes
        return ChatRequest(**request).key(server, model)

    others = [
        key(server="http://b/v1"), key(model="n"), key(user="hi"), key(system="be brief"), key(max_tokens=6),
        key(schema={"enum": ["a", "b"]}), key(schema=None), key(top_logprobs=5),
    ]  # fmt: skip

    assert key() == key()
    assert len({key(), *others}) == 9
