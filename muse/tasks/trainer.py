"""Lightning's trainer, with the verb of muse and the options that matter to it."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback

from muse.data import Jobs
from muse.tasks.fit_free import FitFree
from muse.types import MuseError


class MuseTrainer(L.Trainer):
    """Where a run takes place: devices and precision, by Lightning's trainer.

    Of the trainer's many options those remain that mean something where nothing is fitted.

    Args:
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        strategy: how several devices share the jobs.
        devices: how many, or which; every one makes its share of the pictures.
        num_nodes: machines of a cluster.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``; S and its optimiser stay in
            float32.
        callbacks: of Lightning.
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
        super().__init__(
            accelerator=accelerator,
            strategy=strategy,
            devices=devices,
            num_nodes=num_nodes,
            precision=precision,
            callbacks=callbacks,
            inference_mode=False,  # steering needs gradients
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def fit_free(self, model: FitFree, datamodule: Jobs) -> None:
        """Make the pictures of jobs with a frozen model, steered at test time.

        Args:
            model: the parts and options.
            datamodule: the jobs.

        Raises:
            MuseError: fewer jobs than devices, jobs that the parts can't do, or a folder that
                can't be written.
        """
        if datamodule.from_stdin and self.world_size > 1:
            raise MuseError(
                f"Standard input can't be read by {self.world_size} devices. Save the jobs in a "
                "file, or use one device: --trainer.devices 1."
            )
        if len(datamodule.jobs) < self.world_size:
            raise MuseError(
                f"{len(datamodule.jobs)} jobs are fewer than {self.world_size} devices. "
                "Use fewer: --trainer.devices 1."
            )
        self.predict(model, datamodule=datamodule, return_predictions=False)


# A sub-command of LightningCLI is the trainer's method of the same name.
setattr(MuseTrainer, "fit-free", MuseTrainer.fit_free)
