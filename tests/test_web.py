"""What the page does, without the page: none of this needs Gradio."""

import asyncio
import base64
import json
import os
import struct
import threading
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from muse.cli import main
from muse.core.emotions import WHEEL
from muse.core.jobs import Job
from muse.core.pictures import open_picture
from muse.core.types import MuseError
from muse.runs.folder import save_picture
from muse.runs.png_settings import CHUNK, read_png_settings
from muse.runs.records import Layout, write_record
from muse.web import drawing
from muse.web.album import Album
from muse.web.catalog import GUIDES, Catalog
from muse.web.following import Desk, spoken
from muse.web.grid import Grid, values_of
from muse.web.live import Cancelled, Live, Shot
from muse.web.making import Maker
from muse.web.recipe import Recipe
from muse.web.shelf import Shelf
from muse.web.studio import Studio
from muse.web.uploads import open_photo, read_mask
from tests.test_cli import one_line

ROOT = Path(__file__).parent.parent
TOY = {"prompt": "a walk in the park", "emotion": "fear", "backbone": "toy", "steps": 12}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog([ROOT / "configs/toy.yaml"], "cpu")


@pytest.fixture
def maker(catalog, tmp_path) -> Maker:
    return Maker(catalog, Album(tmp_path / "album", "a-day"))


def bomb(path: Path) -> Path:
    """A PNG of 3.6 thousand million pixels, which it doesn't hold."""
    kinds = {b"IHDR": struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in kinds.items()
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def png_with(path: Path, text: str) -> Path:
    about = PngInfo()
    about.add_itxt(CHUNK, text, zip=True)
    Image.new("RGB", (16, 16)).save(path, pnginfo=about)
    return path


def noise(width: int, height: int) -> Image.Image:
    pixels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(1))
    return Image.fromarray(pixels.to(torch.uint8).numpy())


# Settings inside a PNG


def test_a_png_carries_how_to_make_it_again_and_keeps_its_pixels(tmp_path):
    job = Job("one", "ein Hund, größer", {"awe": 0.7, "fear": 0.3}, 7, Path("/a/b/c.png"), steps=9)
    picture = noise(24, 16)
    save_picture(tmp_path / "a.png", picture, job, "d", "", {"steps": 50}, {"preset": "paper"})
    told = read_png_settings(tmp_path / "a.png")
    assert told == {
        "schema": 1,
        "prompt": "ein Hund, größer",
        "emotion": {"awe": 0.7, "fear": 0.3},
        "seed": 7,
        "image": "c.png",  # its name: nobody learns where it lay
        "steps": 9,
        "preset": "paper",
        "options": {"steps": 50},
    }
    assert np.array_equal(np.array(open_picture(tmp_path / "a.png").image), np.array(picture))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "damaged"),
        ("[1, 2]", "damaged"),
        ('{"schema": "1"}', "damaged"),
        ('{"schema": 1, "options": []}', "damaged"),
        ("[" * 100_000, "damaged"),
        (json.dumps({"schema": 1, "prompt": "a" * 300_000}), "damaged"),
        ('{"schema": 2}', "Update muse"),
    ],
)
def test_settings_that_are_no_settings_are_one_line(tmp_path, text, why):
    with pytest.raises(MuseError, match=why) as error:
        read_png_settings(png_with(tmp_path / "a.png", text))
    assert "\n" not in str(error.value)


def test_other_pictures_have_no_settings(tmp_path):
    noise(16, 16).save(tmp_path / "plain.png")
    noise(16, 16).save(tmp_path / "photo.jpg")
    for name, why in (("plain.png", "no settings"), ("photo.jpg", "no PNG"), ("none", "no PNG")):
        with pytest.raises(MuseError, match=why):
            read_png_settings(tmp_path / name)
    with pytest.raises(MuseError, match="no PNG"):
        read_png_settings(bomb(tmp_path / "bomb.png"))


# What may be asked for


def test_a_recipe_reads_what_it_says(catalog):
    recipe = Recipe.read({**TOY, "emotion": "awe:1,fear:3", "seed": 4.0, "unknown": "os"}, catalog)
    assert recipe.emotion == {"awe": 0.25, "fear": 0.75}
    assert Recipe.read(recipe.as_settings(), catalog) == recipe
    assert Recipe.read({**TOY, "emotion": "plain"}, catalog).emotion is None


@pytest.mark.parametrize(
    "said",
    [
        {"prompt": ""},
        {"prompt": "a" * 1001},
        {"prompt": "a\0b"},
        {"prompt": ["a"]},
        {"emotion": "joy"},
        {"emotion": 3},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"steps": 0},
        {"steps": 2.5},
        {"steps": "1e9"},
        {"guidance_scale": float("nan")},
        {"guidance_scale": [4]},
        {"guide": "os.system"},
        {"guide": {"class_path": "os.system"}},
        {"backbone": "../../etc/passwd"},
        {"backbone": "stable-diffusion-v1-5/stable-diffusion-v1-5"},
        {"preset": "muse/presets/default.yaml"},
        {"guide": "SimEmo"},  # muse-mini's, and the backbone is the toy
        {"preset": "paper"},  # made for muse-mini
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(catalog, said):
    with pytest.raises(MuseError) as error:
        Recipe.read({**TOY, **said}, catalog)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_settings_never_import_what_they_name(catalog, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for option in ("guide", "backbone", "preset"):
        with pytest.raises(MuseError, match="There is no"):
            Recipe.read({**TOY, option: "evil.Guide"}, catalog)


def test_a_preset_is_found_by_the_options_of_its_pictures(catalog):
    options = catalog.settings("sdedit")
    flat = {"latents.class_path": options["latents"]["class_path"], "steps": 50}
    assert catalog.preset_of(flat, editing=True) == "edit"  # says too little
    from muse.runs import Deciding

    told = Deciding({"model": {**options, "steps": 7}}).settings
    assert catalog.preset_of(told, editing=True) == "sdedit"


def test_a_file_decides_how_its_model_is_steered_in_edits_too(catalog):
    made, edited = (catalog.settings(preset, "toy") for preset in ("default", "edit"))
    assert edited["steering"] == made["steering"]
    assert edited["guidance_scale"] == 1


def test_on_the_flow_every_preset_is_the_same_but_for_its_guidance(catalog):
    assert not {"flow", "flow-edit"} & {*catalog.presets(False), *catalog.presets(True)}
    for preset in ("default", "ug-published", "edit"):
        own, flow = (catalog.settings(preset, backbone) for backbone in catalog.backbones[:2])
        backbone = flow["backbone"]
        assert backbone["class_path"].endswith("StableDiffusion3")
        assert backbone["init_args"]["pretrained"] == "muse-mini-flow"
        scale = flow["guidance_scale"]
        assert scale in (5.0, own["guidance_scale"]), "the flow's, where the preset has none"
        assert own | {"backbone": backbone, "guidance_scale": scale} == flow
    assert catalog.settings("default", "muse-mini-flow", "EmoGen")["guide"] == GUIDES["EmoGen"]
    with pytest.raises(MuseError, match="There is no preset 'flow'"):
        catalog.check("flow", "muse-mini", "as the preset")
    with pytest.raises(MuseError, match="'exact' is made for muse-mini"):
        catalog.check("exact", "muse-mini-flow", "as the preset")


def test_files_without_a_model_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {}")
    with pytest.raises(MuseError, match="says no model"):
        Catalog([tmp_path / "a.yaml"])
    with pytest.raises(MuseError, match="Two models"):
        Catalog([ROOT / "configs/toy.yaml"] * 2)


def test_building_a_part_leaves_its_settings(catalog):
    """They are kept, for whoever asks for the same preset with another guide."""
    small = {"class_path": "ConvNet", "init_args": {"width": 8}}
    settings = {"class_path": "GuideEnsemble", "init_args": {"guides": [small, dict(small)]}}
    before = json.dumps(settings)
    assert catalog._part("guide", settings) is catalog._part("guide", settings)
    assert json.dumps(settings) == before


# Making


def test_the_page_makes_what_the_sampler_makes(maker, catalog):
    recipe = Recipe.read({**TOY, "seed": 3}, catalog)
    live = Live()
    made = maker.picture(live, recipe)
    sampler = catalog.sampler(*recipe.model)
    [alone] = sampler.sample([recipe.job("x")])
    assert made.record["probabilities"] == alone.probabilities
    assert made.record["plain_probabilities"]
    assert made.before is not None
    first, plain = live.shots.values()
    assert (first.step, first.steps, plain.step) == (12, 12, 12)
    assert set(first.probabilities) == set(WHEEL)
    assert plain.probabilities is None
    assert live.steps_left == 0
    again = Recipe.read(read_png_settings(made.path), catalog)
    assert again == recipe


def test_intensity_0_is_the_picture_beside_it(maker, catalog):
    recipe = Recipe.read({**TOY, "intensity": 0, "steps": 4}, catalog)
    made = maker.picture(Live(), recipe)
    assert np.array_equal(*(open_picture(path).image for path in (made.path, made.before)))
    assert Recipe.read(read_png_settings(made.path), catalog) == recipe
    less = maker.picture(Live(), replace(recipe, intensity=-0.5)).record
    assert (made.record["intensity"], less["intensity"]) == (0, -0.5)
    plain = replace(recipe, emotion=None, intensity=0.5)
    assert plain.job("a").intensity is None
    assert recipe.name == "a-walk-in-the-park-fear-at0"


def test_an_order_ends_at_the_next_call_once_it_is_cancelled(maker, catalog):
    live = Live()

    class Cancels(Live):
        def stepped(self, job, step, *more):
            super().stepped(job, step, *more)
            if step == 2:
                self.cancel()

    live = Cancels()
    with pytest.raises(Cancelled):
        maker.picture(live, Recipe.read(TOY, catalog))
    assert 3 <= max(shot.step for shot in live.shots.values()) < 12
    assert not list(maker.album.folder.rglob("*.png"))
    maker.picture(Live(), Recipe.read(TOY, catalog))  # and the sampler is as it was


def test_time_to_go_is_that_of_the_last_steps():
    ticks = iter([0.0, 1.0, 3.0])
    live = Live(clock=lambda: next(ticks))
    assert live.seconds_left is None
    live.shots, live._times = {"a": Shot(2, 10)}, [next(ticks), next(ticks), next(ticks)]
    assert live.seconds_left == pytest.approx(1.5 * 8)
    live.shots = {"a": Shot(1, 10)}  # a first step isn't steered, and tells nothing of the others
    assert live.seconds_left is None
    assert spoken(12) == "About 10 s to go."
    assert spoken(240) == "About 4 min to go."


def test_orders_of_the_wrong_tab_say_so(maker, catalog):
    with pytest.raises(MuseError, match="under Edit"):
        maker.picture(Live(), Recipe.read({"prompt": "a dog", "preset": "edit"}, catalog))
    with pytest.raises(MuseError, match="No emotion"):
        maker.edit(Live(), Recipe.read({"prompt": "a dog"}, catalog), None)
    with pytest.raises(MuseError, match="under Make"):
        maker.edit(Live(), Recipe.read({"prompt": "a dog", "emotion": "awe"}, catalog), None)


def test_outside_of_a_mask_every_pixel_is_the_photos(maker, catalog, tmp_path):
    noise(150, 100).save(tmp_path / "photo.png")
    photo = open_picture(tmp_path / "photo.png")
    said = {"prompt": "a dog in a park", "emotion": "awe", "steps": 3, "preset": "edit"}
    mask = Image.new("L", (75, 50))
    mask.paste(255, (25, 0, 50, 50))  # at half the photo's scale: its columns 50 to 100
    made = maker.edit(Live(), Recipe.read(said, catalog), photo, mask)
    picture, source = (
        np.array(open_picture(path).image).astype(int) for path in (made.path, made.before)
    )
    assert picture.shape == (100, 100, 3)  # the centre, at the photo's own scale
    changed = np.abs(picture - source).sum(-1).any(0)
    assert not changed[:20].any()
    assert not changed[80:].any()
    assert changed[35:65].all()
    with Image.open(made.path) as about:
        assert json.loads(about.text["muse"])["mask"].endswith("-mask.png")
    empty = Image.new("L", (75, 50))
    empty.paste(255, (0, 0, 10, 50))  # brushed where the photo is cropped away
    with pytest.raises(MuseError, match="The mask is empty"):
        maker.edit(Live(), Recipe.read(said, catalog), photo, empty)


# Several visitors


def test_orders_are_made_one_after_the_other_and_fail_alone(capsys):
    studio, go, seen = Studio(), threading.Event(), []

    def waits(live):
        go.wait()
        live.check()

    def breaks(live):
        raise ZeroDivisionError

    def refuses(live):
        raise MuseError("no\nsuch thing")

    first = studio.submit("a", waits)
    second = studio.submit("b", lambda live: seen.append("second") or 2)
    third = studio.submit("a", breaks)
    fourth, fifth = studio.submit("c", refuses), studio.submit("b", lambda live: 5)
    gone = studio.submit("c", lambda live: seen.append("gone"))
    studio.cancel(gone)
    assert gone.state == "cancelled"
    while first.state == "waiting":
        pass
    assert [studio.before(t) for t in (first, second, third)] == [0, 1, 2]
    studio.cancel(first)
    go.set()
    for ticket in (first, second, third, fourth, fifth):
        assert ticket.ended.wait(60)
    states = [t.state for t in (first, second, third, fourth, fifth)]
    assert states == ["cancelled", "done", "failed", "failed", "done"]
    assert (second.outcome, fifth.outcome, seen) == (2, 5, ["second"])
    assert "ZeroDivisionError" in third.reason
    assert "Traceback" in capsys.readouterr().err
    assert fourth.reason == "no such thing"
    studio.close()


def test_the_line_has_an_end():
    studio, go = Studio(most=3, each=2), threading.Event()
    first = studio.submit("a", lambda live: go.wait())
    while first.state == "waiting":
        pass
    studio.submit("a", lambda live: None)
    with pytest.raises(MuseError, match="You have 2 orders"):
        studio.submit("a", lambda live: None)
    studio.submit("b", lambda live: None)
    studio.submit("c", lambda live: None)
    with pytest.raises(MuseError, match="3 orders are waiting"):
        studio.submit("d", lambda live: None)
    go.set()
    studio.close()


def test_an_order_lasts_as_long_as_its_visitor_looks_on():
    studio = Studio()
    desk = Desk(studio)

    def works(live):
        while True:
            live.answered()

    async def visit():
        async with desk.order("me", "make", works) as ticket:
            with pytest.raises(MuseError, match="isn't ready"):
                async with desk.order("me", "make", works):
                    pass
            async for line in desk.follow(ticket, every=0.001):
                assert line
                if ticket.state == "running":
                    break
        return ticket

    ticket = asyncio.run(visit())
    assert ticket.ended.wait(60)
    assert ticket.state == "cancelled"

    async def cancelled():
        async with desk.order("me", "make", works) as ticket:
            desk.cancel("another")
            assert not ticket.live.cancelled
            desk.cancel("me", "make")
            async for _ in desk.follow(ticket, every=0.001):
                pass
            return ticket.state

    assert asyncio.run(cancelled()) == "cancelled"
    studio.close()


# Grids


def test_axes_go_over_any_option(catalog):
    grid = Grid.read(TOY, ("emotion", "awe:1,fear:1; sadness"), ("seed", "3..4, 9"), catalog)
    assert list(grid.cells) == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    assert grid.cells["2-1"] == Recipe.read({**TOY, "emotion": "sadness", "seed": 9}, catalog)
    assert grid.cells["0-0"].emotion == {"awe": 0.5, "fear": 0.5}
    assert values_of("steps", "5, 10") == ["5", "10"]
    sheet = grid.sheet({"1-1": noise(32, 32)})
    assert sheet.width > 2 * 160
    assert sheet.height > 3 * 160


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        (("__class__", "a"), ("seed", "1"), "no axis"),
        (("seed", "1"), ("seed", "2"), "Both axes"),
        (("seed", "1..60"), ("steps", "1..60"), "too many"),
        (("seed", "1..100000000"), ("steps", "1"), "too long"),
        (("seed", " , "), ("steps", "1"), "no values"),
        (("seed", "1, 1"), ("steps", "1"), "twice"),
        (("guide", "os.system"), ("steps", "1"), "There is no guide"),
    ],
)
def test_axes_that_are_none_are_refused(catalog, x, y, why):
    with pytest.raises(MuseError, match=why):
        Grid.read(TOY, x, y, catalog)


def test_a_grid_is_made_cell_by_cell(maker, catalog):
    grid = Grid.read(TOY, ("emotion", "awe, fear"), ("steps", "3, 4"), catalog)
    live, done = Live(), {}
    maker.many(live, grid.cells, done.__setitem__)
    assert set(done) == set(grid.cells) == set(live.shots)
    assert [live.shots[cell].steps for cell in grid.cells] == [3, 3, 4, 4]
    [alone] = catalog.sampler("default", "toy").sample([grid.cells["1-0"].job("x")])
    assert done["1-0"].record["probabilities"] == alone.probabilities
    html = drawing.sheet(grid, live.shots, {"0-0": False})
    assert html.count("<img") == 4
    assert html.count("m-off") == 1


# Runs


def fake_run(folder: Path, name: str, prompt: str, wanted: str, read: str) -> None:
    layout = Layout(folder)
    for path in layout.folders():
        path.mkdir(parents=True, exist_ok=True)
    noise(16, 16).save(layout.picture(name))
    record = {
        "schema": 1, "id": name, "prompt": prompt, "target": {wanted: 1.0}, "status": "done",
        "probabilities": {read: 0.9, "anger": 0.1}, "image": None, "plain": None,
        "trace": {"p_target": [0.1, 0.5, None]}, "seed": 1, "start_step": 2, "iterations": [2],
    }  # fmt: skip
    write_record(folder, record)


def test_runs_are_searched(tmp_path):
    fake_run(tmp_path / "a/b", "one", "a Dog in a park", "awe", "awe")
    fake_run(tmp_path / "a/b", "two", "a cat in a park", "fear", "awe")
    fake_run(tmp_path / "c", "three", "<script>x</script>", "fear", "fear")
    shelf = Shelf(tmp_path)
    assert set(shelf.runs()) == {"a/b", "c"}

    def names(**asked):
        return [found.name for found in shelf.search("a/b", **asked)]

    assert names() == ["one", "two"]
    assert names(words="park dog") == ["one"]
    assert names(emotion="fear") == ["two"]
    assert names(right="wrong") == ["two"]
    assert names(right="right") == ["one"]
    layout = Layout(tmp_path / "a/b")
    for name in ("alone", "twin"):  # plain pictures, the second a steered one's
        record = {**shelf.record("a/b", "one"), "id": name, "target": None, "trace": {}}
        write_record(tmp_path / "a/b", record)
        noise(8, 8).save(layout.picture(name, plain=True))
    write_record(tmp_path / "a/b", {**shelf.record("a/b", "two"), "plain": "twin"})
    assert names() == ["one", "two", "plain/alone"]
    assert names(emotion="plain") == ["plain/alone"]
    assert names(emotion="awe") == names(right="right") == ["one"]
    told = drawing.facts(alone := shelf.record("a/b", "plain/alone")) + drawing.curves(alone)
    assert "<dd>plain</dd>" in told
    record = shelf.record("c", "three")
    told = drawing.facts(record) + drawing.curves(record)
    assert "<script>" not in told
    assert "polyline" in told
    with_one, without = ({**record, "inherent": name} for name in ("awe", None))
    assert drawing.curves(with_one).count("polyline") == 3
    assert drawing.curves(without).count("polyline") == 2
    assert "inherent" not in drawing.curves(without)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--device", "abacus"], "--device 'abacus' can't be used"),
        (["--slots", "0"], "--slots 0 is not allowed. Use 1 or more."),
    ],
)
def test_what_no_order_could_be_made_with_is_told_at_once(words, why, capsys, monkeypatch):
    monkeypatch.setattr("muse.commands.web.serve", None)
    assert main(["web", *words]) == 2
    assert why in one_line(capsys)


def test_a_file_of_a_model_that_is_not_there_is_told():
    with pytest.raises(MuseError, match=r"There is no file 'none\.yaml'"):
        Catalog([Path("none.yaml")], "cpu")


@pytest.mark.parametrize("text", ["[]", "{}", '{"status": "done"}', "5"])
def test_a_damaged_record_hides_itself_alone(tmp_path, text):
    fake_run(tmp_path / "run", "one", "a dog", "awe", "awe")
    (tmp_path / "run/records/two.json").write_text(text)
    noise(16, 16).save(tmp_path / "run/images/two.png")
    assert [hit.name for hit in Shelf(tmp_path).search("run", emotion="awe")] == ["one"]


def test_nothing_outside_of_the_shelf_is_read(tmp_path):
    shelf = tmp_path / "shelf"
    fake_run(tmp_path / "outside", "secret", "x", "awe", "awe")
    fake_run(shelf / "run", "one", "x", "awe", "awe")
    os.symlink(tmp_path / "outside", shelf / "link")
    os.symlink(tmp_path / "outside/images/secret.png", shelf / "run/images/leak.png")
    os.symlink(tmp_path / "outside/records/secret.json", shelf / "run/records/leak.json")
    found = Shelf(shelf)
    assert set(found.runs()) == {"run"}
    assert [hit.name for hit in found.search("run")] == ["one"]
    for run, name in (("../outside", "secret"), ("run", "../../outside/secret"), ("run", "leak")):
        with pytest.raises(MuseError, match="There is no"):
            found.record(run, name)


# What visitors bring


def test_hostile_photos_are_refused_in_one_line(tmp_path):
    svg = tmp_path / "a.svg"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "b.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    with (tmp_path / "huge.png").open("wb") as file:
        os.truncate(file.fileno(), 2**31)
    noise(4, 4).save(tmp_path / "small.png")
    bomb(tmp_path / "bomb.png")
    for name, why in (
        ("a.svg", "no picture"), ("b.eps", "no picture"), ("cut.png", "no picture"),
        ("huge.png", "25 MB"), ("small.png", "too small"), ("bomb.png", "million pixels"),
    ):  # fmt: skip
        with pytest.raises(MuseError, match=why) as error:
            open_photo(tmp_path / name)
        assert str(tmp_path) not in str(error.value)
        assert "\n" not in str(error.value)


def test_masks_come_as_small_pngs():
    mask = Image.new("RGBA", (8, 8))
    assert read_mask("") is None
    assert read_mask(sent(mask)) is None  # nothing is brushed
    mask.putpixel((2, 3), (9, 9, 9, 255))
    read = read_mask(sent(mask))
    assert read is not None
    assert read.getbbox() == (2, 3, 3, 4)
    for bad in (
        "/etc/passwd",
        "data:image/png;base64,####",
        "data:image/svg+xml;base64,AAAA",
        sent(Image.new("1", (3000, 3000))),
        "data:image/png;base64," + "A" * 5_000_000,
    ):
        with pytest.raises(MuseError, match="mask can't be read"):
            read_mask(bad)


def sent(image: Image.Image) -> str:
    stream = BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def test_the_wheel_is_drawn_with_what_is_chosen():
    drawn = drawing.wheel({"awe": 0.75, "fear": 0.25})
    assert drawn.count('role="radio"') == 9
    assert drawn.count('aria-checked="true"') == 2
    assert "--w:1.00" in drawn
    assert "--w:0.33" in drawn
    assert 'aria-checked="true"' in drawing.wheel(None).partition("m-middle")[2]
    assert "<b>" not in drawing.notice("<b>", "error")
    shot = replace(Shot(), picture=noise(2000, 500), step=1, steps=2)
    assert "width:50.0%" in drawing.stage(shot, "<i>", busy=True)
