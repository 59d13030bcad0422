"""The loop: independent rows, shared model calls."""

from muse.sampling.sampler import Sampler

__all__ = ["Sampler"]
