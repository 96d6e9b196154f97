"""What the app may do, and where its runs lie."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.errors import OutputError

RUNS_VARIABLE, ALLOW_VARIABLE = "TRANSFER_KIT_RUNS", "TRANSFER_KIT_ALLOW_LAUNCH"
_OWNER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the app may do.

    Fields:
        runs: folder of all runs.
        public: strangers use it: each visitor sees only runs of their own, and no server's address may be named.
        max_upload_mb: largest file that is taken, in megabytes.
        max_chars: longest message that is read.
    """

    runs: Path = Path("transfer-kit-runs")
    public: bool = False
    max_upload_mb: int = 20
    max_chars: int = 4000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Settings for where the app runs: a Space is public, unless TRANSFER_KIT_ALLOW_LAUNCH=1.

        Example:
            >>> Settings.from_environment({"SPACE_ID": "org/name"}).public
            True
        """
        environment = os.environ if environment is None else environment
        public = "SPACE_ID" in environment and environment.get(ALLOW_VARIABLE) != "1"
        return cls(runs=Path(environment.get(RUNS_VARIABLE, "transfer-kit-runs")), public=public)

    def runs_of(self, owner: str) -> Path:
        """The folder of one visitor's runs; on one's own machine that of all.

        Raises:
            OutputError: `owner` is not what the app gave out.
        """
        if not self.public:
            return self.runs
        if not is_owner(owner):
            raise OutputError("this page does not know whose runs to show; reload it.")
        return self.runs / owner


def is_owner(mark: object) -> bool:
    """Whether `mark` looks like what the app gives a browser to know its runs by: 32 hexadecimal digits."""
    return isinstance(mark, str) and bool(_OWNER.fullmatch(mark))
