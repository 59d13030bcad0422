"""Several guides as one."""

import pytest
import torch

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import Guide, GuideEnsemble

IMAGE = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Linear(Guide):
    """Logits that depend on the picture's mean, of classes in any order."""

    def __init__(self, seed: int, labels=EMOTIONS):
        super().__init__()
        self.labels = labels
        self.slope = torch.randn(8, generator=torch.Generator().manual_seed(seed))

    def forward(self, image):
        return 20 * image.mean((1, 2, 3))[:, None] * self.slope


def test_it_is_the_mean_of_probabilities_by_name():
    one, other = Linear(0), Linear(1, EMOTIONS[::-1])
    found = GuideEnsemble([one, other], [1, 3]).read(IMAGE)
    p, q = one(IMAGE).softmax(-1), other(IMAGE).softmax(-1).flip(1)
    assert torch.allclose(found.exp(), 0.25 * p + 0.75 * q, atol=1e-6)
    assert torch.allclose(found.exp().sum(-1), torch.ones(3), atol=1e-6)


def test_one_sure_member_does_not_convince_the_ensemble():
    sure, other = Linear(0), Linear(1)
    sure.slope = 1e3 * torch.eye(8)[2]
    p = GuideEnsemble([sure, other]).read(IMAGE).exp()[:, 2]
    assert torch.allclose(p, 0.5 + 0.5 * other(IMAGE).softmax(-1)[:, 2], atol=1e-6)
    image = IMAGE.clone().requires_grad_()
    [slope] = torch.autograd.grad(GuideEnsemble([sure, other]).read(image)[:, 2].sum(), image)
    assert slope.abs().sum() > 0


@pytest.mark.parametrize(
    ("guides", "weights", "told"),
    [
        (0, None, "without guides"),
        (2, [1.0], "for 2 guides"),
        (2, [1.0, 0.0], "above 0"),
        (1, [float("nan")], "above 0"),
    ],
)
def test_bad_ensembles_are_refused(guides, weights, told):
    with pytest.raises(MuseError, match=told):
        GuideEnsemble([Linear(i) for i in range(guides)], weights)
