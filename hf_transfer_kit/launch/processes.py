"""The argument list that carries out a plan in as many processes as asked for. Imports no torch."""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from hf_transfer_kit.errors import PlanError
from hf_transfer_kit.launch.job import PLAN_FILE
from hf_transfer_kit.values import write_text_atomically

RUN = "hf_transfer_kit.run"
CONFIG_FILE = "accelerate.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Where a plan is carried out.

    Fields:
        count: processes on this machine, one per GPU.
        gpu: whether they run on GPUs.
        machines: nodes that share the work; the same is started on each, with its own `machine`.
        machine: number of this one, from 0.
        main_address, main_port: of machine 0; needed where there are several.

    Raises:
        PlanError: a number is out of range, or several machines have no address.
    """

    count: int = 1
    gpu: bool = False
    machines: int = 1
    machine: int = 0
    main_address: str = ""
    main_port: int = 29500

    def __post_init__(self) -> None:
        if min(self.count, self.machines) < 1:
            raise PlanError(f"processes={self.count} on {self.machines} machines must be >= 1; use 1.")
        if not 0 <= self.machine < self.machines:
            raise PlanError(f"machine={self.machine} is none of {self.machines}; they are counted from 0.")
        if self.machines > 1 and not self.main_address:
            raise PlanError(f"{self.machines} machines need main_address, the address of machine 0; give it.")

    @property
    def total(self) -> int:
        """Processes on all machines."""
        return self.count * self.machines

    @property
    def environment(self) -> dict[str, str]:
        """Variables that keep a run off the GPUs it did not ask for."""
        return {} if self.gpu else {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}

    def command(self, folder: Path) -> list[str]:
        """The argument list that carries out plan.yaml in `folder` there; on several GPUs or machines, writes the
        configuration file of accelerate beside it.

        On the CPU torchrun starts the processes: `accelerate launch --cpu` would start one only, whatever number it is
        given (accelerate 1.15).

        Example:
            >>> Processes(count=2).command(Path("job"))[1:6]
            ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
        """
        run = ["-m", RUN, str(folder / PLAN_FILE), "--out", str(folder)]
        if self.total == 1:
            return [sys.executable, *run]
        if self.gpu:
            write_text_atomically(folder / CONFIG_FILE, yaml.safe_dump(self._accelerate(), sort_keys=False))
            launcher = ["accelerate.commands.launch", "--config_file", str(folder / CONFIG_FILE)]
        else:
            launcher = ["torch.distributed.run", *self._meeting(), "--nproc_per_node", str(self.count)]
        return [sys.executable, "-m", *launcher, *run]

    def _meeting(self) -> list[str]:
        """Options of torchrun: where the processes find each other."""
        if self.machines == 1:
            return ["--standalone"]
        return ["--nnodes", str(self.machines), "--node_rank", str(self.machine),
                "--master_addr", self.main_address, "--master_port", str(self.main_port)]  # fmt: skip

    def _accelerate(self) -> dict[str, object]:
        """Content of accelerate's configuration file; port 0: any free one, so that two jobs do not meet."""
        several = self.machines > 1
        return {
            "compute_environment": "LOCAL_MACHINE",
            "distributed_type": "MULTI_GPU",
            "num_machines": self.machines,
            "machine_rank": self.machine,
            "num_processes": self.total,
            "gpu_ids": "all",
            "main_process_ip": self.main_address if several else None,
            "main_process_port": self.main_port if several else 0,
            "rdzv_backend": "static",
            "same_network": True,
            "mixed_precision": "no",  # the plan decides
            "use_cpu": False,
        }
