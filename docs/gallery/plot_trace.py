"""
Reading a trace
===============

Every picture comes with a trace: when steering began, how often the search stepped, and what the
guide read on the way.
"""

import matplotlib.pyplot as plt
import torch

from muse import MusePipeline

pipe = MusePipeline.from_pretrained("muse-mini")
pipe.set_progress_bar_config(disable=True)
made = pipe(
    "a cat in a street",
    emotion="fear",
    generator=torch.Generator().manual_seed(5),
    num_inference_steps=25,
)
[trace] = made.traces
print(f"steered from step {trace.start_step} on; before, it read {trace.inherent}")

# %%
# Each step searches until the loss is small enough, so the target's probability saws upwards: a new
# step shows the search a cleaner picture. The bars say how many iterations each step took.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(7, 4.5), height_ratios=[2, 1], sharex=True, layout="constrained"
)
step = torch.tensor(trace.inner["step"])
iteration = torch.tensor(trace.inner["iteration"])
at = step + iteration / (iteration.max() + 1)
above.plot(at, trace.inner["p_target"], ".-", label="fear")
if trace.inherent:
    above.plot(at, trace.inner["p_inherent"], ".-", label=f"{trace.inherent} (inherent)")
above.set_ylabel("probability")
above.legend()
below.bar(range(len(trace.iterations)), trace.iterations)
below.set_xlabel("sampling step")
below.set_ylabel("iterations")
plt.show()
