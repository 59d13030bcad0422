"""The Frechet distance of two sets of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from muse.metrics.base import Made, Metric
from muse.metrics.distinct import distinct, fingerprints
from muse.metrics.feature_space import FeatureSpace
from muse.metrics.features import Extractor
from muse.metrics.references import Reference


class FID(Metric):
    r"""The Frechet distance of pictures to a reference set (Heusel et al. 2017), by any features.

    :math:`|\mu - \mu_r|^2 + \mathrm{tr}\,(\Sigma + \Sigma_r - 2 (\Sigma_r^{1/2} \Sigma
    \Sigma_r^{1/2})^{1/2})` of the means and sample covariances. It is that of the published figures
    with `InceptionFeatures` alone, and even then grows as pictures get fewer; with fewer than the
    features have dimensions the covariance is singular, which is told: read `KID` beside it.

    Args:
        features: from pixels to features.
        reference: the pictures that others are compared with.
        fewest: how many different pictures it takes, of the arm and of the reference.
        name: its row in the tables.
    """

    show: ClassVar[str] = ".2f"

    def __init__(
        self, features: Extractor, reference: Reference, fewest: int = 50, name: str = "FID"
    ) -> None:
        super().__init__()
        self.space = FeatureSpace(features, reference)
        self.fewest, self.name = max(2, fewest), name
        self._moments: tuple[Tensor, Tensor, float] | None = None

    def describe(self, pictures: Sequence[Made]) -> Tensor:
        """Fingerprint and features, (N, 1 + D)."""
        images = [picture.image for picture in pictures]
        self.moments(images[0].device)
        return torch.cat([fingerprints(pictures), self.space.read(images)], dim=1)

    def sum_up(self, described: Tensor) -> float:
        """The distance, 0 or more."""
        mean, root, trace = self.moments()
        return frechet(described[:, 1:], mean, root, trace)

    def moments(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, float]:
        """The reference's mean (D,), the root of its covariance (D, D) and that one's trace.

        Raises:
            MuseError: fewer pictures in the reference than `fewest`.
        """
        if self._moments is None:
            known = self.space.of_large_reference(self.fewest, self.name, device)
            covariance = known.T.cov()
            values, vectors = torch.linalg.eigh(covariance)
            root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
            self._moments = known.mean(0), root, float(covariance.trace())
        return self._moments

    def remarks(self, described: Mapping[str, Tensor]) -> list[str]:
        """How many pictures are compared, and where the covariance is singular."""
        lines = []
        for arm, rows in described.items():
            count, width = len(distinct(rows)[1]), rows.shape[1] - 1
            few = f" Fewer than features: the covariance is singular, so read KID, not {self.name}."
            lines.append(self.space.told(count, arm) + few * (count <= width))
        return lines


def frechet(features: Tensor, mean: Tensor, root: Tensor, trace: float) -> float:
    r"""The Frechet distance of features to a Gaussian.

    The trace of the root of :math:`\Sigma_r^{1/2} \Sigma \Sigma_r^{1/2}` is the sum of the roots of
    its eigenvalues; those of :math:`Y Y^T` and of :math:`Y^T Y` are the same but for zeros, with
    :math:`Y = (X - \mu) \Sigma_r^{1/2} / \sqrt{N - 1}`, so the smaller of the two will do.

    Args:
        features: (N, D), two or more.
        mean: (D,), the Gaussian's.
        root: (D, D), the root of its covariance.
        trace: of its covariance.
    """
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    mixed = centred @ root
    product = mixed @ mixed.T if len(mixed) < mixed.shape[1] else mixed.T @ mixed
    cross = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    apart = ((features.mean(0) - mean) ** 2).sum()
    return max(0.0, float(apart + (centred**2).sum() + trace - 2 * cross))
