"""Runs generated scripts in this process, so that torch and transformers are imported once."""

import contextlib
import gc
import io
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


@dataclass(frozen=True)
class Executed:
    """What a script left: its names, and the test accuracy that it printed."""

    names: dict[str, Any]
    accuracy: float

    @property
    def callbacks(self) -> list[Any]:
        """Those that its Trainer was given or brings along."""
        return list(self.names["trainer"].callback_handler.callbacks)

    @property
    def best_step(self) -> int:
        """Whose weights it kept. At the first step the rate is still 0: what answers then has learned nothing."""
        return self.names["trainer"].state.best_global_step

    @property
    def test_logits(self) -> np.ndarray:
        """(test rows, classes)."""
        return np.asarray(self.names["answers"].predictions)


def execute(script: str, file: Path, *arguments: str) -> Executed:
    """Does what `python FILE ARGUMENTS` does with a file that holds `script`."""
    file.write_text(script, encoding="utf-8")
    given, sys.argv = sys.argv, [str(file), *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            names = runpy.run_path(str(file), run_name="__main__")
    finally:
        sys.argv = given
    return Executed(names, float(said.getvalue().split("test accuracy ")[-1].split()[0]))


def logits_of_run(run_folder: Path) -> np.ndarray:
    """What a run of the kit answered, (test rows, classes)."""
    return load_file(run_folder / "scores.safetensors")["test_logits"]


@contextlib.contextmanager
def frozen_heap() -> Iterator[None]:
    """Sets aside what is in memory by now, mostly imported modules, so that the garbage collector skips it.

    `Trainer.train` ends with a full collection (accelerate 1.15, `free_memory`): 0.35 s each time, else.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
