"""How the documentation is built: `make docs`."""

import sys
from importlib.util import find_spec
from pathlib import Path

import varprop

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

_NEEDED = (
    "furo",
    "myst_parser",
    "numpydoc",
    "pypandoc",
    "sphinx_copybutton",
    "sphinx_gallery",
    "torch",
)
if _missing := [package for package in _NEEDED if find_spec(package) is None]:
    from sphinx.errors import ConfigError

    _names = ", ".join(_missing)
    raise ConfigError(f'the documentation needs {_names}: make docs, or pip install ".[docs]"')

project = "varprop"
author = "The varprop developers"
copyright = "the varprop developers"
release = version = varprop.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "docstrings",
    "derivation_pages",
    "command_pages",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
nitpicky = False  # docstrings name types of other packages
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

_reference = Path(__file__).parent / "reference"
autosummary_generate = [f"reference/{page.name}" for page in sorted(_reference.glob("*.md"))]
autodoc_typehints = "none"  # numpydoc has them, with shapes and ranges
numpydoc_show_class_members = False  # autodoc lists them, each with its docstring
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "gallery.in_order",
    "image_scrapers": ("gallery.figures_of",),
    "capture_repr": ("__str__",),
    "abort_on_example_error": True,
    "min_reported_time": 1e9,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "plot_gallery": True,
}

html_theme = "furo"
html_title = "varprop"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["varprop.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": False}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
