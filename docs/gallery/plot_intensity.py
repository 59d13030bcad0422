"""
How strongly
============

``intensity`` runs from 0, the plain picture bit for bit, to 1, all that the search can do; a
negative one lessens an emotion. ``"sadness@0.5"`` is the same in a word.
"""

import matplotlib.pyplot as plt
import torch

from muse import MusePipeline

pipe = MusePipeline.from_pretrained("muse-mini")
pipe.set_progress_bar_config(disable=True)

levels = [0, 0.25, 0.5, 1]
made = pipe(
    "a house in a park",
    emotion=[f"sadness@{level}" for level in levels],
    generator=[torch.Generator().manual_seed(2) for _ in levels],
    num_inference_steps=25,
)

figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
for axis, level, picture, read in zip(axes, levels, made.images, made.probabilities, strict=True):
    axis.imshow(picture)
    axis.set_title(f"intensity {level:g}\np(sadness) = {read['sadness']:.2f}")
    axis.axis("off")
plt.show()
