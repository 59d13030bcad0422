"""FID, KID and other numbers of sets against the libraries' formulas, written out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.metrics import (
    FID,
    KID,
    ContrastFeatures,
    Extractor,
    IntraClassVariance,
    Made,
    Naturalness,
    Reference,
    SemanticDiversity,
    estimates,
)


class _Pictures(Reference):
    """Those given."""

    told = "given ones"

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.images, self.reads = images, 0

    def pictures(self) -> Iterator[Tensor]:
        self.reads += 1
        yield from self.images


class _Corner(Extractor):
    """The first two pixels of every channel."""

    def forward(self, image):
        return image[..., 0, :2].flatten(1)


def pictures(count: int, seed: int, shift: float = 0.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list((torch.rand(count, 3, 16, 16, generator=generator) * 0.8 + shift).clamp(0, 1))


def made(images: Sequence[Tensor], targets: Sequence[str] = EMOTIONS) -> list[Made]:
    return [
        Made("a dog", {targets[i % len(targets)]: 1.0}, image) for i, image in enumerate(images)
    ]


def features(images: Sequence[Tensor]) -> np.ndarray:
    return ContrastFeatures()(torch.stack(list(images))).double().numpy()


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """As torch-fidelity and clean-fid have it: the root of the product of the covariances, here by
    the product's own eigenvalues.
    """
    mean = ((one.mean(0) - other.mean(0)) ** 2).sum()
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    return float(mean + np.trace(first) + np.trace(second) - 2 * root)


def discrepancy(one: np.ndarray, other: np.ndarray) -> float:
    """As torch-fidelity has it: the unbiased estimate, degree 3, gamma 1 / D, coefficient 1."""
    m, n, width = len(one), len(other), one.shape[1]
    xx, yy, xy = ((a @ b.T / width + 1) ** 3 for a, b in ((one, one), (other, other), (one, other)))
    within = (xx.sum() - np.trace(xx)) / (m * (m - 1)) + (yy.sum() - np.trace(yy)) / (n * (n - 1))
    return float(within - 2 * xy.mean())


@pytest.mark.parametrize("count", [90, 24])
def test_fid_is_the_libraries_formula(count):
    """With more pictures than features, and with fewer."""
    ours, theirs = pictures(count, 0, 0.1), pictures(70, 1)
    metric = FID(ContrastFeatures(), _Pictures(theirs), fewest=20)
    found = metric.sum_up(metric.describe(made(ours)))
    assert found == pytest.approx(frechet(features(ours), features(theirs)), abs=1e-5)
    assert found > 0.01


def test_fid_is_torchmetrics():
    ours, theirs = pictures(80, 0, 0.1), pictures(70, 1)
    network = ContrastFeatures()
    network.num_features = 36
    library = FrechetInceptionDistance(network, normalize=True).set_dtype(torch.float64)
    library.update(torch.stack(theirs).double(), real=True)
    library.update(torch.stack(ours).double(), real=False)
    metric = FID(ContrastFeatures(), _Pictures(theirs))
    found = metric.sum_up(metric.describe(made(ours)))
    assert found == pytest.approx(float(library.compute()), abs=1e-4)


def test_fid_of_a_set_with_itself_is_0_and_its_interval_holds_it():
    """Each draw repeats pictures, so each draw's is above 0: intervals are centred."""
    same = pictures(60, 0)
    metric = FID(ContrastFeatures(), _Pictures(same))
    described = metric.describe(made(same))
    assert metric.sum_up(described) == pytest.approx(0, abs=1e-6)
    assert metric.sum_up(described[torch.arange(60) // 2]) > 0.001
    [found] = estimates(
        {"steered": described.numpy()}, [str(i // 2) for i in range(60)], False, metric.sum_up
    ).values()
    assert found.mean == pytest.approx(0, abs=1e-6)
    assert found.low <= found.mean <= found.high
    assert found.high - found.low > 0.001


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_kid_is_the_libraries_formula(shift):
    ours, theirs = pictures(50, 0, shift), pictures(50, 1)
    metric = KID(ContrastFeatures(), _Pictures(theirs))
    found = metric.sum_up(metric.describe(made(ours)))
    one, other = features(ours), features(theirs)
    assert found == pytest.approx(discrepancy(one, other), abs=1e-8)
    assert found == pytest.approx(
        float(poly_mmd(torch.from_numpy(other), torch.from_numpy(one))), abs=1e-8
    )
    more = KID(ContrastFeatures(), _Pictures(pictures(33, 2)))
    wanted = discrepancy(one, features(pictures(33, 2)))
    assert more.sum_up(more.describe(made(ours))) == pytest.approx(wanted, abs=1e-8)


def test_kid_leaves_out_pairs_of_one_picture_with_itself():
    """Drawn twice by the bootstrap, or a plain picture that stands for several jobs: in another
    batch its features may differ by rounding.
    """
    ours = pictures(30, 0, 0.1)
    metric = KID(ContrastFeatures(), _Pictures(pictures(40, 1)))
    once = metric.sum_up(metric.describe(made(ours)))
    some, rest = metric.describe(made(ours[:7])), metric.describe(made(ours[7:]))
    twice = torch.cat([metric.describe(made(ours)), some, rest])
    assert metric.sum_up(twice) == pytest.approx(once, abs=1e-9)
    assert math.isnan(metric.sum_up(metric.describe(made([ours[0], ours[0]]))))


def test_the_reference_is_read_once_and_what_is_compared_is_told():
    reference = _Pictures(pictures(60, 1))
    metric = FID(ContrastFeatures(), reference, fewest=2)
    ours = made(pictures(40, 0))
    described = torch.cat([metric.describe(ours[:20]), metric.describe(ours[20:])])
    metric.sum_up(described)
    assert reference.reads == 1
    told = "40 pictures of 'steered' against 60 given ones, by 36 features (ContrastFeatures)."
    assert metric.remarks({"steered": described}) == [told]
    assert KID(ContrastFeatures(), reference).remarks({"steered": described}) == [told]
    [few] = metric.remarks({"plain": described[:36]})
    assert few.endswith("Fewer than features: the covariance is singular, so read KID, not FID.")


@pytest.mark.parametrize("metric", [FID, KID])
def test_a_reference_of_too_few_pictures_is_told(metric):
    few = metric(ContrastFeatures(), _Pictures(pictures(10, 1)))
    with pytest.raises(MuseError, match=r"of \d+ pictures or more, and there are 10 given ones"):
        few.describe(made(pictures(3, 0)))
    with pytest.raises(MuseError, match="reference of 20 pictures or more"):
        Naturalness(_Corner(), _Pictures(pictures(10, 1))).measure(made(pictures(3, 0)))


def test_features_that_are_no_rows_are_told():
    class _Maps(Extractor):
        def forward(self, image):
            return image

    metric = KID(_Maps(), _Pictures(pictures(30, 1)))
    with pytest.raises(MuseError, match=r"_Maps gives \(16, 3, 16, 16\) for 16 pictures"):
        metric.describe(made(pictures(3, 0)))


# --- naturalness -------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", ["mahalanobis", "nearest"])
def test_naturalness_is_a_half_for_such_pictures_and_falls_with_the_distance(distance):
    metric = Naturalness(ContrastFeatures(), _Pictures(pictures(400, 1)), distance)
    alike = np.array(metric.measure(made(pictures(100, 2))))
    assert np.median(alike) == pytest.approx(0.5, abs=0.03)
    blurred = [nn.functional.avg_pool2d(image[None], 3, 1, 1)[0] for image in pictures(20, 3)]
    strange = np.array(metric.measure(made(blurred)))
    assert strange.max() < alike.min()
    assert strange.min() > 0
    [told] = metric.remarks({})
    assert told.startswith(f"against 400 given ones, {distance} by ContrastFeatures")


def test_naturalness_by_hand():
    """One dimension. The near half is -1, 1, ...: mean 0; the other half lies at 2, so m is the
    distance of 2, and that of 6 is three times as large.
    """

    class _Red(Extractor):
        def forward(self, image):
            return 10 * image[:, :1, 0, 0] - 5

    def red(value: float) -> Tensor:
        return torch.full((3, 8, 8), (value + 5) / 10)

    pairs = [red(value) for i in range(20) for value in ((-1) ** i, 2.0)]
    metric = Naturalness(_Red(), _Pictures(pairs))
    found = metric.measure(made([red(2), red(-4), red(0)]))
    assert found == pytest.approx([1 / 2, 1 / 3, 1], abs=1e-4)


# --- how different pictures are ----------------------------------------------------------------


def colours() -> list[Made]:
    """Two of awe, three of fear, one of anger."""
    rows = {"awe": ["100", "010"], "fear": ["001", "011", "111"], "anger": ["110"]}
    return [
        Made(
            "", {emotion: 1.0}, torch.tensor([float(c) for c in row]).view(3, 1, 1).expand(3, 8, 8)
        )
        for emotion, found in rows.items()
        for row in found
    ]


class _Mean(Extractor):
    def forward(self, image):
        return image.mean((2, 3))


def test_variance_within_emotions_by_hand():
    metric = IntraClassVariance(_Mean())
    described = metric.describe(colours())
    # awe: 1/2, 1/2, 0; fear: 1/3, 1/3, 0
    assert metric.sum_up(described) == pytest.approx((1 / 3 + 2 / 9) / 2)
    assert metric.sum_up(torch.cat([described, described])) == pytest.approx((1 / 3 + 2 / 9) / 2)
    assert math.isnan(metric.sum_up(described[-1:]))
    assert math.isnan(metric.sum_up(torch.cat([described[:1], described[:1]])))


def test_semantic_diversity_by_hand():
    metric = SemanticDiversity(_Mean())
    fear = 3 - (math.sqrt(1 / 2) + math.sqrt(1 / 3) + math.sqrt(2 / 3))
    assert metric.sum_up(metric.describe(colours())) == pytest.approx((1 + fear / 3) / 2)
