"""The whole book as one PDF: the pages of the built site, joined into one and printed by Chromium."""

import functools
import http.server
import io
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import sync_playwright
from pypdf import PdfWriter
from pypdf.generic import Destination, NameObject, TextStringObject

from sparse_robust.experiments.files import write_atomically

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TYPESET = "() => window.MathJax?.startup?.promise.then(() => true) ?? true"
FOOTER = (
    '<div style="width: 100%; text-align: center; font: 8px sans-serif; color: #57606a">'
    '<span class="pageNumber"></span></div>'
)
JOINED = "book-to-print.html"
NAME = "sparse-robust.pdf"
"""Of the PDF, at the site's root."""


def print_book(site: Path, chapters: list[str], to: Path) -> int:
    """Print chapters of the built site, with cover, contents, page numbers and outline.

    It is printed twice: the first time tells on which page each chapter begins.

    Args:
        site: the folder of the built site.
        chapters: pages of it, as ``book/intro.html``, in order; the first is the front page.
        to: the PDF to write.

    Returns:
        how many pages it has.

    Raises:
        FileNotFoundError: if the site is not built, or there is no Chromium.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError("no Chromium to print the book with: apt-get install chromium")
    for name in chapters:
        if not (site / name).is_file():
            raise FileNotFoundError(f"{site / name}: not built; make book")
    joined = site / JOINED
    try:
        starts: list[int] = []
        for _ in range(2):
            page = join(site, chapters, starts)
            joined.write_text(str(page), encoding="utf-8")
            with served(site) as address:
                writer = PdfWriter(clone_from=io.BytesIO(_print(browser, address + JOINED)))
            starts = name_outline(writer, [_plain(h.get_text()) for h in page.find_all(re.compile("h[1-6]"))])
    finally:
        joined.unlink(missing_ok=True)
    writer.add_metadata({"/Title": "Sparse & Robust", "/Author": "The Sparse & Robust authors"})
    with io.BytesIO() as file:
        writer.write(file)
        write_atomically(to, file.getvalue())
    return len(writer.pages)


def join(site: Path, chapters: list[str], starts: list[int]) -> BeautifulSoup:
    """One page that holds all chapters, with links between them turned into links within it.

    Args:
        site: the folder of the built site.
        chapters: as in :func:`print_book`.
        starts: the page on which each chapter begins; empty if that is not known yet.
    """
    whole = BeautifulSoup((site / chapters[-2]).read_text(encoding="utf-8"), "html.parser")
    articles = [_article(site, name, chapters) for name in chapters]
    assert whole.body is not None
    whole.body.clear()
    for script in whole.find_all("script"):
        if not re.search("mathjax", f"{script.get('src')}{script.string}", re.IGNORECASE):
            script.decompose()
    if whole.html is not None:
        whole.html["data-theme"] = whole.html["data-mode"] = "light"
    for element in [*_opening(articles, starts), *articles]:
        whole.body.append(element)
    for tag, attribute in (("link", "href"), ("script", "src")):
        for element in whole.find_all(tag, attrs={attribute: True}):
            element[attribute] = _below(chapters[-2], str(element[attribute]))
    return whole


def name_outline(writer: PdfWriter, headings: list[str]) -> list[int]:
    """Name the entries of the outline, and say on which page, from 1, each of the first level is.

    Chromium writes the title of a heading twice if the heading was moved to the next page.

    Args:
        writer: holds the PDF; its outline has one entry for each heading.
        headings: the titles, in their order.

    Raises:
        ValueError: if there are not as many.
    """
    entries = list(_entries(writer.outline))
    if len(entries) != len(headings):
        raise ValueError(f"{len(headings)} headings, but the outline of the PDF has {len(entries)} entries")
    for (entry, _), title in zip(entries, headings, strict=True):
        node = entry.node
        assert node is not None
        node[NameObject("/Title")] = TextStringObject(title)
    pages = [writer.get_destination_page_number(entry) for entry, depth in entries if depth == 0]
    return [page + 1 for page in pages if page is not None]


def _entries(outline: list[Any], depth: int = 0) -> Iterator[tuple[Destination, int]]:
    """The entries of an outline in their order, with their depths."""
    for entry in outline:
        if isinstance(entry, list):
            yield from _entries(entry, depth + 1)
        else:
            yield entry, depth


def _article(site: Path, name: str, chapters: list[str]) -> Tag:
    """A chapter's article with its own anchors, everything unfolded."""
    article = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser").find("article")
    assert isinstance(article, Tag), f"{name}: no article"
    for element in article.select(".headerlink, .copybtn, details.above-input, script, style"):
        element.decompose()
    for element in article.find_all("details"):
        element["open"] = ""
    for element in article.select(".dropdown, .toggle"):
        element["class"] = " ".join(c for c in element["class"] if c not in ("dropdown", "toggle"))
    for element in article.find_all(id=True):
        element["id"] = _anchor(name, str(element["id"]))
    for link in article.find_all("a", href=True):
        url = urlsplit(str(link["href"]))
        if not url.scheme and not url.netloc:
            target = _below(name, url.path) if url.path else name
            if target in chapters:
                link["href"] = "#" + _anchor(target, url.fragment)
            else:
                del link["href"]
    for picture in article.find_all("img", src=True):
        picture["src"] = _below(name, str(picture["src"]))
    article["id"] = _anchor(name, "")
    return article


def _opening(articles: list[Tag], starts: list[int]) -> Iterator[Tag]:
    """Cover and contents."""
    new = BeautifulSoup("", "html.parser").new_tag
    cover = new("section", attrs={"class": "cover"})
    for tag, text in (
        ("p", "An executable textbook"),
        ("div", "Sparse & Robust"),
        ("p", "Sparse DNNs with Improved Adversarial Robustness: derived, checked, repaired and rerun"),
        ("p", "The Sparse & Robust authors"),
    ):
        element = new(tag, attrs={"class": "cover-title"} if tag == "div" else {})
        element.string = text
        cover.append(element)
    yield cover
    contents = new("div", attrs={"class": "contents"})
    heading = new("p", attrs={"class": "contents-title"})
    heading.string = "Contents"
    contents.append(heading)
    for article, start in zip_longest(articles, starts, fillvalue=0):
        assert isinstance(article, Tag)
        title = article.find("h1")
        assert isinstance(title, Tag)
        words = _plain(title.get_text())
        line = new("a", attrs={"href": f"#{article['id']}"})
        line.append(words)
        page = new("span")
        page.string = str(start or "")
        line.append(page)
        contents.append(line)
    yield contents


def _print(browser: str, url: str) -> bytes:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(color_scheme="light")
        page.set_default_timeout(0)
        page.goto(url)
        page.wait_for_function(TYPESET)
        printed = page.pdf(
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "20mm", "right": "20mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            print_background=True,
            outline=True,
            tagged=True,
        )
        chromium.close()
    return printed


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone; the address, with a slash at its end."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _anchor(page: str, name: str) -> str:
    """The anchor of a page, or of a place on it, in the joined page."""
    return re.sub(r"\W", "-", page) + (f"--{name}" if name else "")


def _below(page: str, url: str) -> str:
    """A relative address on a page as one from the site's root; others as they are."""
    return url if urlsplit(url).scheme or not url else normpath(f"{page}/../{url}")


def _plain(text: str) -> str:
    return " ".join(text.replace("#", "").split())
