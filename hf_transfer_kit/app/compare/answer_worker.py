"""The process that answers with finished runs: questions on stdin, answers on stdout, models kept between them.

    python -m hf_transfer_kit.app.compare.answer_worker

It ends with the server that started it, even by kill -9: stdin ends then. So it does after some minutes without a
question, which frees the memory of the models. Visitors take turns: after one answer the next question has its turn.
"""

import os
import queue
import sys
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from hf_transfer_kit.app.compare.answer_messages import Answer, Question
from hf_transfer_kit.errors import DataError, TransferKitError
from hf_transfer_kit.prediction import RECORD_FILE, LoadedRun

IDLE_SECONDS = 300.0
MOST_LOADED = 8  # models in memory at once; one question asks no more


class Answering:
    """Answers questions with runs, of which the last few stay loaded."""

    def __init__(self, most_loaded: int = MOST_LOADED):
        self._loaded: OrderedDict[tuple[str, int], LoadedRun] = OrderedDict()
        self._most = most_loaded

    def answer(self, question: Question) -> Answer:
        """What the first run of the question says; an error is part of the answer."""
        run = question.runs[0]
        try:
            loaded = self._load(run)
            (found,) = loaded.answer([_input(question, loaded)])
        except TransferKitError as error:
            return Answer(id=question.id, run=run, error=str(error))
        except MemoryError:
            self._loaded.clear()
            return Answer(id=question.id, run=run, error="memory ran out; ask fewer runs at once.")
        except Exception as error:  # noqa: BLE001  # whoever asked must hear of it, and the others must go on
            return Answer(id=question.id, run=run, error=f"{type(error).__name__}: {str(error)[:200]}")
        return Answer(id=question.id, run=run, probabilities=found.probabilities)

    def _load(self, run: str) -> LoadedRun:
        key = (run, os.stat(Path(run) / RECORD_FILE).st_mtime_ns)
        loaded = self._loaded.get(key) or LoadedRun(Path(run))
        self._loaded[key] = loaded
        self._loaded.move_to_end(key)
        while len(self._loaded) > self._most:
            self._loaded.popitem(last=False)
        return loaded


def _input(question: Question, run: LoadedRun) -> Any:
    """The input of a question; raises DataError where the run's task cannot take it."""
    from hf_transfer_kit.tasks import get_task

    task = get_task(run.record.task)
    wants_image = task.input_noun == "image"
    if wants_image != bool(question.image):
        raise DataError(f"this run answers {task.input_noun}s; give {'an image' if wants_image else 'a text'}.")
    value = {"bytes": None, "path": question.image} if wants_image else question.text
    if problem := task.problem(value):
        raise DataError(f"the {task.input_noun} {problem}; give another one.")
    return value


def serve(lines: IO[str], out: IO[str], answering: Answering, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answers questions from `lines` to `out`.

    Returns after `idle_seconds` without a question; ends the process with the end of `lines`.
    """
    waiting: queue.Queue[Question] = queue.Queue()
    threading.Thread(target=_listen, args=(lines, waiting), daemon=True).start()
    while True:
        try:
            question = waiting.get(timeout=idle_seconds)
        except queue.Empty:
            return
        out.write(answering.answer(question).line())
        out.flush()
        if question.runs[1:]:
            waiting.put(replace(question, runs=question.runs[1:]))


def _listen(lines: IO[str], waiting: "queue.Queue[Question]") -> None:
    for line in lines:
        waiting.put(Question.read(line))
    os._exit(0)  # the server has gone, whatever is being answered


def main() -> None:
    """What the server starts; what the libraries print goes to stderr."""
    import hf_transfer_kit.approaches  # noqa: F401  # seconds, which pass while somebody still types

    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, out, Answering())


if __name__ == "__main__":
    main()
