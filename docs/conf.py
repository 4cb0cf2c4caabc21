"""Configuration of the documentation."""

import importlib.metadata

project = "descentflows"
author = "The descentflows developers"
version = release = importlib.metadata.version("descentflows")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
myst_enable_extensions = ["dollarmath", "colon_fence"]
nb_execution_mode = "off"
exclude_patterns = ["_build"]

default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # jaxtyping's dimension names are no reStructuredText
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autoclass_content = "class"

html_theme = "pydata_sphinx_theme"
html_title = "descentflows"
