"""EmoSet-118K and FI_8 as folders on disk, whole and damaged."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor

from muse.cli import main
from muse.core.emotions import EMOTIONS
from muse.core.types import MuseError
from muse.data import FEELINGS, FI, EmoSet, feeling_caption
from muse.data.emoset import seen_in
from muse.data.transforms import train_transform, val_transform
from muse.guides import ConvNet
from muse.tasks import EmotionClassification

NOTES = [
    {"object": ["Tree", "Ice cream"], "scene": "forest_path", "human_action": "air_drumming"},
    {"brightness": 0.3, "facial_expression": "happy"},
    {"object": ["Cat"]},
]
SEEN = [("tree", "ice cream", "forest path", "air drumming"), (), ("cat",)]


def picture(path: Path, emotion: str, number: int) -> None:
    """A picture of 40x30 whose red tells the emotion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    red = 20 + 25 * EMOTIONS.index(emotion)
    Image.new("RGB", (40, 30), (red, 10 * number, 128)).save(path, quality=95)


def emoset(root: Path, each: int = 3, shuffled: bool = True) -> Path:
    """EmoSet's layout with `each` pictures of every emotion, half of the entries with an id."""
    rng = random.Random(0)
    for split in ("train", "val", "test"):
        entries = []
        for emotion in EMOTIONS:
            for number in range(each):
                name = f"{emotion}_{split}{number}"
                paths = [f"image/{emotion}/{name}.jpg", f"annotation/{emotion}/{name}.json"]
                picture(root / paths[0], emotion, number)
                (root / paths[1]).parent.mkdir(parents=True, exist_ok=True)
                (root / paths[1]).write_text(json.dumps(NOTES[number % len(NOTES)]))
                entry = [emotion, *([name] if number % 2 else []), *paths]
                if shuffled:
                    rng.shuffle(entry)
                entries.append(entry)
        (root / f"{split}.json").write_text(json.dumps(entries))
    (root / "info.json").write_text("{}")
    return root


def fi(root: Path, each: int = 2, upper: bool = False) -> Path:
    """FI_8's layout."""
    for split in ("train", "val", "test"):
        for emotion in EMOTIONS:
            name = emotion.capitalize() if upper else emotion
            for number in range(each):
                picture(root / split / name / f"{number}.jpg", emotion, number)
    return root


def data(kind: type[EmoSet] | type[FI], root: Path, **options: object) -> EmoSet | FI:
    """The data module, set up, with batches of 8 and no workers."""
    made = kind(str(root), **{"batch_size": 8, "workers": 0, "size": 16, **options})  # type: ignore[arg-type]
    made.setup("fit")
    return made


def reds(image: torch.Tensor) -> list[int]:
    """The emotions that the pictures' red tells."""
    return ((255 * image[:, 0].mean((-2, -1)) - 20) / 25).round().int().tolist()


# --- layouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [EmoSet, FI])
def test_batches_hold_what_a_classifier_reads(kind: type, tmp_path: Path) -> None:
    made = data(kind, (emoset if kind is EmoSet else fi)(tmp_path))
    count = len(EMOTIONS) * (3 if kind is EmoSet else 2)
    for loader in (made.train_dataloader(), made.val_dataloader()):
        batches = list(loader)
        assert len(batches) == count // 8
        for batch in batches:
            assert set(batch) == {"image", "emotion", "caption"}
            assert batch["image"].shape == (8, 3, 16, 16)
            assert batch["image"].dtype == torch.float32
            assert 0 <= batch["image"].min() < batch["image"].max() <= 1
            assert batch["emotion"].dtype == torch.int64
            assert reds(batch["image"]) == batch["emotion"].tolist()
            for emotion, caption in zip(batch["emotion"].tolist(), batch["caption"], strict=True):
                assert caption.endswith(f"like {FEELINGS[EMOTIONS[emotion]]}")
        emotions = torch.cat([batch["emotion"] for batch in batches])
        assert emotions.bincount().tolist() == [count // 8] * 8
    orders = {tuple(b["emotion"].tolist()) for _ in range(5) for b in made.train_dataloader()}
    assert len(orders) > 3


def test_elements_of_entries_are_known_by_what_they_are(tmp_path: Path) -> None:
    plain = data(EmoSet, emoset(tmp_path / "plain", shuffled=False)).pictures("train")
    mixed = data(EmoSet, emoset(tmp_path / "mixed")).pictures("train")
    entries = json.loads((tmp_path / "mixed" / "train.json").read_text())
    assert {len(entry) for entry in entries} == {3, 4}
    assert {entry[0] in EMOTIONS for entry in entries} == {True, False}
    assert [p.path.relative_to(tmp_path / "plain") for p in plain] == [
        p.path.relative_to(tmp_path / "mixed") for p in mixed
    ]
    assert [p.emotion for p in plain] == [p.emotion for p in mixed]
    assert [p.entities for p in mixed] == SEEN * 8


@pytest.mark.parametrize("upper", [False, True])
def test_fi_classes_in_either_case(tmp_path: Path, upper: bool) -> None:
    made = data(FI, fi(tmp_path / "FI", upper=upper))
    assert [p.emotion for p in made.pictures("val")] == sorted(EMOTIONS * 2)


@pytest.mark.parametrize("kind", [EmoSet, FI])
def test_the_folder_above_will_do(kind: type, tmp_path: Path) -> None:
    (emoset if kind is EmoSet else fi)(tmp_path / "set")
    (tmp_path / "another").mkdir()
    above, itself = data(kind, tmp_path), data(kind, tmp_path / "set")
    assert above.pictures("train") == itself.pictures("train")


def test_captions_are_simemos() -> None:
    assert seen_in(NOTES[0]) == SEEN[0]
    assert seen_in({"object": ["Cat", "cat", ""], "scene": None}) == ("cat",)
    assert feeling_caption("awe", ("a tree", "park")) == (
        "a photo contains a tree, park, and it seems to express some feelings like amazement, "
        "surprise, or distraction"
    )
    assert feeling_caption("fear") == (
        "a photo seems to express some feelings like terror, fear, or apprehension"
    )


def test_annotations_that_cannot_be_read_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = emoset(tmp_path, each=1)
    notes = {
        emotion: root / "annotation" / emotion / f"{emotion}_train0.json" for emotion in EMOTIONS
    }
    notes["sadness"].unlink()
    notes["awe"].write_text("[not JSON")
    notes["fear"].write_text("[1]")
    notes["anger"].write_bytes(b"\xff")
    with caplog.at_level(logging.WARNING):
        made = data(EmoSet, root)
    [record] = caplog.records
    told = record.getMessage()
    assert "4 of 8 annotations of train are missing or damaged" in told
    assert sum(str(note) in told for note in notes.values()) == 3
    assert ", ...)" in told
    assert "\n" not in told
    [batch] = made.train_dataloader()
    for emotion, caption in zip(batch["emotion"].tolist(), batch["caption"], strict=True):
        alone = EMOTIONS[emotion] in ("sadness", "awe", "fear", "anger")
        assert caption.startswith("a photo seems" if alone else "a photo contains tree")


# --- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(32, 32), (50, 32), (90, 64), (20, 31)])
def test_validation_pictures_are_what_clip_sees(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(40, 215, (5, 4, 3), dtype=np.uint8))
    image = coarse.resize(shape, Image.Resampling.BICUBIC)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32},
        crop_size={"height": 32, "width": 32},
        do_normalize=False,
    )
    expected = processor(images=image, return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(val_transform(32)(image), expected, rtol=0, atol=1.5 / 255)


def test_training_pictures_are_cropped_and_mirrored_at_random() -> None:
    ramp = np.tile(np.arange(0, 240, 6, dtype=np.uint8)[None, :, None], (40, 1, 3))
    transform = train_transform(16)
    torch.manual_seed(0)
    made = torch.stack([transform(Image.fromarray(ramp)) for _ in range(64)])
    rising = made[:, 0, :, -1].mean(-1) > made[:, 0, :, 0].mean(-1)
    assert 16 < rising.sum() < 48
    spread = (made[:, 0, :, -1].mean(-1) - made[:, 0, :, 0].mean(-1)).abs() * 255
    assert spread.min() > 234 * 0.5  # at least half of the area, so half of each side at least
    assert spread.max() - spread.min() > 30
    torch.manual_seed(0)
    assert torch.equal(transform(Image.fromarray(ramp)), made[0])


# --- damage ------------------------------------------------------------------------------------


def test_a_few_missing_pictures_are_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = emoset(tmp_path)
    gone = [root / "image" / "fear" / f"fear_train{number}.jpg" for number in (0, 2)]
    for path in gone:
        path.unlink()
    with caplog.at_level(logging.WARNING):
        made = data(EmoSet, root, min_share=0.9)
    [record] = caplog.records
    told = record.getMessage()
    assert "2 of 24 pictures of train are missing" in told
    assert all(str(path) in told for path in gone)
    assert "Going on with the 22 others" in told
    assert "\n" not in told
    assert len(made.train_set) == 22
    assert len(made.val_set) == 24


def test_many_missing_pictures_are_refused(tmp_path: Path) -> None:
    root = emoset(tmp_path)
    for path in (root / "image" / "awe").glob("*val*"):
        path.unlink()
    (root / "image" / "awe" / "awe_train1.jpg").unlink()
    with pytest.raises(MuseError, match=r"1 of 24 pictures of train .* At least 99% must be"):
        data(EmoSet, root)
    with pytest.raises(MuseError, match=r"3 of 24 pictures of val .*lower --data.min_share"):
        data(EmoSet, root, min_share=0.9)
    data(EmoSet, root, min_share=21 / 24)
    for path in root.glob("image/*/*"):
        path.unlink()
    with pytest.raises(MuseError, match=r"24 of 24 pictures of train .*, \.\.\.\)"):
        data(EmoSet, root, min_share=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_corrupt_pictures_are_replaced_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    root = fi(tmp_path)
    whole = (root / "val" / "awe" / "0.jpg").read_bytes()
    (root / "val" / "awe" / "0.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "val" / "awe" / "1.jpg").write_bytes(b"")
    (root / "val" / "sadness" / "1.jpg").write_bytes(b"not a picture")  # the last of all
    made = data(FI, root, workers=workers, min_share=13 / 16)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            batches = list(made.val_dataloader())
            read = [e for batch in batches for e in batch["emotion"].tolist()]
            told = sorted(EMOTIONS * 2)
            told[4:6] = ["contentment"] * 2
            told[-1] = "amusement"
            assert [EMOTIONS[e] for e in read] == told
            assert [e for batch in batches for e in reds(batch["image"])] == read
    assert int(made.val_set.unreadable.sum()) == 3
    if not workers:  # the workers' lines are their own
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 3
        assert str(root / "val" / "awe" / "0.jpg") in lines[0]
        assert "(3 such so far)" in lines[2]


def test_no_readable_picture_at_all(tmp_path: Path) -> None:
    root = fi(tmp_path)
    for path in root.glob("train/*/*.jpg"):
        path.write_bytes(b"x")
    with pytest.raises(MuseError, match="None of the 16 pictures can be read"):
        next(iter(data(FI, root, min_share=0).train_dataloader()))


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_unreadable_pictures_end_the_run_in_one_line(tmp_path: Path, workers: int) -> None:
    root = fi(tmp_path)
    for emotion in EMOTIONS[:3]:
        (root / "train" / emotion / "0.jpg").write_bytes(b"not a picture")
    task = EmotionClassification(ConvNet(width=8), str(tmp_path / "a.safetensors"))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    kept = {"batch_size": 8, "workers": workers}
    with pytest.raises(MuseError, match="With it, 3 of 16 pictures can't be read") as caught:
        trainer.fit(task, FI(str(root), min_share=14 / 16, **kept))
    told = str(caught.value)
    assert told.endswith("at least 88% must be: fetch them again, or lower --data.min_share.")
    assert "\n" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("kind", "told"),
    [(EmoSet, "looked for train.json and val.json"), (FI, "looked for train and val")],
)
def test_a_wrong_root_says_what_was_looked_for(kind: type, told: str, tmp_path: Path) -> None:
    (tmp_path / "something").mkdir()
    (tmp_path / "something" / "train.json").write_text("[]")
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MuseError, match=told) as caught:
            data(kind, root)
        assert str(root) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[not JSON", "train.json can't be read"),
        ("{}", "train.json is no list"),
        ("[]", "0 of 0 pictures of train are missing"),
        ('[["awe", "a.jpg"]]', "entry 0: .* needs an emotion, a picture and a .json file"),
        ('[["awe", "a.jpg", "a.json", "b", "c"]]', "entry 0: "),
        ('[["joy", "a.jpg", "a.json"]]', "entry 0: "),
        ('[["awe", "fear", "a.jpg", "a.json"]]', "entry 0: "),
        ('[["awe", "a.jpg", "b.jpg", "a.json"]]', "entry 0: "),
        ("[3]", "entry 0: 3 is none of EmoSet's"),
    ],
)
def test_split_files_of_another_form(text: str, told: str, tmp_path: Path) -> None:
    (emoset(tmp_path, each=1) / "train.json").write_text(text)
    with pytest.raises(MuseError, match=told):
        data(EmoSet, tmp_path)


def test_folders_of_other_classes_are_refused(tmp_path: Path) -> None:
    root = fi(tmp_path)
    (root / "train" / ".cache").mkdir()
    (root / "train" / "readme.txt").write_text("")
    (root / "train" / "awe" / "Thumbs.db").write_text("")
    assert len(data(FI, root).train_set) == 16
    (root / "train" / "Joy").mkdir()
    with pytest.raises(MuseError, match=r"Folder .*Joy: Unknown emotion 'Joy'"):
        data(FI, root)


def test_all_eight_emotions_are_needed(tmp_path: Path) -> None:
    root = fi(tmp_path)
    for path in (root / "train" / "fear").iterdir():
        path.unlink()
    with pytest.raises(MuseError, match="no training pictures of fear"):
        data(FI, root)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 17}, "16 training pictures, fewer than batch_size=17"),
        ({"workers": -1}, "workers=-1"),
        ({"size": 0}, "size=0"),
        ({"size": 2}, "size=2: .* size >= 4"),
        ({"min_share": 1.5}, "min_share=1.5"),
    ],
)
def test_options_that_make_no_sense(options: dict, told: str, tmp_path: Path) -> None:
    with pytest.raises(MuseError, match=told):
        data(FI, fi(tmp_path), **options)


def test_a_home_that_is_nobodys_is_told() -> None:
    with pytest.raises(MuseError, match="'~nobody-at-all/x' names no home folder"):
        EmoSet("~nobody-at-all/x").setup()


def test_a_mistake_inside_a_nested_part_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    guide = ["--model.guide=TimmClassifier", "--model.guide.model=resnett18"]
    task = ["--model=muse.tasks.EmotionClassification", *guide, "--model.output=a.safetensors"]
    assert main(["fit", *task, "--data=muse.data.FI", "--data.root=nowhere"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "resnett18" in line
    assert "resnet18" in line
