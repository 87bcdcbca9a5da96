"""What this book adds to Sphinx: kinds of numbered statement, figures of cells, the address of the site."""

import ast
import base64
import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.directives.patches import Figure
from sphinx.util.docutils import SphinxDirective
from sphinx_proof.directive import DEFAULT_REALTYP_TO_COUNTERTYP, ElementDirective
from sphinx_proof.nodes import NODE_TYPES, depart_enumerable_node, visit_enumerable_node

from sparse_robust.book import downloads, status
from sparse_robust.book.reproduce import repository

KINDS = ("erratum", "counterexample")
"""Statement kinds of the registry (`sparse_robust.proofs.statement.Kind`) that sphinx-proof does not know."""


FIGURE = "application/vnd.sparse-robust.figure+json"
"""What :func:`sparse_robust.book.layout.captioned` adds to a picture that is to be a numbered figure."""

FRAME = "application/vnd.sparse-robust.frame+json"
"""What :func:`sparse_robust.book.cells.framed` adds to markup that is to be one."""

SHOWING = {
    "figure",
    "framed",
    "ledger_page",
    "show",
    "table",
    "verify",
    "verdict_strip",
}
"""Functions of :mod:`sparse_robust.book.cells` and its neighbours that show, and compute nothing new."""


def address(_app: Sphinx, config: Config) -> None:
    """Canonical links and the sitemap: SITE_URL when publishing, otherwise what `make serve` serves.

    What only the publisher knows to be there is linked when it says so: SITE_PDF, the name of the book as a
    PDF at the site's root, and REPOSITORY_URL.
    """
    url = os.environ.get("SITE_URL", "http://localhost:8000").rstrip("/") + "/"
    config.html_baseurl = config.ogp_site_url = url
    links = []
    if name := os.environ.get("SITE_PDF"):
        links.append({"name": "The book as a PDF", "url": url + name, "icon": "fa-solid fa-file-pdf"})
    if repository := os.environ.get("REPOSITORY_URL"):
        links.append({"name": "Repository", "url": repository, "icon": "fa-solid fa-code"})
    config.html_theme_options["icon_links"] = links


def light_front(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: Any) -> None:
    """The front page has no formula of its own: it goes without MathJax, and without previews with some."""
    if page == app.config.root_doc and doctree is not None and not any(doctree.findall(nodes.math)):
        heavy = ("mathjax", "MathJax", "tippy", "popper")
        context["script_files"] = [
            script
            for script in context["script_files"]
            if not any(name in f"{script.filename}{vars(script)}" for name in heavy)
        ]


def number(_app: Sphinx, config: Config) -> None:
    """How a caption reads before sphinx-proof capitalises it."""
    config.numfig_format = {kind: f"{kind} %s" for kind in KINDS} | config.numfig_format


def figures(app: Sphinx, _docname: str, source: list[str]) -> None:
    """Turn what a cell shows as a figure into one of the directives below, and what it shows into files."""
    if FIGURE not in source[0] and FRAME not in source[0]:
        return
    notebook = json.loads(source[0])
    folder = Path(app.doctreedir) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if frame := output.get("data", {}).get(FRAME):
                page = folder / f"{frame['label']}.html"
                page.write_text("".join(output["data"]["text/html"]), encoding="utf-8")
                output["data"] = {
                    "text/markdown": f"::::::{{frame}} {page}\n:name: {frame['label']}\n\n"
                    f"{frame['caption']}\n::::::"
                }
            if FIGURE not in output.get("data", ()):
                continue
            parts = output["data"][FIGURE]
            pictures = {
                "": "".join(output["data"]["image/svg+xml"]),
                "-phone": gzip.decompress(base64.b64decode(parts["phone"])).decode(),
            }
            for which, picture in pictures.items():
                (folder / f"{parts['label']}{which}.svg").write_text(picture, encoding="utf-8")
            where = "/" + os.path.relpath(folder / parts["label"], app.srcdir)
            alt = json.dumps(cell["metadata"]["mystnb"]["image"]["alt"], ensure_ascii=False)
            output["data"] = {
                "text/markdown": f"::::::{{drawing}} {where}.svg\n:phone: {where}-phone.svg\n"
                f":name: {parts['label']}\n:alt: {alt}\n\n{parts['caption']}\n::::::"
            }
    source[0] = json.dumps(notebook)


class Drawing(Figure):
    """A figure with a second picture, for phones; a page loads the one that it shows."""

    option_spec: ClassVar[dict[str, Any]] = {**Figure.option_spec, "phone": directives.uri}

    def run(self) -> list[nodes.Node]:
        """The figure with both pictures, each in a class of its own."""
        phone = self.options.pop("phone")
        (figure,) = super().run()
        assert isinstance(figure, nodes.figure)
        desk = figure.children[0]
        assert isinstance(desk, nodes.image)
        desk["loading"] = "lazy"
        small = desk.deepcopy()
        small["uri"] = phone
        desk["classes"].append("on-desk")
        small["classes"].append("on-phone")
        figure.insert(1, small)
        return [figure]


class Frame(SphinxDirective):
    """A figure of markup, from a file, with a caption."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"name": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The figure."""
        markup = Path(self.arguments[0]).read_text(encoding="utf-8")
        words = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, words)
        (paragraph,) = words.children
        caption = nodes.caption("", "", *paragraph.children)
        figure = nodes.figure("", nodes.raw("", markup, format="html"), caption)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


def shown_only(_app: Sphinx, doctree: nodes.document) -> None:
    """Leave out the code of cells that only show something: what they show is what a reader came for."""
    for cell in doctree.findall(lambda node: isinstance(node, nodes.container) and "cell" in node["classes"]):
        for code in [part for part in cell.children if "cell_input" in part.get("classes", [])]:
            call = only_call(code.astext())
            if call in SHOWING:
                cell.remove(code)
                cell["classes"].append(f"only-{call.replace('_', '-')}")


def only_call(source: str) -> str:
    """The function that a cell calls, if it does nothing else, as ``table(frame, "words")``; else nothing."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic
        return ""
    match statements:
        case [ast.Expr(ast.Call(ast.Name(name)))]:
            return name
    return ""


def colab_button(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Colab among the downloads of a chapter, where NOTEBOOKS_BRANCH of the repository holds them."""
    url = downloads.colab(os.environ.get("REPOSITORY_URL", ""), os.environ.get("NOTEBOOKS_BRANCH", ""), page)
    for group in context.get("header_buttons", []):
        if url and group["label"] == "download-buttons" and context["page_source_suffix"] == ".ipynb":
            about = {"text": "Colab", "tooltip": "Open in Colab", "icon": "fas fa-rocket"}
            group["buttons"].append({"type": "link", "url": url, "label": "colab-button", **about})


def write_downloads(app: Sphinx, failure: Exception | None) -> None:
    """Put the installing cell in front of each notebook that the site offers for download.

    It clones REPOSITORY_URL, or where that is not set, as at home, the checkout that the site is built from.
    """
    if failure is not None or app.builder.format != "html":
        return
    root = repository()
    address_ = os.environ.get("REPOSITORY_URL") or root.as_uri()
    commit = subprocess.run(
        ["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    for page in app.env.found_docs:
        path = Path(app.env.doc2path(page))
        if path.suffix == ".ipynb":
            chapter = nbformat.read(path, as_version=4)
            target = Path(app.outdir, "_sources", f"{page}.ipynb")
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(downloads.with_first_cell(chapter, address_, commit.stdout.strip()), target)


class Status(SphinxDirective):
    """The tables of :mod:`sparse_robust.book.status`, as they are when the site is built."""

    def run(self) -> list[nodes.Node]:
        """What the directive stands for."""
        container = nodes.container()
        lines = status.page(Path(self.env.srcdir)).splitlines()
        self.state.nested_parse(StringList(lines, source="status"), 0, container)
        self.env.note_reread()
        return list(container.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it, after sphinx-proof."""
    app.setup_extension("sphinx_proof")
    for kind in KINDS:
        node = type(f"{kind}_node", (nodes.Admonition, nodes.Element), {"__module__": __name__})
        globals()[node.__name__] = node  # Sphinx pickles doctrees, so the class must be found by name
        NODE_TYPES[kind] = node
        DEFAULT_REALTYP_TO_COUNTERTYP[kind] = kind
        app.add_enumerable_node(node, kind, None, html=(visit_enumerable_node, depart_enumerable_node))
        app.add_directive_to_domain("prf", kind, ElementDirective)
    app.add_directive("drawing", Drawing)
    app.add_directive("frame", Frame)
    app.add_directive("status", Status)
    app.connect("source-read", figures)
    app.connect("config-inited", address)
    app.connect("config-inited", number, priority=900)
    app.connect("html-page-context", light_front, priority=900)
    app.connect("html-page-context", colab_button, priority=900)
    app.connect("doctree-read", shown_only)
    app.connect("build-finished", write_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
