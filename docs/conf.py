"""Sphinx configuration: ``sphinx-build -W docs site``."""

from importlib.metadata import version as installed

project = "muse"
copyright = "the muse authors"
version = release = installed("muse-emotion")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
html_theme = "furo"
html_title = "muse"
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "description"
exclude_patterns = ["site"]
suppress_warnings = ["myst.xref_missing", "myst.header"]
