"""What the app may do, and where its runs lie."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.demo import MODEL, demo_data
from hf_transfer_kit.errors import OutputError, PlanError
from hf_transfer_kit.launch.store import JobStore
from hf_transfer_kit.plan import DataSpec, ModelSpec

RUNS_VARIABLE, ALLOW_VARIABLE = "TRANSFER_KIT_RUNS", "TRANSFER_KIT_ALLOW_LAUNCH"
JOBS_FOLDER, UPLOADS_FOLDER = "jobs", "uploads"
MOST_EPOCHS = 10  # of a training on the demo data where launching is off
_OWNER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the app may do.

    Fields:
        runs: folder of everything that is kept: jobs, their models, uploads.
        shared: strangers use it: each visitor sees only what is their own, and no server's address may be named.
        launching: any plan may be started; else only small ones on the demo data.
        max_upload_mb: largest file that is taken, in megabytes.
        max_chars: longest message that is read.
    """

    runs: Path = Path("transfer-kit-runs")
    shared: bool = False
    launching: bool = True
    max_upload_mb: int = 20
    max_chars: int = 4000

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, *, duplicated: bool = False
    ) -> "Settings":  # fmt: skip
        """Settings for where the app runs.

        A Space is shared, and launches nothing large unless somebody duplicated it for their own use;
        TRANSFER_KIT_ALLOW_LAUNCH=1 or 0 decides everywhere.

        Args:
            duplicated: whether the Space is a copy of another.

        Example:
            >>> Settings.from_environment({"SPACE_ID": "org/name"}).launching
            False
        """
        environment = os.environ if environment is None else environment
        shared = "SPACE_ID" in environment
        allowed = environment.get(ALLOW_VARIABLE, "1" if duplicated or not shared else "0")
        return cls(
            runs=Path(environment.get(RUNS_VARIABLE, "transfer-kit-runs")), shared=shared, launching=allowed == "1"
        )

    @property
    def jobs(self) -> JobStore:
        """All that was started from the page."""
        return JobStore(self.runs / JOBS_FOLDER)

    def owner_of(self, mark: object) -> str:
        """Whose jobs a visitor sees and stops: on one's own machine everybody's are the same person's.

        Raises:
            OutputError: `mark` is not what the app gave out.
        """
        if not self.shared:
            return ""
        if not is_mark(mark):
            raise OutputError("this page does not know whose runs to show; reload it.")
        return str(mark)

    def uploads_of(self, mark: object) -> Path:
        """The folder of a visitor's uploads; raises as `owner_of`."""
        return self.runs / UPLOADS_FOLDER / (self.owner_of(mark) or "mine")

    def check_may_start(
        self, data: DataSpec, model: ModelSpec | None, *, processes: int = 1, epochs: int = 1, gpu: bool = False
    ) -> None:
        """Whether a run may be started here.

        Raises:
            PlanError: launching is off, and it is no small run on the demo data.
        """
        if self.launching:
            return
        small = processes == 1 and epochs <= MOST_EPOCHS and not gpu
        if data.path != str(demo_data()) or (model is not None and model.name != MODEL) or not small:
            raise PlanError(
                f"this public Space starts only small runs on the demo data: {MODEL}, one process, at most "
                f"{MOST_EPOCHS} epochs. For your own data duplicate the Space, or: transfer-kit app"
            )


def is_mark(mark: object) -> bool:
    """Whether `mark` looks like what the app gives a browser to know its runs by: 32 hexadecimal digits."""
    return isinstance(mark, str) and bool(_OWNER.fullmatch(mark))
