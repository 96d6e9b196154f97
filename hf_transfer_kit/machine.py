"""What a run was made with: the machine, and the versions of the libraries. Part of every record."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("hf-transfer-kit", "torch", "transformers", "datasets", "accelerate", "peft", "scikit-learn", "numpy")


def has_gpu() -> bool:
    """Whether torch sees a GPU."""
    import torch

    return torch.cuda.is_available()


def library_versions() -> dict[str, str]:
    """Versions of Python and the libraries that decide a run."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def this_machine() -> dict[str, str]:
    """Processor, cores, memory, accelerator, threads and processes."""
    import psutil
    import torch
    from accelerate import PartialState

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line for line in lines if line.startswith("model name")), platform.processor() or platform.machine())
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": name.rpartition(":")[2].strip(),
        "cores": str(psutil.cpu_count(logical=True)),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": str(torch.get_num_threads()),
        "processes": str(PartialState().num_processes),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
