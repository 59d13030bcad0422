"""What turns pictures to numbers that sets of pictures are compared by."""

from muse.metrics.features.autoencoder import AutoencoderFeatures
from muse.metrics.features.base import Extractor
from muse.metrics.features.clip import ClipFeatures
from muse.metrics.features.contrast import ContrastFeatures
from muse.metrics.features.inception import InceptionFeatures
from muse.metrics.features.layers import LayerFeatures, PenultimateFeatures
from muse.metrics.features.timm_model import TimmFeatures
from muse.metrics.features.torchvision_model import TorchvisionFeatures
from muse.metrics.features.transformers_model import TransformersFeatures

__all__ = [
    "AutoencoderFeatures",
    "ClipFeatures",
    "ContrastFeatures",
    "Extractor",
    "InceptionFeatures",
    "LayerFeatures",
    "PenultimateFeatures",
    "TimmFeatures",
    "TorchvisionFeatures",
    "TransformersFeatures",
]
