"""How Sphinx builds the site (`make docs`): this folder's pages, the notebooks with their outputs, and the reference.

The sources are taken where they stand, from the root of the project, so that a link holds on GitHub and on the site.
The reference is read from the docstrings without importing anything. No page asks another host for anything.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

project = "zsc"
author = "the zsc developers"
copyright = author
version = release = re.search(r'__version__ = "([^"]+)"', (ROOT / "zsc/__init__.py").read_text(encoding="utf-8"))[1]

extensions = ["myst_nb", "autoapi.extension", "numpydoc"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "notebooks/*.ipynb",
    "data/*.md",
    "data/reference/README.md",
    "benchmarks/README.md",
    "zsc/toy/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "README.md",
    "docs/api/**",
]
exclude_patterns = ["**/.ipynb_checkpoints"]

# the reference
autoapi_dirs = [str(ROOT / "zsc")]
autoapi_root = "docs/api"
autoapi_ignore = ["*/cli/*", "*/__main__.py"]  # a command tells itself, by --help
autoapi_options = ["members", "undoc-members", "show-inheritance", "show-module-summary"]
autoapi_python_class_content = "both"
autoapi_member_order = "groupwise"
autoapi_add_toctree_entry = False
numpydoc_show_class_members = False
add_module_names = False
default_role = "py:obj"  # `name` is a link where it is one of ours, and code elsewhere
python_use_unqualified_type_names = True

# pages and notebooks
nb_execution_mode = "off"  # `make notebooks` runs them; the site shows the outputs that are kept
nb_ipywidgets_js = {}  # a script of another host; what a notebook shows stands as a picture or a table too
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "mystnb.unknown_mime_type",
    "myst.header",  # headings of a notebook may begin at any level
    "autoapi.python_import_resolution",  # constants that one line assigns together
]

html_theme = "furo"
html_title = f"zsc {version}"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
html_additional_pages = {"index": "home.html"}
templates_path = ["site"]

# the explorer's page, live where `make docs` could write it
LIVE = ROOT / "docs/site/live"
html_extra_path = [str(LIVE)] if LIVE.is_dir() else []


def setup(app: Any) -> None:
    """Lead from the page about the explorer's page to a live one, where there is one."""
    app.connect("source-read", _lead_to_the_live_one)


def _lead_to_the_live_one(_app: Any, name: str, source: list[str]) -> None:
    if name == "docs/explorer-page" and LIVE.is_dir():
        head, _, rest = source[0].partition("\n## ")
        source[0] = f'{head}\n<p><a href="../lesson.html"><strong>Try it here</strong></a> (14 MB)</p>\n\n## {rest}'
