"""One finished comparison of every approach on tiny models, made once for all tests that look at such a folder."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from hf_transfer_kit.plan import DataSpec, Features, Full, Lora, ModelSpec, Scratch, TopLayers, Training
from hf_transfer_kit.study.study import Study, carry_out

QUICK = Training(epochs=1, min_steps=0, batch_size=16)
ALL = (Features(), TopLayers(blocks=1), Full(), Lora(), Scratch())


def make_study(data: Path, *models: Path, **settings) -> Study:
    """A study of seconds; `settings` as in Study."""
    settings = {"approaches": (Features(),), "seeds": 1, "training": QUICK} | settings
    return Study(data=DataSpec(path=str(data)), models=tuple(ModelSpec(name=str(m)) for m in models), **settings)


@functools.cache
def finished_study(data: Path, model: Path) -> Path:
    """The folder of a comparison of all approaches with one seed; not to be written to."""
    parent = tempfile.mkdtemp(prefix="finished-study-")
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    folder = Path(parent) / "out"
    comparison = carry_out(make_study(data, model, approaches=ALL), folder)
    assert not comparison.failures
    return folder
