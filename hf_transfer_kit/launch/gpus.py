"""Which GPUs are free, asked of nvidia-smi; a machine without it has none that this knows of. Imports no torch."""

import os
import shutil
import subprocess
from collections.abc import Iterable

FREE_MIB = 1024  # a GPU with less memory in use is nobody's: a desktop and the driver take some
SECONDS = 10.0


def gpu_memory_used() -> dict[int, int]:
    """MiB in use on every GPU that may be used here, by index; {} where there is no GPU, or no nvidia-smi.

    CUDA_VISIBLE_DEVICES of this process, where it lists indices, is respected.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    asked = [program, "--query-gpu=index,memory.used", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return _allowed(_parsed(answer))


def free_gpus(taken: Iterable[int]) -> list[int]:
    """Indices of GPUs that nobody uses and no job was given; `taken` are those of the running jobs, which may not
    have begun to use them."""
    taken = set(taken)
    return [index for index, used in sorted(gpu_memory_used().items()) if used < FREE_MIB and index not in taken]


def _parsed(answer: str) -> dict[int, int]:
    """{index: MiB} of lines like "0, 512"; memory that the driver does not tell ("[N/A]") counts as not in use."""
    found = {}
    for line in answer.splitlines():
        index, _, used = (part.strip() for part in line.partition(","))
        if index.isdigit():
            found[int(index)] = int(used) if used.isdigit() else 0
    return found


def _allowed(used: dict[int, int]) -> dict[int, int]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return used
    words = [word.strip() for word in visible.split(",") if word.strip()]
    if not all(word.isdigit() for word in words):  # names of GPUs; nvidia-smi's indices do not say which
        return used
    return {index: mib for index, mib in used.items() if str(index) in words}
