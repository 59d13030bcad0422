"""CLIP and SigLIP, from folders of the hub's layout: pictures, texts, and their likeness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, BertConfig, BertModel

from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.guides import ClipSimilarity, EmoEdit, EmoGen, Guide, SimEmo, ZeroShotClip
from muse.pretrained.clip import Clip, load_clip
from muse.tasks import EmotionClassification
from tests.test_pretrained import picture, tensor
from tests.test_weights import POINTER
from tests.tiny_guides import clip_folder, siglip_folder, tiny_clip, tiny_siglip

PROMPTS = ["a dog", "fog on a hill", "a dog"]
LONG = "one two three abc four"  # a letter is a token
FOLDERS = {"clip": clip_folder, "siglip": siglip_folder}
GUIDES: dict[str, Callable[[Clip], Guide]] = {
    "EmoEdit": EmoEdit,
    "EmoGen": EmoGen,
    "SimEmo": SimEmo,
    "ZeroShotClip": lambda clip: ZeroShotClip(clip, {e: [e[:4]] for e in EMOTIONS}, ["{}"]),
}


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return FOLDERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("shape", [(32, 32), (150, 97)])
def test_the_similarity_is_the_models_own(folder: str, shape: tuple[int, int]) -> None:
    """Against the three parts as their authors run them, on the same picture as floats."""
    floats = np.array(picture(*shape)).astype(np.float32)
    pixels = AutoImageProcessor.from_pretrained(folder)(images=floats, return_tensors="pt")
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(
        PROMPTS, padding="max_length", truncation=True, max_length=16, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        output = model(input_ids=ids, **pixels)
        found = ClipSimilarity(folder)(tensor(picture(*shape)).expand(3, -1, -1, -1), PROMPTS)
    expected = 100 * F.cosine_similarity(output.image_embeds, output.text_embeds)
    assert torch.allclose(found, expected, atol=1e-3)
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("kind", GUIDES)
def test_guides_see_what_the_processor_makes(
    kind: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, seen = load_clip.__wrapped__(folder), []
    guide, read = GUIDES[kind](clip), clip.model.get_image_features
    monkeypatch.setattr(
        clip.model, "get_image_features", lambda **given: (seen.append(given), read(**given))[1]
    )
    guide.read(tensor(picture(150, 97)))
    floats = np.array(picture(150, 97)).astype(np.float32)
    expected = AutoImageProcessor.from_pretrained(folder)(images=floats, return_tensors="pt")
    [given] = seen
    assert (given["pixel_values"] - expected["pixel_values"]).abs().max() <= 1e-3


def test_the_processor_of_the_folder_is_used(tmp_path: Path) -> None:
    clip = load_clip(clip_folder(tmp_path / "clip"))
    found = clip.preprocess(torch.full((1, 3, 32, 32), 0.5))[0, :, 0, 0]
    assert torch.allclose(found, torch.tensor([0.0, 0.4, 1.0]), atol=1e-5)


def test_gradients_reach_the_picture(folder: str) -> None:
    image = tensor(picture(48, 40)).requires_grad_()
    [slope] = torch.autograd.grad(ClipSimilarity(folder)(image, ["a dog"]).sum(), image)
    assert slope.isfinite().all()
    assert (slope.abs().amax(1) > 0).float().mean() > 0.8  # 40 of 48 rows are in the centre crop


def test_a_prompt_is_encoded_once(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    similarity, encoded = ClipSimilarity(folder), []
    text = similarity.clip.text
    monkeypatch.setattr(
        similarity.clip, "text", lambda texts: (encoded.extend(texts), text(texts))[1]
    )
    for _ in range(2):
        similarity(torch.rand(3, 3, 32, 32), PROMPTS)
    assert encoded == ["a dog", "fog on a hill"]


def test_what_a_long_prompt_loses_is_cut_and_told(folder: str) -> None:
    similarity = ClipSimilarity(folder)
    rest = similarity.clip.cut_off(LONG)
    assert rest
    assert LONG.endswith(rest)
    [line] = similarity.remarks(LONG)
    assert f"it compares {similarity.clip.room} tokens" in line
    assert line.endswith(f"and not {rest!r}.")
    image = torch.rand(1, 3, 32, 32)
    kept = similarity(image, [LONG.removesuffix(rest)])
    assert torch.allclose(similarity(image, [LONG]), kept, atol=1e-4)
    assert similarity.remarks("a dog") == []
    assert similarity.clip.cut_off("a dog") == ""


def test_siglip_reads_lower_case_without_a_mask(tmp_path: Path) -> None:
    clip = load_clip(siglip_folder(tmp_path / "siglip"))
    tokens = clip.tokenizer("a dog", padding="max_length", max_length=16, return_tensors="pt")
    assert (tokens.attention_mask == 0).any()
    with torch.no_grad():
        plain = clip.model.get_text_features(input_ids=tokens.input_ids).pooler_output
        masked = clip.model.get_text_features(**tokens).pooler_output
        assert torch.allclose(clip.text(["A Dog"]), plain, atol=1e-6)
    assert not torch.allclose(plain, masked, atol=1e-4)


def test_the_tower_learns_language_whatever_its_family(folder: str, tmp_path: Path) -> None:
    guide = SimEmo(load_clip.__wrapped__(folder))
    task = EmotionClassification(guide, str(tmp_path / "a.safetensors"), 1e-3, 0, 0.3, 1e-4)
    batch = {"emotion": torch.tensor([0, 5]), "caption": ["a dog", "fog"]}
    loss, logits = task._losses(batch, torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 8)
    loss.backward()
    for part in guide.clip.tower:
        assert any(weight.grad.abs().max() > 0 for weight in part.parameters())
    assert guide.clip.model.text_model.embeddings.token_embedding.weight.grad is None


def test_heads_and_sizes_follow_the_model() -> None:
    clip = Clip(tiny_siglip())
    assert (clip.size, clip.width, clip.context) == (32, 32, 16)
    assert clip.tower == [clip.model.vision_model]
    assert EmoGen(clip)(torch.rand(2, 3, 40, 30)).shape == (2, 8)


def test_mistakes_are_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(name: str) -> str:
        with pytest.raises(MuseError) as caught:
            load_clip(name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
        return str(caught.value)

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    other = tmp_path / "bert"
    clip_folder(other)  # its tokenizer and its processor
    BertModel(BertConfig(**small, intermediate_size=16, vocab_size=32)).save_pretrained(other)
    assert "is a BertModel, which doesn't read both pictures and texts" in refusal(str(other))
    silent = Path(clip_folder(tmp_path / "silent"))
    (silent / "preprocessor_config.json").unlink()
    assert "No CLIP with an image processor under" in refusal(str(silent))
    damaged = Path(clip_folder(tmp_path / "damaged"))
    weights = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(weights[:-9])
    assert "model.safetensors' is only the first" in refusal(str(damaged))
    (damaged / "model.safetensors").write_bytes(b"\0" * 99)
    assert "No CLIP under" in refusal(str(damaged))
    (damaged / "model.safetensors").unlink()
    (damaged / "pytorch_model.bin").write_bytes(POINTER)
    assert "pytorch_model.bin' is a Git LFS pointer" in refusal(str(damaged))
    for variant in ("fp16", "ema"):
        tiny_clip().save_pretrained(damaged, variant=variant)
    (damaged / "pytorch_model.bin").unlink()
    assert "has weights of the variants ema, fp16 alone. Keep one of them" in refusal(str(damaged))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "needs the network once" in refusal("somebody/no-such-clip")


def test_a_folder_of_one_variant_alone(tmp_path: Path) -> None:
    """What ``save_pretrained(variant="fp16")`` leaves; where a whole one lies beside, that one."""
    folder = Path(clip_folder(tmp_path / "clip"))
    (folder / "model.safetensors").unlink()
    tiny_clip(seed=1).half().save_pretrained(folder, variant="fp16")
    wanted = tiny_clip(seed=1).half().float().state_dict()
    found = load_clip.__wrapped__(str(folder)).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    tiny_clip(seed=2).save_pretrained(folder)
    wanted = tiny_clip(seed=2).state_dict()
    found = load_clip.__wrapped__(str(folder)).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_an_image_of_pil_reads_alike(folder: str) -> None:
    """From a picture of bytes, at the model's size: nothing is rounded on the way."""
    image = picture(32, 32)
    assert isinstance(image, Image.Image)
    pixels = AutoImageProcessor.from_pretrained(folder)(images=image, return_tensors="pt")
    clip = load_clip(folder)
    with torch.no_grad():
        expected = clip.model.get_image_features(**pixels).pooler_output
        assert torch.allclose(clip.image(tensor(image)), expected, atol=1e-4)
