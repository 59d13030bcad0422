"""
Editing a picture
=================

An edit starts from where the picture came from: its way to noise is found by inversion, and the
way back is steered. What the prompt says of the picture stays; its emotion changes.
"""

import matplotlib.pyplot as plt
import torch

from muse import MusePipeline

pipe = MusePipeline.from_pretrained("muse-mini")
pipe.set_progress_bar_config(disable=True)

# %%
# Any picture will do, of any size; here one that the model draws itself.

prompt = "a boat on a beach"
[source] = pipe(prompt, generator=torch.Generator().manual_seed(7), num_inference_steps=25).images

# %%
# The prompt describes the source, not what it shall become: that is the emotion's part.

emotions = ["contentment", "fear", "sadness"]
edits = pipe(prompt, emotion=emotions, image=source, num_inference_steps=25).images

figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for axis, picture, name in zip(axes, [source, *edits], ["source", *emotions], strict=True):
    axis.imshow(picture)
    axis.set_title(name)
    axis.axis("off")
plt.show()
