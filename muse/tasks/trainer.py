"""Lightning's trainer, with the verb of muse and the options that matter to it."""

from __future__ import annotations

import os
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback

from muse.core.stopping import terminable
from muse.core.types import MuseError
from muse.data import Jobs
from muse.tasks.fit_free import FitFree
from muse.tasks.workers import Workers


class MuseTrainer(L.Trainer):
    """Where a run takes place: devices and precision, by Lightning's trainer.

    Of the trainer's many options those remain that mean something where nothing is fitted.

    Args:
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        strategy: of Lightning, for one device; several share the jobs one by one
            (`muse.tasks.workers.Workers`): ``auto`` or ``ddp``.
        devices: how many, or which; ``auto`` takes all GPUs there are, or what torchrun started.
        num_nodes: machines of a cluster.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``; S and its optimiser stay in
            float32.
        callbacks: of Lightning.

    Raises:
        MuseError: another strategy for several devices.
    """

    def __init__(
        self,
        accelerator: str = "auto",
        strategy: str = "auto",
        devices: int | str | list[int] = "auto",
        num_nodes: int = 1,
        precision: str | None = None,
        callbacks: list[Callback] | None = None,
    ) -> None:
        if TorchElasticEnvironment.detect() and devices == "auto":  # torchrun says how many
            devices = int(os.environ["LOCAL_WORLD_SIZE"])
            num_nodes = int(os.environ["WORLD_SIZE"]) // devices
        options: dict[str, Any] = {
            "accelerator": accelerator,
            "devices": devices,
            "num_nodes": num_nodes,
            "precision": precision,
            "callbacks": callbacks,
            "inference_mode": False,  # steering needs gradients
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "use_distributed_sampler": False,  # every process is told all jobs
        }
        super().__init__(strategy=strategy, **options)
        if self.world_size > 1:  # only now known
            if strategy not in ("auto", "ddp"):
                raise MuseError(
                    f"strategy = {strategy!r} is not allowed for several devices: nothing is "
                    "fitted. Leave it out; they share the jobs one by one."
                )
            super().__init__(strategy=Workers(), **options)

    def fit_free(self, model: FitFree, datamodule: Jobs) -> None:
        """Make the pictures of jobs with a frozen model, steered at test time.

        Args:
            model: the parts and options.
            datamodule: the jobs.

        Raises:
            MuseError: standard input for several devices, jobs that the parts can't do, a folder
                that can't be written or that holds another run.
            KeyboardInterrupt: Ctrl-C or SIGTERM before the first picture; later ones end the run
                well (`FitFree.stopped`).
        """
        if datamodule.from_stdin and self.world_size > 1:
            raise MuseError(
                f"Standard input can't be read by {self.world_size} devices. Save the jobs in a "
                "file, or use one device: --trainer.devices 1."
            )
        try:
            with terminable():
                self.predict(model, datamodule=datamodule, return_predictions=False)
        except SystemExit as stop:  # which Lightning makes of Ctrl-C
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise stop.__context__ from None
            raise
        finally:
            model.sink.release()


# A sub-command of LightningCLI is the trainer's method of the same name.
setattr(MuseTrainer, "fit-free", MuseTrainer.fit_free)
