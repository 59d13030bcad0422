"""Studies: jobs x arms x metrics, in one resumable folder with tables and a page: `muse study`."""

from muse.studies.arms import ArmPictures
from muse.studies.file import Arm, Study
from muse.studies.foreign import foreign_pictures
from muse.studies.measuring import Found, measure
from muse.studies.runner import Runner
from muse.studies.tables import Column, Table, tables

__all__ = [
    "Arm",
    "ArmPictures",
    "Column",
    "Found",
    "Runner",
    "Study",
    "Table",
    "foreign_pictures",
    "measure",
    "tables",
]
