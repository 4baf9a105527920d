"""How the documentation is built: ``python -m sphinx -W -b html doc doc/_build/html``.

Examples are executed, those with public data only where the data are there already, so that nothing is fetched from the
network. ``-D plot_gallery=0`` executes none, and
``-D sphinx_gallery_conf.filename_pattern=plot_01`` only those whose path has the pattern in it.
"""

import inspect
import warnings
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch
from docutils import nodes
from sklearn.exceptions import ConvergenceWarning
from sphinx.ext.autosummary import AutoLink
from sphinx.util import logging

import skdaep
from skdaep.datasets import get_data_home
from skdaep.preprocessing import TableTransformer

project = "skdaep"
author = "the skdaep developers"
copyright = author
version = release = skdaep.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/**/*.ipynb"]
templates_path = ["_templates"]

# --- references -------------------------------------------------------------------------------------

default_role = "name"  # of `DAEPEncoder`: see Name
rst_prolog = ".. currentmodule:: skdaep\n"
nitpicky = True  # a link that leads nowhere is a warning, and with -W an error
nitpick_ignore_regex = [
    ("py:.*", r"(astropy|joblib|matplotlib|numpy|sklearn|torch)(\..*)?"),  # documented elsewhere
    ("py:obj", r"[a-z_]+"),  # a field or parameter that is a name of the module too
]
show_warning_types = True

# --- the API ----------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc says them
python_maximum_signature_line_length = 100
numpydoc_show_class_members = False  # the template of a class lists its methods
numpydoc_attributes_as_param_list = True


#: what pipelines call of a preprocessing step; its hooks are described on the page of TableTransformer
CALLED = ("fit", "transform", "inverse_transform", "get_feature_names_out", "set_output")


def own_methods(fullname, methods):
    """Return the methods of a class that the package itself defines, not what scikit-learn adds."""
    module, _, name = fullname.rpartition(".")
    cls = getattr(import_module(module), name)
    if issubclass(cls, TableTransformer) and cls is not TableTransformer:
        methods = [m for m in methods if m in CALLED or not hasattr(TableTransformer, m)]
    if not getattr(getattr(cls, "objective_class", None), "has_decoder", True):
        methods = [m for m in methods if m not in ("fit_prior", "sample")]  # instances do not have them
    routines = {m: f for m in methods if inspect.isroutine(f := getattr(cls, m, None)) and not m.startswith("_")}
    return [m for m, f in routines.items() if (getattr(f, "__module__", None) or "").startswith("skdaep")]


autosummary_context = {"own_methods": own_methods}
suppress_warnings = ["config.cache"]  # a function cannot be cached

# Examples train for a minute, not until they have converged.
warnings.filterwarnings("ignore", message="After max_iter", category=ConvergenceWarning)

# --- the gallery ------------------------------------------------------------------------------------


def reset_threads(gallery_conf, fname):
    """Let no example inherit the number of threads of the one before."""
    torch.set_num_threads(N_THREADS)


N_THREADS = torch.get_num_threads()

#: an example with public data -> where in the data home they are once it has run
PLACES = {
    "plot_astrom3": "huggingface/AstroMLCore/AstroM3Processed/sub10_42",
    "plot_galaxy10": "galaxy10/Galaxy10_DECals.h5",
    "plot_lightkurve": "lightkurve",
    "plot_multimodal_universe": "huggingface/MultimodalUniverse/plasticc",
}
PRESENT = [name for name, place in PLACES.items() if (get_data_home() / place).exists()]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/(" + "|".join([r"plot_\d", *PRESENT]) + ")",  # those with a number simulate their data
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skdaep",),
    "reference_url": {"skdaep": None},
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "show_memory": False,
}

# --- the look ---------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skdaep"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "install": [], "whats_new": [], "cite": [], "paper_tables": []}

# --- the pages as built ------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page as built: what it links to, what in it can be linked to, and the heads of its tables."""

    def __init__(self, text):
        super().__init__()
        self.wanted, self.anchors = [], set()
        self.heads, self.in_head = [], False  # of the first head of each table the texts of its cells
        self.before_head = False  # in a table; those of astropy have units and types as further heads, with empty cells
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        if tag == "table":
            self.before_head = True
        elif tag == "thead" and self.before_head:
            self.heads.append([])
            self.in_head, self.before_head = True, False
        elif tag == "th" and self.in_head:
            self.heads[-1].append("")
        attrs = dict(attrs)
        self.wanted += [attrs[k] for k in ("href", "src") if attrs.get(k)]
        self.anchors |= {attrs[k] for k in ("id", "name") if attrs.get(k)}

    def handle_endtag(self, tag):
        """Note the end of a head."""
        self.in_head = self.in_head and tag != "thead"

    def handle_data(self, data):
        """Note the text of a cell."""
        if self.in_head and self.heads[-1]:
            self.heads[-1][-1] += data.strip()


def check_pages(app, exception):
    """Warn of every link within the pages that leads nowhere, and of every table whose head has an empty cell."""
    if exception is not None or app.builder.name != "html":
        return
    root = Path(app.outdir).resolve()
    pages = {page: Page(page.read_text()) for page in root.rglob("*.html") if "_static" not in page.parts}
    for page, parsed in pages.items():
        # reST drops the head of a table whose first cell is blank, and says nothing.
        if any(not all(head) or not head for head in parsed.heads):
            logger.warning("%s has a table with an empty head", page.relative_to(root))
        for link in dict.fromkeys(parsed.wanted):
            parts = urlsplit(link)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if parts.scheme or parts.netloc or (target in pages and not parts.fragment):
                continue
            there = unquote(parts.fragment) in pages[target].anchors if target in pages else target.exists()
            if not there:
                logger.warning("%s links to %s, which is not there", page.relative_to(root), link)


logger = logging.getLogger(__name__)


class Name(AutoLink):
    """Single backticks: a link where there is such a name, else code."""

    def run(self):
        """Return the node."""
        found, messages = super().run()
        return [nodes.literal("", n.astext()) if isinstance(n, nodes.emphasis) else n for n in found], messages


def setup(app):
    """Add the role of single backticks, and check what was built."""
    app.add_role("name", Name())
    app.connect("build-finished", check_pages)
