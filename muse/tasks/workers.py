"""Several processes that share a run's jobs, as a strategy of Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from muse.runs.tickets import Tickets


class Workers(DDPStrategy):
    """As Lightning's DDP, each process with a device and a copy of the frozen parts, but with no
    process group: they meet at a store only (`muse.runs.tickets`), so that one that is slow or dies
    holds up none of the others.

    Processes are started as for DDP: by the first one, by torchrun, or by srun.
    """

    def setup_distributed(self) -> None:
        """Ranks alone; every barrier and broadcast of Lightning's does nothing without a group."""
        self.set_world_ranks()

    def setup(self, trainer: L.Trainer) -> None:
        """Move the model to this process's device; all were built alike."""
        assert self.accelerator is not None
        assert self.model is not None
        self.accelerator.setup(trainer)
        self.precision_plugin.convert_module(self.model)
        self.model_to_device()
        self.setup_precision_plugin()

    def tickets(self) -> Tickets:
        """Where this process draws its jobs from."""
        at = self.cluster_environment
        assert at is not None
        return Tickets.connect(at.main_address, at.main_port, self.global_rank, self.world_size)

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = _Launcher(self.cluster_environment, self.num_processes, self.num_nodes)


class _Launcher(_SubprocessScriptLauncher):
    """Starts the other processes, and lets them live and die for themselves: Lightning's own ends
    all when one dies.
    """

    def launch(
        self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any
    ) -> Any:
        environment = self.cluster_environment
        environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not environment.creates_processes_externally:
            self._call_children_scripts()
        return function(*args, **kwargs)
