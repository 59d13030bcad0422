"""Lightning's trainer, with the verb of muse."""

from __future__ import annotations

import lightning as L

from muse.data import Jobs
from muse.tasks.fit_free import FitFree
from muse.types import MuseError


class MuseTrainer(L.Trainer):
    """Lightning's trainer with one more verb."""

    def fit_free(self, model: FitFree, datamodule: Jobs) -> None:
        """Make the pictures of jobs with a frozen model, steered at test time.

        Args:
            model: the parts and options.
            datamodule: the jobs.

        Raises:
            MuseError: fewer jobs than devices, jobs that the parts can't do, or a folder that
                can't be written.
        """
        if len(datamodule.jobs) < self.world_size:
            raise MuseError(
                f"{len(datamodule.jobs)} jobs are fewer than {self.world_size} devices. "
                "Use fewer: --trainer.devices 1."
            )
        self.predict(model, datamodule=datamodule, return_predictions=False)


# A sub-command of LightningCLI is the trainer's method of the same name.
setattr(MuseTrainer, "fit-free", MuseTrainer.fit_free)
