"""The process that answers: with real runs, and with stand-ins that hang, end, or take turns."""

import io
import queue
import subprocess
import sys
import threading
import time

import psutil
import pytest
from finished_study import finished_study
from PIL import Image

from hf_transfer_kit.app.compare import answer_worker
from hf_transfer_kit.app.compare.answer_messages import Answer, Question
from hf_transfer_kit.app.compare.answer_process import AnswerProcess
from hf_transfer_kit.app.compare.answer_worker import Answering, serve
from hf_transfer_kit.prediction import predict

# Answers every run of every question at once, with the run's name; "hang" and "end" do what they say.
STAND_IN = """
import json, sys, time
for line in sys.stdin:
    question = json.loads(line)
    for run in question["runs"]:
        if run == "hang": time.sleep(60)
        if run == "end": sys.exit(3)
        print(json.dumps({"id": question["id"], "run": run, "probabilities": {question["text"]: 1.0}}), flush=True)
"""


@pytest.fixture
def runs(text_csv, tiny_bert):
    return finished_study(text_csv, tiny_bert) / "runs"


@pytest.fixture
def process():
    started = AnswerProcess(patience=20, command=[sys.executable, "-c", STAND_IN])
    yield started
    started.close()


def question(*runs, **given):
    return Question(id=1, runs=tuple(map(str, runs)), **({"text": "a lovely film"} | given))


def test_messages_come_through_a_line_as_they_were():
    asked = Question(id=3, runs=("a", "b"), text="two\nlines \u2028 and more")
    said = Answer(id=3, run="a", probabilities={"yes": 0.9}, error="no")

    assert Question.read(asked.line()) == asked and asked.line().count("\n") == 1
    assert Answer.read(said.line()) == said


@pytest.mark.parametrize("method", ["tiny-bert/full", "tiny-bert/features", "controls/shallow"])
def test_a_run_answers_as_predict_does(runs, method):
    run = runs / method / "all" / "seed-0"
    (expected,) = predict(run, ["a lovely film"])

    assert Answering().answer(question(run)).probabilities == expected.probabilities


def test_a_text_is_never_the_name_of_a_file(runs, tmp_path):
    run = runs / "controls" / "shallow" / "all" / "seed-0"
    (tmp_path / "texts.txt").write_text("a lovely film\n", encoding="utf-8")
    path = str(tmp_path / "texts.txt")
    (of_file,) = predict(run, [path])
    answer = Answering().answer(question(run, text=path))

    assert not answer.error and answer.probabilities != of_file.probabilities
    assert not Answering().answer(question(run, text="rows.csv")).error


@pytest.mark.parametrize(
    ("given", "words"),
    [({"text": " "}, "the text is empty"), ({"text": "", "image": "x.png"}, "give a text")],
)
def test_an_input_that_a_run_cannot_take_is_a_sentence(runs, given, words):
    assert words in Answering().answer(question(runs / "controls" / "shallow" / "all" / "seed-0", **given)).error


def test_a_run_that_is_gone_is_a_sentence_and_the_others_go_on(tmp_path):
    assert Answering().answer(question(tmp_path / "gone")).error


def test_models_stay_loaded_and_the_oldest_goes_first(runs, monkeypatch):
    loaded, real = [], answer_worker.LoadedRun
    monkeypatch.setattr(answer_worker, "LoadedRun", lambda run: loaded.append(run.parts[-3]) or real(run))
    answering = Answering(most_loaded=2)
    folders = {name: runs / "controls" / name / "all" / "seed-0" for name in ("majority", "shallow")}
    folders["features"] = runs / "tiny-bert" / "features" / "all" / "seed-0"

    for name in ("majority", "shallow", "majority", "features", "majority", "shallow"):
        assert not answering.answer(question(folders[name])).error
    assert loaded == ["majority", "shallow", "features", "shallow"]


def test_visitors_take_turns(monkeypatch):
    class Echo:
        def answer(self, asked):
            return Answer(id=asked.id, run=asked.runs[0])

    lines: queue.Queue = queue.Queue()
    for asked in (Question(id=1, runs=("a", "b", "c"), text="x"), Question(id=2, runs=("d",), text="x")):
        lines.put(asked.line())
    monkeypatch.setattr(
        answer_worker, "_listen", lambda _, waiting: [waiting.put(Question.read(lines.get())) for _ in "ab"]
    )
    out = io.StringIO()
    serve(io.StringIO(), out, Echo(), idle_seconds=0.3)

    assert [Answer.read(line).run for line in out.getvalue().splitlines()] == ["a", "d", "b", "c"]


def test_each_visitor_gets_their_own_answers(process):
    found = {}

    def visitor(name):
        found[name] = [next(iter(answer.probabilities)) for answer in process.ask(["a", "b"], text=name)]

    threads = [threading.Thread(target=visitor, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {str(number): [str(number)] * 2 for number in range(6)}


def test_a_process_that_ends_is_said_so_and_started_again(process):
    said = list(process.ask(["a", "end", "b"], text="x"))
    assert [bool(answer.error) for answer in said] == [False, True, True]
    assert "has ended" in said[1].error and [answer.run for answer in said] == ["a", "end", "b"]

    assert [answer.error for answer in process.ask(["a"], text="x")] == [""]


def test_a_process_that_hangs_is_given_up_and_ended():
    process = AnswerProcess(patience=1.5, command=[sys.executable, "-c", STAND_IN])
    start = time.monotonic()
    said = list(process.ask(["hang", "a"], text="x"))

    assert all("no answer within" in answer.error for answer in said) and len(said) == 2
    assert time.monotonic() - start < 10
    assert process._process is None


def test_no_process_is_left_behind_by_a_server_that_is_killed(tmp_path):
    code = (
        "import time\nfrom hf_transfer_kit.app.compare.answer_process import AnswerProcess\n"
        f"process = AnswerProcess(command=[{sys.executable!r}, '-c', {STAND_IN!r}])\n"
        "list(process.ask(['a'], text='x'))\nprint(process._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    server = psutil.Popen([sys.executable, "-c", code], stdout=-1, text=True)
    answering = psutil.Process(int(server.stdout.readline()))
    server.kill()
    server.wait()

    answering.wait(10)


def test_the_worker_answers_on_its_stdout_whatever_libraries_print_and_ends_with_its_server(tmp_path):
    code = (
        "import sys, types\nsys.modules['hf_transfer_kit.approaches'] = types.ModuleType('light')\n"
        "from hf_transfer_kit.app.compare import answer_worker\n"
        "answer_worker._input = lambda *_: print('a library says something', flush=True)\n"
        "answer_worker.LoadedRun = lambda run: types.SimpleNamespace(answer=lambda inputs: [types.SimpleNamespace("
        "probabilities={'yes': 1.0})])\nanswer_worker.main()"
    )
    (tmp_path / "record.json").write_text("{}")
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, stderr=-3, text=True) as worker:
        worker.stdin.write(question(tmp_path).line())
        worker.stdin.flush()
        assert Answer.read(worker.stdout.readline()).probabilities == {"yes": 1.0}
        worker.stdin.close()
        assert worker.wait(20) == 0


def test_an_image_is_read_from_the_file_that_was_uploaded(tmp_path, monkeypatch):
    class Run:
        class record:
            task = "image-classification"

        answer = list

    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    (tmp_path / "broken.png").write_bytes(b"none")

    asked = question("x", text="", image=str(tmp_path / "red.png"))
    assert answer_worker._input(asked, Run)["path"] == str(tmp_path / "red.png")
    monkeypatch.setattr(answer_worker, "LoadedRun", lambda run: Run)
    (tmp_path / "record.json").write_text("{}")
    broken = question(tmp_path, text="", image=str(tmp_path / "broken.png"))
    assert "cannot be read as an image" in Answering().answer(broken).error
