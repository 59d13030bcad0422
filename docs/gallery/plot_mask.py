"""
Where it may act
================

A mask is a picture that is white where the emotion may act. Outside, an edit keeps the source's
pixels, all of them.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageFilter

from muse import MusePipeline

pipe = MusePipeline.from_pretrained("muse-mini")
pipe.set_progress_bar_config(disable=True)
prompt = "a boat on a beach"
[source] = pipe(prompt, generator=torch.Generator().manual_seed(7), num_inference_steps=25).images

# %%
# The upper half, with a soft edge: a hard one would show.

mask = Image.new("L", source.size, 0)
mask.paste(255, (0, 0, source.width, source.height // 2))
mask = mask.filter(ImageFilter.GaussianBlur(source.height / 16))
[edit] = pipe(prompt, emotion="fear", image=source, mask_image=mask, num_inference_steps=25).images

# %%
# Below the slope of the mask nothing has changed.

same = (np.asarray(edit) == np.asarray(source)).all(-1)
print(f"{same[np.asarray(mask) == 0].mean():.0%} of the pixels outside are the source's")

figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.9), layout="constrained")
for axis, picture, name in zip(axes, [source, mask, edit], ["source", "mask", "fear"], strict=True):
    axis.imshow(picture, cmap="gray")
    axis.set_title(name)
    axis.axis("off")
plt.show()
