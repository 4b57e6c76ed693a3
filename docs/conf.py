"""Sphinx configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import siamrec

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

os.environ["HF_HUB_OFFLINE"] = "1"

project = "siamrec"
author = "The siamrec developers"
copyright = "2026, the siamrec developers"  # noqa: A001
release = siamrec.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath", "colon_fence"]
exclude_patterns = [
    "_build",
    "gallery/*.ipynb",
    "gallery/*.py",
    "gallery/*.md5",
    "gallery/*.zip",
    "gallery/*.json",
]

html_theme = "furo"
html_title = "siamrec"

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

napoleon_use_ivar = True

# Annotations are shown as they are written; every other reference has to resolve.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r".*"),
    ("py:exc", r"(ValueError|LookupError|OSError|TypeError|KeyError|RuntimeError)"),
    ("py:data", r".*"),
    ("py:obj", r".*T"),  # type variables
]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
}


def _find_error(app: Sphinx, env: BuildEnvironment, node: Element, content: Element) -> Any:
    """Resolve an error that a docstring names without its module."""
    target = f"siamrec.errors.{node.get('reftarget', '')}"
    if node.get("reftype") != "exc" or target not in env.domains["py"].objects:  # type: ignore[attr-defined]
        return None
    return env.domains["py"].resolve_xref(
        env, node["refdoc"], app.builder, "exc", target, node, content
    )


def setup(app: Sphinx) -> None:
    """Connect what resolves the errors."""
    app.connect("missing-reference", _find_error)
