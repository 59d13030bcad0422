"""What sums a run up: results.csv, the contact sheet, the traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from muse.backbones import Backbone
from muse.emotions import strongest
from muse.files import replacing, write_text, written
from muse.records import Layout, Record, each_record
from muse.report import contact_sheet, results_csv, traces

LONG = ("trace", "versions")
"""What is read one picture at a time, and not kept."""


def summarise(folder: Path, ids: Sequence[str], backbone: Backbone | None = None) -> list[Record]:
    """Write what sums up the pictures that are there.

    Args:
        folder: of the run.
        ids: of its jobs; those without a record are passed over.
        backbone: draws points (samples.png), where they are not pictures.

    Returns:
        the records without their traces.

    Raises:
        MuseError: the disk is full, or the folder can't be written to.
    """
    layout = Layout(folder)
    records = [
        {name: value for name, value in record.items() if name not in LONG}
        for record in each_record(folder, ids)
    ]
    with written(f"what sums up the run in {str(folder)!r}"):
        write_text(layout.results, results_csv(records))
        _save(contact_sheet(records, folder), layout.sheet)
        figure = traces(each_record(folder, ids))
        if figure is not None:
            with replacing(layout.traces) as temporary:
                figure.savefig(temporary, dpi=150)
        points = [record for record in records if "point" in record]
        if points and backbone is not None:
            names = [strongest(record["target"]) for record in points]
            drawn = backbone.overview(torch.tensor([r["point"] for r in points]), names)
            _save(drawn, layout.samples)
    return records


def _save(picture: Image.Image | None, path: Path) -> None:
    if picture is not None:
        with replacing(path) as temporary:
            picture.save(temporary)
