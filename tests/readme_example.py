"""Run the first Python example of a page, README by default, as a user would who pasted it.

Not a test: `make wheel` runs it where nothing but the installed package is.
"""

import pathlib
import re
import sys

import matplotlib as mpl

mpl.use("Agg")
README = pathlib.Path(__file__).resolve().parent.parent / "README.md"
page = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else README
example = re.search(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
assert example, f"no example in {page}"
exec(compile(example[1], str(page), "exec"))
