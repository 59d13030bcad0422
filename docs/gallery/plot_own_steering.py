"""
A steering of your own
======================

HOW the model is led is a class as well: at each step it is given where the picture stands, yields
what it wants to know, and returns a prediction. This one moves the predicted picture against the
loss's gradient by a length that shrinks as sampling goes on; the exact toy, four places and eight
emotions as a mixture of Gaussians, shows where it leads.
"""

import matplotlib.pyplot as plt

from muse import MusePipeline
from muse.backbones import BayesGuide, GaussianMixture
from muse.core.asks import Judge
from muse.core.emotions import EMOTIONS
from muse.core.types import Denoised
from muse.schedulers import StepWindow
from muse.steering import NoSteering, Steered, Steering


class Fading(Steering):
    """Against the gradient by x0, by a length that fades."""

    needs_plain = True

    def forward(self, step, state):
        plain = yield from step.predicted()
        guided = step.guidance.mixed(plain, step.unconditional)
        [judged] = yield [Judge(guided.x0, step.goal, step.job.prompt)]
        step.note(0, judged)
        slope = judged.gradient / judged.gradient.norm().clamp(min=1e-12)
        x0 = guided.x0 - 0.6 * step.node.sigma * slope
        step.trace.iterations.append(1)
        return Steered(Denoised.from_x0(step.x, x0, step.node.alpha, step.node.sigma), state)


# %%
# Both arms start from the same 64 noises, eight for each emotion; the toy gives points, not
# pictures.

wanted = [emotion for emotion in EMOTIONS for _ in range(8)]
figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharex=True, sharey=True, layout="constrained")
for axis, steering in zip(axes, [NoSteering(), Fading()], strict=True):
    pipe = MusePipeline(
        GaussianMixture(), BayesGuide(), steering=steering, timing=StepWindow(start=0.2)
    )
    pipe.set_progress_bar_config(disable=True)
    made = pipe("a walk in the park", wanted, num_inference_steps=25, output_type="pt", slots=64)
    for index, emotion in enumerate(EMOTIONS):
        mine = made.images[[i for i, name in enumerate(wanted) if name == emotion]]
        axis.scatter(*mine.T, label=emotion, color=f"C{index}", s=20)
    reached = [read[name] > 0.5 for read, name in zip(made.probabilities, wanted, strict=True)]
    axis.set_title(f"{type(steering).__name__}: {sum(reached)} of 64 reach their emotion")
axes[1].legend(fontsize=7)
plt.show()
