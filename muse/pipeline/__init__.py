"""muse from Python, in the manner of diffusers."""

from muse.pipeline.outputs import MusePipelineOutput
from muse.pipeline.pipeline import MusePipeline

__all__ = ["MusePipeline", "MusePipelineOutput"]
