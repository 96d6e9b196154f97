"""A conversation in the terminal: a line in, an answer out, and files at the end. Ctrl-C stops what goes on."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hf_transfer_kit.advisor.advice import Advice
from hf_transfer_kit.advisor.at_hand.workbench import CONVERSATION, Workbench
from hf_transfer_kit.advisor.conversation.consultation import Consultation, Talk, messages
from hf_transfer_kit.advisor.conversation.dialogue import OPENING, Reply, reply
from hf_transfer_kit.advisor.conversation.view import advice_to_terminal, chosen, reply_to_terminal, saved_to_terminal
from hf_transfer_kit.commands.consulting import measure, read_data, tell
from hf_transfer_kit.options import words

SAVE, QUIT = ("save",), ("quit", "exit", "q", "bye")
COMMANDS = '"save" writes the files, "quit" ends.'
MEASURE = '"measure" measures candidates on your data, "measure A,B" those models. '


class Conversation:
    """One conversation, from the first line to the files it leaves.

    Args:
        out: folder of the files; a conversation that lies there is gone on with.
        talk: answers messages.
        measures: measure by itself once nothing is left to ask.
        read_line: the next line of the person, after a prompt; EOFError at the end.
    """

    def __init__(
        self, bench: Workbench, console: Console, out: Path, *, talk: Talk = reply, measures: bool = True,
        read_line: Callable[[str], str] = input,
    ):  # fmt: skip
        self.consultation = Consultation()
        self._bench, self._console, self._out, self._talk, self._read_line = bench, console, out, talk, read_line
        self._measures = measures and bench.data is not None
        self._shown: Advice | None = None
        self._advised = self._input_ended = False

    def run(self) -> None:
        """Until the person ends it, or the input does; what was said is saved then.

        Where the input ends, as that of a script does, nothing more can be asked: measures, shows and saves.
        """
        try:
            self._after(self._begin())
            while (line := self._line()) is not None and not self._after(self._answer(line)):
                pass
            if self._input_ended and self._advised:
                if self._measures and (measured := self._measure(())) is not None:
                    self._show(measured)
                self._save()
        finally:
            self.consultation.save(self._out / CONVERSATION)

    def _begin(self) -> Reply | None:
        saved = self._out / CONVERSATION
        if saved.exists():
            self.consultation = Consultation.load(saved)
            self._say(f'Going on with the conversation in {self._out}; "start again" begins anew.')
        else:
            self._say(OPENING)
        remember_lines(messages(self.consultation.turns))
        self._say((MEASURE if self._bench.data is not None else "") + COMMANDS)
        if self._bench.data is not None:
            self.consultation, answer = read_data(self.consultation, self._bench, self._console)
            return answer
        if saved.exists():
            self.consultation, answer = self.consultation.with_data({}, self._bench.memory_of)
            return answer
        return None

    def _line(self) -> str | None:
        """What the person says next, a letter standing for its quick reply; None at the end."""
        try:
            typed = self._read_line("\n> ").strip()
        except (EOFError, KeyboardInterrupt) as end:
            self._input_ended = isinstance(end, EOFError)
            self._console.print()
            return None
        line = chosen(self.consultation.state.question, typed)
        return None if line.lower() in QUIT else line

    def _answer(self, line: str) -> Reply | None:
        word, _, names = line.partition(" ")
        if word.lower() == "measure" and self._bench.data is not None:
            return self._measure(words(names))
        if line.lower() in SAVE:
            self._save()
            return None
        self.consultation, answers = tell(self.consultation, line, self._talk, self._bench)
        for answer in answers[:-1]:
            self._show(answer)
        return answers[-1]

    def _after(self, answer: Reply | None) -> bool:
        """Shows the answer; once nothing is left to ask measures, and saves the advice. Whether it is over."""
        if answer is None:
            return False
        self._show(answer)
        self._advised = answer.advice is not None
        if answer.ended:
            return True
        if answer.advice is not None and answer.question is None:
            if self._measures:
                self._measures = False  # by itself only once
                return self._after(self._measure(()))
            self._save()
        return False

    def _show(self, answer: Reply) -> None:
        self._console.print()
        self._console.print(reply_to_terminal(answer))

    def _measure(self, names: Sequence[str]) -> Reply | None:
        try:
            self.consultation, answer = measure(self.consultation, self._bench, self._console, names)
        except KeyboardInterrupt:
            self._say('Stopped; what was measured is kept. "measure" goes on.')
            return None
        return answer

    def _save(self) -> None:
        """Shows the advice in full, once, and writes the files."""
        advice = self._bench.completed(self.consultation.advice(self._bench.memory_of))
        if advice == self._shown:
            return
        self._shown = advice
        self._console.print()
        self._console.print(advice_to_terminal(advice))
        self._console.print(saved_to_terminal(self._bench.save(self.consultation, advice, self._out)))

    def _say(self, text: str) -> None:
        self._console.print(Text(text, style="dim"))


def remember_lines(lines: Sequence[str]) -> None:
    """Lets the arrow keys bring back `lines` and what is typed from now on, where the terminal can."""
    with contextlib.suppress(ImportError):
        import readline

        for line in lines:
            readline.add_history(line)
