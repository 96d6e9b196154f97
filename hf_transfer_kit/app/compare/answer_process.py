"""Answers of finished runs, from a process of their own: the page never waits for torch, nor loads it.

The process is started with the first question, keeps its models, and ends by itself when nobody asks any more.
"""

import contextlib
import itertools
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hf_transfer_kit.app.compare.answer_messages import Answer, Question

PATIENCE = 120.0  # seconds that a visitor waits for all answers to one input; the first one takes the longest
WORKER = "hf_transfer_kit.app.compare.answer_worker"
LATE = "no answer within {seconds:.0f} seconds; others may be asking too. Ask again, or ask fewer runs."
ENDED = "the process that answers has ended, most likely for lack of memory; ask again, or ask fewer runs."

Inboxes = dict[int, "queue.Queue[Answer]"]


class AnswerProcess:
    """One process for all visitors of a server; they take turns.

    Args:
        patience: seconds after which a question is given up.
        command: of the process; None: the worker.
    """

    def __init__(self, patience: float = PATIENCE, command: Sequence[str] | None = None):
        self._patience = patience
        self._command = list(command or [sys.executable, "-P", "-m", WORKER])
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._inboxes: Inboxes = {}  # of those who wait for the process that runs now
        self._heard = 0.0  # when anybody was answered for the last time

    def ask(self, runs: Sequence[Path], *, text: str = "", image: str = "") -> Iterator[Answer]:
        """The answer of each run as it comes; one that does not come is an answer with an error."""
        question = Question(id=next(self._numbers), runs=tuple(dict.fromkeys(map(str, runs))), text=text, image=image)
        inbox: queue.Queue[Answer] = queue.Queue()
        asked, left = time.monotonic(), dict.fromkeys(question.runs)
        inboxes = self._send(question, inbox)
        try:
            while left:
                answer = inbox.get(timeout=max(0.0, asked + self._patience - time.monotonic()))
                for run in [answer.run] if answer.run else list(left):  # without a run: the process has ended
                    del left[run]
                    yield replace(answer, run=run)
        except queue.Empty:
            if self._heard < asked:  # nor was anybody else answered: it hangs
                self.close()
            late = LATE.format(seconds=self._patience)
            yield from (Answer(id=question.id, run=run, error=late) for run in left)
        finally:
            inboxes.pop(question.id, None)

    def wake(self) -> None:
        """Starts the process where it is not running, so that its first answer comes sooner."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()

    def close(self) -> None:
        """Ends the process; the next question starts a new one."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _send(self, question: Question, inbox: "queue.Queue[Answer]") -> Inboxes:
        """Passes a question on; where its answers are awaited."""
        with self._lock:
            for _ in range(2):  # one that ended for want of questions is started again
                process = self._process
                if process is None or process.poll() is not None:
                    process = self._start()
                self._inboxes[question.id] = inbox
                try:
                    _write(process, question)
                    return self._inboxes
                except (OSError, ValueError):  # ValueError: closed meanwhile
                    self._process = None
        inbox.put(Answer(id=question.id, run="", error=ENDED))
        return self._inboxes

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        self._process, self._inboxes = process, {}
        threading.Thread(target=self._listen, args=(process, self._inboxes), daemon=True).start()
        return process

    def _listen(self, process: "subprocess.Popen[str]", inboxes: Inboxes) -> None:
        """Passes answers on until the process ends; whoever still waits for it is told."""
        with contextlib.suppress(OSError), process:  # closing its stdin may find that it has gone
            for line in process.stdout or ():
                answer = Answer.read(line)
                self._heard = time.monotonic()
                if answer.id in inboxes:
                    inboxes[answer.id].put(answer)
        for number, inbox in list(inboxes.items()):
            inbox.put(Answer(id=number, run="", error=ENDED))


def _write(process: "subprocess.Popen[str]", question: Question) -> None:
    if process.stdin is not None:
        process.stdin.write(question.line())
        process.stdin.flush()
