"""The presets of the large models run as they stand, on tiny ones of the same classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.presets.building import laid
from muse.steering import TokenOptimization
from tests import tiny, tiny_guides

ROOT = Path(__file__).parent.parent

CONFIGS = {
    "sd15": ("sd", 4),
    "sdxl": ("sdxl", 4),
    "pixart": ("pixart-1024", 4),
    "sd3": ("sd3", 8),
    "flux": ("flux-dev", 4),
}
"""Config -> the tiny family that takes the model's place, and the channels of its latents."""


@pytest.mark.parametrize("name", CONFIGS)
def test_presets_run(name: str, tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    family, channels = CONFIGS[name]
    torch.manual_seed(0)
    tiny.tiny_autoencoder(channels=channels).save_pretrained(tmp_path / "preview")
    clip = tiny_guides.clip_folder(tmp_path / "clip")
    words = json.dumps({emotion: [emotion] for emotion in EMOTIONS})  # the tiny CLIP's context
    options = [
        f"--output_dir={tmp_path / 'run'}",
        f"--model.backbone.pretrained={tiny_folder(family)}",
        f"--model.backbone.preview_decoder={tmp_path / 'preview'}",
        f"--model.guide.clip={clip}",
        f"--model.guide.words={words}",
        '--model.guide.templates=["{}"]',
        f"--model.similarity.clip={clip}",
        "--model.timing.eta=-100",
        "--model.size=[16, 24]",
        "--model.steps=2",
        "--data.prompts=[a dog]",
        "--data.limit=2",
        "--trainer.accelerator=cpu",
    ]
    assert main(["fit-free", "--config", str(ROOT / f"configs/{name}.yaml"), *options]) == 0
    records = [json.loads(path.read_text()) for path in (tmp_path / "run/records").iterdir()]
    assert [record["start_step"] for record in records] == [0, 0]
    assert all(sum(record["iterations"]) > 0 for record in records)
    resolved = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"]["backbone"]
    assert resolved["init_args"]["dtype"] == "bfloat16"
    where = {"sd15": "model", "flux": "cpu"}.get(name, "offload")
    assert resolved["init_args"]["text_device"] == where


@pytest.mark.parametrize("name", CONFIGS)
def test_the_papers_own_search_is_one_file_more(name: str) -> None:
    """The search is that of muse's own defaults, which are the paper's; what it doesn't say is the
    file's.
    """
    own, paper = ROOT / f"configs/{name}.yaml", ROOT / "configs/published.yaml"
    alone = laid([str(own)])
    assert alone["steering"]["init_args"]["rule"]["class_path"].endswith(".Polyak")
    assert alone["steering"]["class_path"].endswith(".TextShift")
    found = laid([str(own), str(paper)])
    said = found["steering"]["init_args"]
    assert {key: getattr(TokenOptimization(), key) for key in said} == said
    assert (found["tolerance"], found["keep"], found["max_iterations"]) == (1e-4, "last", 5)
    assert found["timing"]["init_args"]["eta"] == 18
    assert found["guide"] == alone["guide"]
    assert found["steps"] == alone["steps"]
