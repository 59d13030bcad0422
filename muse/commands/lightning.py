"""The commands that LightningCLI runs: `fit-free`, and fitting."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import diffusers
import lightning as L
import transformers
from jsonargparse import ActionYesNo, set_dumper
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

import muse.backbones
import muse.guides
import muse.latents
import muse.losses
import muse.mini
import muse.schedulers
import muse.steering  # noqa: F401  (importing registers the components)
from muse.core.files import as_yaml
from muse.core.stopping import exit_code
from muse.data import Jobs
from muse.presets import with_examples, with_presets
from muse.presets.building import not_measured
from muse.tasks import FitFree, MuseTrainer
from muse.tasks.resuming import check_checkpoint
from muse.tasks.summary import closing_lines

set_dumper("yaml", as_yaml)


class FitFreeCLI(LightningCLI):
    """`muse fit-free`: the trainer's, the task's and the jobs' options, and ``--output_dir``."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The one sub-command, and which parameters aren't options."""
        return {"fit-free": {"model", "datamodule"}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """``--output_dir`` and ``--retry_failed`` at the top level."""
        parser.add_argument(
            "--output_dir",
            type=str,
            default="outputs/run",
            help="the folder to write; a run that it holds goes on",
        )
        parser.add_argument(
            "--retry_failed",
            action=ActionYesNo,
            default=False,
            help="try jobs again that failed before",
        )
        parser.link_arguments("output_dir", "model.output_dir")
        parser.link_arguments("retry_failed", "model.retry_failed")


class FitCLI(LightningCLI):
    """`muse fit`: the trainer's options, a task and its data by class path."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The one sub-command, and which parameters aren't options."""
        return {"fit": LightningCLI.subcommands()["fit"]}

    def before_fit(self) -> None:
        """Refuses a checkpoint that can't be gone on from before anything is done."""
        check_checkpoint(self.config.fit.ckpt_path)


class HandConfigOver(SaveConfigCallback):
    """Gives the resolved config to the task, which writes it into the run's folder, and what there
    is to say about the files that it comes from.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """In every process, not in the first alone: all note what decides their pictures."""
        self.save_config(trainer, pl_module, stage)

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """As YAML, every default spelled out."""
        assert isinstance(pl_module, FitFree)
        pl_module.config = self.parser.dump(self.config, skip_unset=False)
        files = [str(path) for path in self.config.get("config") or []]
        pl_module.notes = not_measured(files, pl_module.sampler.backbone)


def fit_free(words: list[str]) -> int:
    """Run `muse fit-free` and tell what came of it; the exit code."""
    quiet()
    cli = FitFreeCLI(
        FitFree,
        Jobs,
        save_config_callback=HandConfigOver,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_class=MuseTrainer,
        seed_everything_default=False,
        **_common([words[0], *with_presets(words[1:], "default")]),
    )
    model: Any = cli.model
    if cli.trainer.is_global_zero:
        jobs, remedy = len(model.sink.jobs), model.sampler.setup.timing.remedy
        stopped = model.stopped is not None
        for line in closing_lines(model.records, jobs, model.sink.path, stopped, remedy):
            print(line)
    if model.stopped is not None:
        return exit_code(model.stopped)
    failed = any(record["status"] == "failed" for record in model.records)
    return int(model.tickets.lost or (failed and not TorchElasticEnvironment.detect()))


def fit(words: list[str]) -> int:
    """Run `muse fit`: Lightning's trainer on any task and its data; the exit code."""
    quiet()
    FitCLI(
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        **_common(with_examples(words)),
    )
    return 0


def _common(words: list[str]) -> dict[str, Any]:
    # A list given from Python makes LightningCLI warn where the process has arguments as well.
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    usage = f"muse {words[0]} --config FILE [options]"
    return {
        "args": words,
        "auto_configure_optimizers": False,
        "parser_kwargs": {
            "exit_on_error": False,
            words[0]: {"exit_on_error": False, "usage": usage},
        },
    }


def quiet() -> None:
    """Keep third parties' remarks off the terminal; ours and errors stay."""
    for module in (
        "lightning",
        "diffusers",
        "transformers",
        "huggingface_hub",
        "torch",
        "jsonargparse",
    ):
        warnings.filterwarnings("ignore", module=rf"{module}\b")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
