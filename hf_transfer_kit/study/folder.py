"""The folder of a study: whose it is, who is at work in it, what is finished in it.

    study.yaml          what is compared; written once everything is known to work
    checks.json         what the checks of the data found
    runs/MODEL/METHOD/SIZE/seed-N/       one folder per run; a method is an approach with its protections: full+ewc
    report.md, report.html, comparison.json, pictures/
    .lock               held by the one process at work

Everything is written whole or not at all, so a folder can be continued whatever ended the work in it.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import filelock
import yaml

from hf_transfer_kit.errors import FormatError, OutputError
from hf_transfer_kit.findings import CheckReport
from hf_transfer_kit.plan import ModelSpec, Scratch, TransferPlan
from hf_transfer_kit.records import ModelIdentity, RunRecord
from hf_transfer_kit.study.old_leaks import with_old_leaks
from hf_transfer_kit.values import check_format, read_json, to_mapping, write_json, write_text_atomically

if TYPE_CHECKING:
    from hf_transfer_kit.data.labelled import LabelledData
    from hf_transfer_kit.data.old_text import OldTextData
    from hf_transfer_kit.study.study import Study

STUDY_FILE, CHECKS_FILE, LOCK_FILE, RUNS = "study.yaml", "checks.json", ".lock", "runs"
JOB_FILE = "job.json"  # a study that runs as a job has the folder of the job
OF_A_JOB = (JOB_FILE, "events.jsonl", "log.txt", "prompt.yaml", "stop.json", "rc")  # what may be there before it
FORMAT, VERSION = "hf_transfer_kit.study", 1

Preparing = Callable[[str, int, int], None]


class StudyFolder:
    """One process at work in the folder `path`; a folder made for a study that could not begin is removed again.

    Raises:
        OutputError: on entering, the folder holds something else, cannot be written, or another process works in it.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = filelock.FileLock(path / LOCK_FILE, timeout=0)
        self._made: list[Path] = []

    def __enter__(self) -> "StudyFolder":
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            if self.path.is_dir() and not (self.path / STUDY_FILE).exists() and self._visible():
                raise OutputError(f"folder '{self.path}' is not empty and holds no comparison; choose a new --out.")
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout as error:
            raise OutputError(
                f"another comparison is at work in '{self.path}'; wait for it, or choose another --out."
            ) from error
        except OutputError:
            raise
        except (FileExistsError, NotADirectoryError) as error:
            raise OutputError(f"'{self.path}' is, or lies below, a file; choose another --out.") from error
        except (OSError, NotImplementedError) as error:  # NotImplementedError: a file system without locks
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"folder '{self.path}' cannot be written ({reason}); choose another --out.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        with contextlib.suppress(OSError):
            if not self._visible():
                (self.path / LOCK_FILE).unlink(missing_ok=True)
                for folder in self._made:
                    folder.rmdir()

    def _visible(self) -> list[Path]:
        beside = OF_A_JOB if (self.path / JOB_FILE).exists() else ()
        return [path for path in self.path.iterdir() if not path.name.startswith(".") and path.name not in beside]

    def run_folder(self, name: str) -> Path:
        """The folder of one run."""
        return self.path / RUNS / name

    def record_file(self, name: str) -> Path:
        """The file that a finished run leaves."""
        return self.run_folder(name) / "record.json"

    def check_same(self, study: "Study") -> None:
        """Raises OutputError where the folder holds a study of other data (old or new) or training."""
        path = self.path / STUDY_FILE
        if not path.exists():
            return
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise FormatError(f"'{path}' is not valid YAML; choose another --out.") from error
        earlier = check_format(content, name=FORMAT, version=VERSION, where=f"'{path}'")
        now = to_mapping(study)
        for part in ("data", "old_data", "training"):
            difference = _difference(earlier.get(part) or {}, now[part] or {}, part)
            if difference:
                raise OutputError(
                    f"folder '{self.path}' holds another comparison: its {difference}; choose another --out."
                )

    def kept_runs(
        self, plans: Mapping[str, TransferPlan], hashes: Mapping[str, str],
        old: "LabelledData | OldTextData | None" = None,
    ) -> set[str]:  # fmt: skip
        """Names of the runs that are finished.

        Args:
            hashes: of the parts of the data.
            old: the old data.

        Raises:
            OutputError: one of them was made with other settings, other data or another model than now.
        """
        kept = set()
        models: dict[ModelSpec, ModelIdentity] = {}
        for name, plan in plans.items():
            if (self.run_folder(name) / "plan.yaml").exists():
                self._check_plan(name, plan)
            if not self.record_file(name).exists():
                continue
            record = RunRecord.load(self.record_file(name))
            if dict(record.data.hashes) != dict(hashes):
                raise OutputError(
                    f"the content of '{plan.data.path}' has changed since the runs in '{self.path}' were made; choose "
                    "another --out."
                )
            if plan.old_data and _is_other(record, old):
                raise OutputError(
                    f"the content of the old data '{plan.old_data.path}' has changed since the runs in '{self.path}' "
                    "were made; choose another --out."
                )
            if plan.model is not None and not isinstance(plan.approach, Scratch):
                from hf_transfer_kit.models import identity

                models[plan.model] = models.get(plan.model) or identity(plan.model)
                if models[plan.model] != record.model:
                    raise OutputError(
                        f"model '{plan.model.name}' has changed since the runs in '{self.path}' were made; choose "
                        "another --out."
                    )
            _check_prompt(plan, record)
            kept.add(name)
        return kept

    def _check_plan(self, name: str, plan: TransferPlan) -> None:
        folder = self.run_folder(name)
        earlier = TransferPlan.load(folder / "plan.yaml")
        if not plan.repeats(earlier):
            difference = _difference(earlier.to_mapping(), plan.to_mapping())
            raise OutputError(
                f"run '{folder}' was made with other settings: its {difference}; choose another --out, or delete that "
                "folder."
            )

    def claim(self, study: "Study") -> None:
        """Makes the folder this study's."""
        write_text_atomically(self.path / STUDY_FILE, study.to_yaml())

    def checks(
        self, data: "LabelledData", on_progress: Preparing, old: "LabelledData | OldTextData | None" = None
    ) -> CheckReport:
        """The checks of `data`, and of what it shares with `old`, kept in the folder: they take a while for images."""
        path, hashes = self.path / CHECKS_FILE, dict(data.hashes)
        from hf_transfer_kit.data.labelled import LabelledData

        labelled = old if isinstance(old, LabelledData) else None
        hashes |= {f"old {part}": digest for part, digest in labelled.hashes.items()} if labelled else {}
        if path.exists():
            kept = read_json(path)
            if isinstance(kept, dict) and kept.get("hashes") == hashes:
                return CheckReport.from_mapping(kept.get("report", {}), where=f"'{path}'")
        from hf_transfer_kit.checking.checks import check_data

        def looking(done: int, total: int) -> None:
            on_progress("looking for copies", done, total)

        report = check_data(data, looking)
        if labelled is not None:
            on_progress("looking for copies of old data", 0, 0)
            report = with_old_leaks(report, data, labelled)
        write_json(path, {"hashes": hashes, "report": report.to_mapping()})
        return report


def _check_prompt(plan: TransferPlan, record: RunRecord) -> None:
    """Raises OutputError where a prompt file is no longer what the run asked with."""
    file = getattr(plan.approach, "prompt", None)
    if file is None:
        return
    from hf_transfer_kit.prompting.prompts import load_prompt

    if load_prompt(file).to_yaml() != record.details.get("prompt_text"):
        raise OutputError(f"prompt file '{file}' has changed since the runs were made; choose another --out.")


def _is_other(record: RunRecord, old: "LabelledData | OldTextData | None") -> bool:
    """Whether a record was made with old data of another content."""
    if record.old is not None:
        return dict(record.old.data.hashes) != dict(getattr(old, "hashes", {}))
    return record.old_text is not None and record.old_text.digest != getattr(old, "digest", "")


def _difference(earlier: Any, now: Any, name: str = "") -> str:
    """The first setting that differs, "data.path is 'a.csv', now 'b.csv'", or ""."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        for key in now | earlier:
            inner = _difference(earlier.get(key), now.get(key), f"{name}.{key}" if name else str(key))
            if inner:
                return inner
        return ""
    return "" if earlier == now else f"{name} is {earlier!r}, now {now!r}"
