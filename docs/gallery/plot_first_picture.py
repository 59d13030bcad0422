"""
A first picture
===============

One prompt, one seed: as the model draws it, and with an emotion. Nothing is trained; while the
second picture is being sampled, a small change of the text condition is searched for.
"""

import matplotlib.pyplot as plt
import torch

from muse import MusePipeline

pipe = MusePipeline.from_pretrained("muse-mini")
pipe.set_progress_bar_config(disable=True)

# %%
# None is the plain picture. A list of emotions makes one picture of each; a generator of one seed
# for each gives both the same noise.

emotions = [None, "awe"]
made = pipe(
    "a dog in a park",
    emotion=emotions,
    generator=[torch.Generator().manual_seed(3) for _ in emotions],
    num_inference_steps=25,
)

# %%
# Beside each picture stands what the guide, an emotion classifier, reads in it.

figure, axes = plt.subplots(1, 2, figsize=(6, 3.4), layout="constrained")
for axis, picture, emotion, read in zip(
    axes, made.images, emotions, made.probabilities, strict=True
):
    axis.imshow(picture)
    axis.set_title(f"{emotion or 'plain'}\np(awe) = {read['awe']:.2f}")
    axis.axis("off")
plt.show()
