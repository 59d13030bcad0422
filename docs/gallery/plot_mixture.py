"""
Two emotions in one picture
===========================

An emotion may be a mixture: a mapping, or a text such as ``"fear:0.5,awe:0.5"``. The search then
pulls the guide's reading towards that distribution.
"""

import matplotlib.pyplot as plt
import torch

from muse import MusePipeline

pipe = MusePipeline.from_pretrained("muse-mini")
pipe.set_progress_bar_config(disable=True)

shares = [0.0, 0.5, 1.0]
emotions = [{"fear": share, "awe": 1 - share} for share in shares]
made = pipe(
    "a tree in a forest",
    emotion=emotions,
    generator=[torch.Generator().manual_seed(1) for _ in emotions],
    num_inference_steps=25,
)

# %%
# The bars are what the guide reads in the picture above them.

figure, axes = plt.subplots(2, 3, figsize=(8, 5), height_ratios=[2.2, 1], layout="constrained")
for column, share, picture, read in zip(
    axes.T, shares, made.images, made.probabilities, strict=True
):
    column[0].imshow(picture)
    column[0].set_title(f"fear {share:g}, awe {1 - share:g}")
    column[0].axis("off")
    column[1].barh(["awe", "fear", "others"],
                   [read["awe"], read["fear"], 1 - read["awe"] - read["fear"]])  # fmt: skip
    column[1].set_xlim(0, 1)
plt.show()
