"""Sphinx configuration: ``sphinx-build -W docs site``."""

from importlib.metadata import version as installed

project = "muse"
copyright = "the muse authors"
version = release = installed("muse-emotion")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
html_theme = "furo"
html_title = "muse"
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "description"
exclude_patterns = ["site", "gallery"]
suppress_warnings = ["myst.header", "config.cache"]
myst_enable_extensions = ["colon_fence"]
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery_made",
    "filename_pattern": "plot_",
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1_000,  # times are a machine's, not the example's
    "reference_url": {"muse": None},
    "abort_on_example_error": True,
}
