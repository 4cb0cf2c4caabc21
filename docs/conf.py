"""Configuration of the documentation."""

import importlib.metadata
import pathlib
import sys

HERE = pathlib.Path(__file__).parent

project = "descentflows"
author = "The descentflows developers"
version = release = importlib.metadata.version("descentflows")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax beside the pages: no network is needed to read them
]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 2
nb_execution_mode = "off"  # see the end
nb_output_stderr = "error"
exclude_patterns = ["_build", "jupyter_execute"]

default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # jaxtyping's dimension names are no reStructuredText
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autoclass_content = "class"

html_theme = "pydata_sphinx_theme"
html_title = "descentflows"
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_sidebars = {"reproductions": [], "api": []}  # a single page has no section to show

# The tutorials: executed here where `make notebooks` has not done so.
sys.path.insert(0, str(HERE.parent / "notebooks"))
import run  # noqa: E402

run.run_missing()
