"""Where jobs come from, and pictures with an emotion to train a classifier on."""

from muse.data.captions import FEELINGS, feeling_caption
from muse.data.emoset import EmoSet
from muse.data.emotion_pictures import (
    EmotionBatch,
    EmotionPicture,
    EmotionPictureData,
    EmotionPictures,
)
from muse.data.fi import FI
from muse.data.job_data import Jobs
from muse.data.jobs import as_jsonl, job_entry, read_jobs, write_jobs
from muse.data.twins import Twins, plain_twins

__all__ = [
    "FEELINGS",
    "FI",
    "EmoSet",
    "EmotionBatch",
    "EmotionPicture",
    "EmotionPictureData",
    "EmotionPictures",
    "Jobs",
    "Twins",
    "as_jsonl",
    "feeling_caption",
    "job_entry",
    "plain_twins",
    "read_jobs",
    "write_jobs",
]
