"""A visual tower that was trained with its head: read whole, apart from others, or refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor
from transformers import CLIPModel

from muse.core.types import MuseError
from muse.guides import ClipSimilarity, ConvNet, EmoEdit, EmoGen, SimEmo
from muse.pretrained.clip import Clip
from tests.test_guides import HEADS, by_hand, heads, saved
from tests.tiny_guides import SIDE, SMALL, tiny_clip, tiny_siglip, worded_clip

State = dict[str, Tensor]
IMAGE = torch.rand(2, 3, 40, 48, generator=torch.Generator().manual_seed(0))


def openai(model: CLIPModel) -> State:
    """A CLIP's state dict under OpenAI's names; of its text side a few tensors."""
    state = model.state_dict()
    vision = {
        key.removeprefix("vision_model."): value
        for key, value in state.items()
        if key.startswith("vision_model.")
    }
    found = {
        "class_embedding": vision["embeddings.class_embedding"],
        "positional_embedding": vision["embeddings.position_embedding.weight"],
        "conv1.weight": vision["embeddings.patch_embedding.weight"],
        "proj": state["visual_projection.weight"].T.contiguous(),
    }
    blocks = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj"}
    blocks |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    for kind in ("weight", "bias"):
        found[f"ln_pre.{kind}"] = vision[f"pre_layrnorm.{kind}"]
        found[f"ln_post.{kind}"] = vision[f"post_layernorm.{kind}"]
        for layer in range(SMALL["num_hidden_layers"]):
            ours, theirs = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
            for name, other in blocks.items():
                found[f"{theirs}.{other}.{kind}"] = vision[f"{ours}.{name}.{kind}"]
            found[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(
                [vision[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            )
    text = ("positional_embedding", "token_embedding.weight", "transformer.resblocks.0.ln_1.weight")
    rest = {name: torch.ones(2) for name in (*text, "ln_final.bias", "text_projection")}
    visual = {f"visual.{name}": value.clone() for name, value in found.items()}
    return {**visual, **rest, "logit_scale": torch.ones(())}


def transformers_names(model: CLIPModel) -> State:
    """As transformers before 4.31 saved it, with an index of positions."""
    positions = {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
    return {**model.state_dict(), **positions}


def wrapped(prefix: str) -> Callable[[CLIPModel], State]:
    return lambda model: {f"{prefix}{key}": value for key, value in model.state_dict().items()}


NAMES: dict[str, Callable[[CLIPModel], State]] = {
    "transformers": transformers_names,
    "clip.": wrapped("clip."),
    "ours": wrapped("clip.model."),
    "data parallel": wrapped("module.clip_model."),
    "OpenAI's": openai,
    "OpenAI's, wrapped": lambda model: {f"clip.{k}": v for k, v in openai(model).items()},
}


def test_the_names_are_openais() -> None:
    """timm reads OpenAI's checkpoints by code of its own, and finds the same features."""
    clip = Clip(tiny_clip(1))
    size = {"img_size": SIDE, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    name = "vit_base_patch32_clip_quickgelu_224"
    model = timm.create_model(name, num_classes=24, mlp_ratio=2, **size).eval()
    model.load_state_dict(checkpoint_filter_fn(openai(clip.model), model))
    assert torch.allclose(model(clip.preprocess(IMAGE)), clip.image(IMAGE), atol=1e-5)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("kind", HEADS)
def test_a_tower_beside_the_head_is_read(kind, names, tmp_path, capsys):
    tuned = tiny_clip(1)
    state = {**NAMES[names](tuned), **heads(kind)}
    found = kind(tiny_clip(), saved(state, tmp_path / "both.pth"))(IMAGE)
    expected, untuned = (
        by_hand(kind, heads(kind), Clip(model).image(IMAGE)) for model in (tuned, tiny_clip())
    )
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, untuned, atol=0.1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_two_files_that_simemos_code_saves(suffix, tmp_path):
    """A head, and the whole of OpenAI's CLIP in half precision."""
    tuned = tiny_clip(1).half().float()
    halves = {key: value.half() for key, value in openai(tuned).items()}
    head = saved(heads(SimEmo), tmp_path / f"fc.{suffix}")
    guide = SimEmo(tiny_clip(), head, tower=saved(halves, tmp_path / f"model.{suffix}"))
    expected = by_hand(SimEmo, heads(SimEmo), Clip(tuned).image(IMAGE))
    assert torch.allclose(guide(IMAGE), expected, atol=1e-5)


def test_a_siglips_tower_is_read(tmp_path):
    tuned = tiny_siglip()
    tuned.vision_model.post_layernorm.bias.data += 1
    state = {**tuned.state_dict(), "fc.weight": torch.eye(8, 32), "fc.bias": torch.zeros(8)}
    guide = EmoGen(tiny_siglip(), saved(state, tmp_path / "both.safetensors"))
    assert torch.allclose(guide(IMAGE), Clip(tuned).image(IMAGE)[:, :8], atol=1e-6)


def test_whoever_shares_the_clip_keeps_its_tower(tmp_path):
    shared = worded_clip()
    others = (EmoEdit(shared), SimEmo(shared))
    similarity = ClipSimilarity(shared)
    before = [*(guide(IMAGE) for guide in others), similarity(IMAGE, ["a dog", "fog"])]
    state = {**tiny_clip(1).state_dict(), **heads(SimEmo)}
    guide = SimEmo(shared, saved(state, tmp_path / "both.pth"))
    after = [*(guide(IMAGE) for guide in others), similarity(IMAGE, ["a dog", "fog"])]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert (guide.clip.tuned, shared.tuned) == (True, False)
    assert guide.clip.model.text_model is shared.model.text_model, "its memory is shared"
    assert not torch.allclose(guide.clip.image(IMAGE), shared.image(IMAGE), atol=1e-2)


@pytest.mark.parametrize("names", ["transformers", "OpenAI's"])
def test_towers_that_do_not_fit_are_refused_in_one_line(names, tmp_path):
    tower = NAMES[names](tiny_clip())
    [last] = [key for key in tower if key in ("visual_projection.weight", "visual.proj")]
    damaged = {
        "Missing key": {key: value for key, value in tower.items() if key != last},
        "size mismatch": NAMES[names](tiny_clip(image_size=64)),
        "Unexpected key": {**tower, f"{last.partition('.')[0]}.more": torch.ones(1)},
    }
    for says, state in damaged.items():
        for given in (
            {"checkpoint": saved({**state, **heads(SimEmo)}, tmp_path / "both.pth")},
            {"tower": saved(state, tmp_path / "model.pth")},
        ):
            with pytest.raises(MuseError, match="does not fit") as caught:
                SimEmo(tiny_clip(), **given)
            assert says in str(caught.value)
            assert repr(*given.values()) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_file_without_a_tower_is_refused(tmp_path):
    with pytest.raises(MuseError, match="does not fit: Missing key"):
        SimEmo(tiny_clip(), tower=saved(heads(SimEmo), tmp_path / "fc.pth"))


def test_what_is_not_read_is_told_in_a_line(tmp_path, capsys):
    more = {name: torch.ones(1) for name in ("ema.a", "ema.b", "steps", "ema.c", "ema.d")}
    file = saved({**heads(EmoGen), **more}, tmp_path / "a.pth")
    EmoGen(tiny_clip(), file)
    told = f"muse: note: {file!r} also holds ema.a, ema.b, steps and 2 more, which EmoGen doesn't"
    assert capsys.readouterr().err == f"{told} read.\n"
    judge = ConvNet(width=8)
    state = {**judge.state_dict(), "visual.proj": torch.ones(1)}
    ConvNet(saved(state, tmp_path / "judge.pth"), width=8)
    assert "also holds visual.proj, which ConvNet doesn't read." in capsys.readouterr().err
