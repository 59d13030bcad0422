"""All that a study leaves in its folder."""

from __future__ import annotations

from pathlib import Path

from muse.core.files import make_folder, replacing, write_text, written
from muse.report.evaluation import as_csv as each_picture
from muse.studies.bundle import bundle
from muse.studies.figures import figures
from muse.studies.measuring import Found
from muse.studies.page import page
from muse.studies.writing import as_csv, as_json, markdown


def write(found: Found, folder: Path, device: str = "cpu", bundled: bool = False) -> list[str]:
    """Write table.md, .csv and .json, pictures.csv, the figures, report.html and, where wanted,
    bundle.zip.

    Returns:
        what to tell about them.

    Raises:
        MuseError: the disk is full, or the folder can't be written to.
    """
    what = f"the study's tables into {str(folder)!r}"
    texts = {"table.md": markdown(found, {}), "table.csv": as_csv(found)}
    texts["table.json"] = as_json(found)
    texts["pictures.csv"] = each_picture(found.evaluation)
    with written(what):  # before anything is drawn, which may fail
        for name, text in texts.items():
            write_text(folder / name, text)
    shown, plates = figures(found, device), folder / "figures"
    with written(what):
        drawn = {}
        for number, (title, figure) in enumerate(shown.items(), start=1):
            make_folder(plates)
            drawn[title] = plates / f"figure-{number}.png"
            with replacing(drawn[title]) as temporary:
                figure.savefig(temporary, dpi=150)
        names = {title: path.relative_to(folder).as_posix() for title, path in drawn.items()}
        html = page(found, drawn)
        write_text(folder / "table.md", markdown(found, names))
        write_text(folder / "report.html", html)
        lines = [f"The tables are {folder / 'table.md'}, the pictures {folder / 'report.html'}"]
        if bundled:
            files = [*(folder / name for name in texts), *drawn.values()]
            path, left = bundle(found, folder, html, files)
            size = path.stat().st_size / 1e6
            lines.append(f"To attach to an issue: {path} ({size:.1f} MB)")
            lines += [f"No room in it for {', '.join(left)}."] if left else []
    return lines
