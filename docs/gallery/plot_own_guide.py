"""
A guide of your own
===================

A guide is a torch module that turns pictures into eight logits, with gradients. This one has
never seen an emotion: it calls bright warm pictures excitement and dark cold ones sadness, by
their mean colour. The search follows whatever it is told. (Tokens alone search here: the
emotion's word, which the preset puts into the prompt, would move the picture too.)
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from muse import MusePipeline
from muse.core.emotions import EMOTIONS
from muse.guides import Guide
from muse.steering import TokenOptimization


class MeanColour(Guide):
    """Emotions by brightness and warmth."""

    def forward(self, image: Tensor) -> Tensor:
        red, _, blue = image.mean((2, 3)).unbind(1)
        brightness = image.mean((1, 2, 3)) - 0.5
        logits = torch.zeros(len(image), len(EMOTIONS), dtype=image.dtype)
        logits[:, EMOTIONS.index("excitement")] = 12 * (brightness + red - blue)
        logits[:, EMOTIONS.index("sadness")] = -12 * (brightness + red - blue)
        return logits


# %%
# It stands where the trained ones stood; all else is as it was.

pipe = MusePipeline.from_pretrained(
    "muse-mini", guide=MeanColour(), steering=TokenOptimization(lr=0.2)
)
pipe.set_progress_bar_config(disable=True)
emotions = ["sadness", None, "excitement"]
made = pipe(
    "a house in a park",
    emotion=emotions,
    generator=[torch.Generator().manual_seed(4) for _ in emotions],
    num_inference_steps=25,
)

figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.9), layout="constrained")
for axis, emotion, picture in zip(axes, emotions, made.images, strict=True):
    axis.imshow(picture)
    axis.set_title(emotion or "plain")
    axis.axis("off")
plt.show()
