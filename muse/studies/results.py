"""All that a study leaves in its folder."""

from __future__ import annotations

from pathlib import Path

from muse.core.files import make_folder, replacing, write_text
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
    """
    drawn, plates = {}, folder / "figures"
    for number, (title, figure) in enumerate(figures(found, device).items(), start=1):
        make_folder(plates)
        drawn[title] = plates / f"figure-{number}.png"
        with replacing(drawn[title]) as temporary:
            figure.savefig(temporary, dpi=150)
    names = {title: path.relative_to(folder).as_posix() for title, path in drawn.items()}
    texts = {"table.md": markdown(found, names), "table.csv": as_csv(found)}
    texts["table.json"] = as_json(found)
    texts["pictures.csv"] = each_picture(found.evaluation)
    texts["report.html"] = page(found, drawn)
    for name, text in texts.items():
        write_text(folder / name, text)
    lines = [f"The tables are {folder / 'table.md'}, the pictures {folder / 'report.html'}"]
    if bundled:
        files = [*(folder / name for name in texts if name != "report.html"), *drawn.values()]
        path, left = bundle(found, folder, texts["report.html"], files)
        size = path.stat().st_size / 1e6
        lines.append(f"To attach to an issue: {path} ({size:.1f} MB)")
        lines += [f"No room in it for {', '.join(left)}."] if left else []
    return lines
