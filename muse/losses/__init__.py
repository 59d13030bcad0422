"""WHICH emotions pull and push."""

from muse.losses.base import EmotionLoss
from muse.losses.multi_emotion import MultiEmotionLoss

__all__ = ["EmotionLoss", "MultiEmotionLoss"]
