"""CLIPs, SigLIPs and image classifiers of a few thousand random weights, as folders of the layout
that the hub has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

import torch
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    Dinov2Config,
    Dinov2Model,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from muse.pretrained.clip import Clip

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
"""A transformer of a few thousand weights, in the words of transformers' configs."""
CONTEXT = 16
"""Tokens that the tiny CLIP text encoders read."""
LETTERS = {
    "vocab_size": 54,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 52,
    "eos_token_id": 53,
    "pad_token_id": 53,
}
"""What a CLIP text encoder's config says of `clip_tokenizer`."""
SIDE = 32
"""The pictures' side that all of them read."""


def tiny_clip(seed: int = 0, image_size: int = SIDE) -> CLIPModel:
    """A CLIP of a few thousand random weights."""
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config={**SMALL, **LETTERS},
        vision_config={**SMALL, "image_size": image_size, "patch_size": 8},
        projection_dim=24,
    )
    return CLIPModel(config).eval()


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer of letters: every letter is a token."""
    words = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=CONTEXT)


def clip_folder(path: Path) -> str:
    """A CLIP of another size, mean and deviation than its family's."""
    tiny_clip().save_pretrained(path)
    clip_tokenizer().save_pretrained(path)
    CLIPImageProcessor(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.4, 0.3],
        image_std=[0.3, 0.25, 0.2],
    ).save_pretrained(path)
    return str(path)


def tiny_siglip() -> SiglipModel:
    torch.manual_seed(0)
    ends = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    config = SiglipConfig(
        text_config={
            **SMALL,
            **ends,
            "vocab_size": 64,
            "max_position_embeddings": 16,
            "projection_size": 32,
        },
        vision_config={**SMALL, "image_size": SIDE, "patch_size": 8},
    )
    return SiglipModel(config).eval()


def siglip_folder(path: Path) -> str:
    """A SigLIP, with SigLIP 2's tokenizer: no limit of its own, and letters in either case."""
    tiny_siglip().save_pretrained(path)
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *ascii_lowercase]
    Siglip2Tokenizer(vocab={token: i for i, token in enumerate(tokens)}).save_pretrained(path)
    SiglipImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(path)
    return str(path)


def worded_clip() -> Clip:
    """A CLIP in memory with a tokenizer."""
    return Clip(tiny_clip(), clip_tokenizer())


def dinov2_folder(path: Path) -> str:
    """A DINOv2 that reads pictures of 28 pixels."""
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=28, patch_size=14
    )
    Dinov2Model(config).save_pretrained(path)
    size = {"height": 28, "width": 28}
    BitImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained(path)
    return str(path)


def classifier_folder(path: Path, classes: Sequence[str], seed: int = 0) -> str:
    """A ViT of these classes; pictures are brought to it by their own processor."""
    torch.manual_seed(seed)
    names = dict(enumerate(classes))
    config = ViTConfig(
        **SMALL,
        image_size=SIDE,
        patch_size=8,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    ViTForImageClassification(config).save_pretrained(path)
    ViTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(path)
    return str(path)
